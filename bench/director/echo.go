package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// echo answers datagrams with this machine's name, at addresses that need not be there yet.
func echo(addresses []string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	listener := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		failed := c.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_FREEBIND, 1) })
		return errors.Join(err, failed)
	}}
	failed := make(chan error)
	for _, a := range addresses {
		c, err := listener.ListenPacket(context.Background(), "udp4", a)
		if err != nil {
			return err
		}
		go func() {
			for b := make([]byte, 100); ; {
				_, from, err := c.ReadFrom(b)
				if err != nil {
					failed <- err
					return
				}
				_, _ = c.WriteTo([]byte(name), from) // without the address for a moment nothing is sent, as by any server
			}
		}()
	}
	return <-failed
}

// flow is what became of one flow that asked all the time.
type flow struct {
	First string  `json:"first"` // who answered first
	Last  string  `json:"last"`
	Gap   float64 `json:"gap_ms"` // the longest time between two answers
}

// askEvery is how often a flow asks.
const askEvery = 10 * time.Millisecond

// follow asks with n flows at the first address and one at the second, for some seconds, and prints what became of each.
func follow(args []string) error {
	n, err := strconv.Atoi(args[1])
	if err != nil {
		return err
	}
	length, err := time.ParseDuration(args[0])
	if err != nil {
		return err
	}
	all := make([]flow, n+1)
	until := time.Now().Add(length)
	var work sync.WaitGroup
	for i := range all {
		to := args[2]
		if i == n {
			to = args[3]
		}
		c, err := net.Dial("udp4", to)
		if err != nil {
			return err
		}
		work.Go(func() { ask(c, until) })
		work.Go(func() { all[i].listen(c, until) })
	}
	work.Wait()
	return json.NewEncoder(os.Stdout).Encode(all)
}

func ask(c net.Conn, until time.Time) {
	tick := time.NewTicker(askEvery)
	defer tick.Stop()
	for time.Now().Before(until) {
		_, _ = c.Write([]byte("?")) // nobody may be there
		<-tick.C
	}
}

func (f *flow) listen(c net.Conn, until time.Time) {
	defer c.Close()
	last := time.Now()
	_ = c.SetReadDeadline(until)
	for b := make([]byte, 100); ; {
		n, err := c.Read(b)
		now := time.Now()
		f.Gap, last = max(f.Gap, ms(now.Sub(last))), now
		switch {
		case err != nil && now.Before(until): // refused: there is no such address for a moment
			last = last.Add(-time.Duration(f.Gap * 1e6))
			continue
		case err != nil:
			return
		}
		f.Last = string(b[:n])
		if f.First == "" {
			f.First = f.Last
		}
	}
}

// spread asks once with each of n flows, each from a port of its own, and prints how many each machine has answered; "": nobody.
func spread(args []string) error {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	counts := map[string]int{}
	for port := firstPort; port < firstPort+n; port += 500 {
		if err := once(port, min(500, firstPort+n-port), args[1], counts); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(counts)
}

// firstPort is the first of the flows' own ports.
const firstPort = 20000

func once(port, n int, to string, counts map[string]int) error {
	var list []net.Conn
	for i := range n {
		d := net.Dialer{LocalAddr: &net.UDPAddr{Port: port + i}}
		c, err := d.Dial("udp4", to)
		if err != nil {
			return err
		}
		defer c.Close()
		list = append(list, c)
	}
	b := make([]byte, 100)
	for _, c := range list {
		who := ""
		for try := 0; try < 3 && who == ""; try++ { // the network may lose one
			_, _ = c.Write([]byte("?"))
			_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
			k, _ := c.Read(b)
			who = strings.TrimSpace(string(b[:k]))
		}
		counts[who]++
	}
	return nil
}
