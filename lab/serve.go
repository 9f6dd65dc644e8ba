package lab

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// serveLimit bounds one request to the small web service.
const serveLimit = 5 * time.Second

// CountPath is what the small web service counts visits of.
const CountPath = "/count"

// Serve is the small web service of the demo: it answers every HTTP request with
// a line that names the machine it runs on, until ctx ends. It speaks just
// enough HTTP/1.0 by itself, so that it listens within a millisecond or two of
// being started. With a volume (its NBD socket) it counts the requests for CountPath
// there, and a second line of their answers is the visit's number.
func Serve(ctx context.Context, address, volume string) error {
	name, err := os.Hostname()
	if err != nil {
		return errs.E("serve", errs.Other, address, "", err)
	}
	var counter *Counter
	if volume != "" {
		if counter, err = OpenCounter(volume); err != nil {
			return err
		}
		defer counter.Close()
	}
	l, err := net.Listen("tcp", address) // with SO_REUSEADDR, as the standard library always does
	if err != nil {
		return errs.E("serve", errs.Unavailable, address, "Is the address on this machine, and the port free?", err)
	}
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	for {
		conn, err := l.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			time.Sleep(time.Millisecond) // out of descriptors: let some go
			continue
		}
		go reply(conn, name, counter) // bounded by serveLimit
	}
}

func reply(conn net.Conn, name string, counter *Counter) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(serveLimit))
	r := bufio.NewReaderSize(conn, 1024)
	first := ""
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.TrimSpace(line) == "" {
			break
		}
		if first == "" {
			first = line
		}
	}
	status, body := "200 OK", name+"\n"
	if strings.HasPrefix(first, "GET "+CountPath+" ") {
		if counter == nil {
			status, body = "404 Not Found", "nothing is counted here\n"
		} else if n, err := counter.Next(); err != nil {
			os.Exit(1) // whether it was counted is not known: who comes next reads the volume
		} else {
			body = fmt.Sprintf("%s\n%d\n", name, n)
		}
	}
	// A client that left does not need it.
	fmt.Fprintf(conn, "HTTP/1.0 %s\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, len(body), body)
}
