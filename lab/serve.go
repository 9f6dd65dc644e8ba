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

// Serve is the small web service of the demo: it answers every HTTP request with
// a line that names the machine it runs on, until ctx ends. It speaks just
// enough HTTP/1.0 by itself, so that it listens within a millisecond or two of
// being started.
func Serve(ctx context.Context, address string) error {
	name, err := os.Hostname()
	if err != nil {
		return errs.E("serve", errs.Other, address, "", err)
	}
	l, err := net.Listen("tcp", address) // with SO_REUSEADDR, as the standard library always does
	if err != nil {
		return errs.E("serve", errs.Unavailable, address, "Is the address on this machine, and the port free?", err)
	}
	defer l.Close()
	stop := context.AfterFunc(ctx, func() { l.Close() })
	defer stop()
	answer := fmt.Appendf(nil, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", len(name)+1, name)
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
		go reply(conn, answer) // bounded by serveLimit
	}
}

func reply(conn net.Conn, answer []byte) {
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(serveLimit))
	r := bufio.NewReaderSize(conn, 1024)
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		if strings.TrimSpace(line) == "" {
			break
		}
	}
	_, _ = conn.Write(answer) // a client that left does not need it
}
