package torture

import (
	"crypto/tls"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
)

// quick makes nodes notice the loss of a peer soon.
func quick(change func(int, *volume.Config)) func(int, *volume.Config) {
	return func(i int, c *volume.Config) {
		c.Net.PingInterval, c.Net.Timeout = 100*time.Millisecond, 300*time.Millisecond
		if change != nil {
			change(i, c)
		}
	}
}

// TestCuts treats the network badly under writes: no request fails, and in the end the replicas are the same.
func TestCuts(t *testing.T) {
	t.Parallel()
	n, rnd := seed(t)
	p, through := between(t)
	x := begin(t, set(t, 2, 8<<20, quick(through)))
	l := newLedger(8 << 20)
	evils := []struct {
		what string
		do   func()
	}{
		{"the connections break", p.reset},
		{"nothing comes through", func() { p.cut() }},
		{"nothing comes through to a", func() { p.set(func() { p.stall[towardA] = true }) }},
		{"nothing comes through to b", func() { p.set(func() { p.stall[towardB] = true }) }},
		{"everything is late", func() { p.set(func() { p.delay = 20 * time.Millisecond }) }},
		{"the link is slow", func() { p.set(func() { p.rate = 1 << 20 }) }},
		{"b is frozen", x[1].freeze},
		{"a is frozen", x[0].freeze},
		{"the connections break and none comes about", p.apart},
	}
	moment := func(ms int) { <-time.After(time.Duration(rnd.IntN(ms)) * time.Millisecond) }
	for more := rounds(t, 3*time.Second); more(); {
		n++
		w := write(t, x[0], l, 1+rnd.IntN(8), n)
		w.progress(10)
		evil := evils[rnd.IntN(len(evils))]
		t.Log(evil.what)
		evil.do()
		moment(800)
		x[0].thaw()
		x[1].thaw()
		if rnd.IntN(2) == 0 { // the next evil comes before the first is over
			evil := evils[rnd.IntN(len(evils)-3)]
			t.Log("and then: " + evil.what)
			evil.do()
			moment(500)
		}
		p.heal()
		w.progress(10)
		for _, y := range x {
			y.until("in step", inStep)
		}
		w.stop()
		for _, y := range x {
			y.until("in step", inStep)
		}
		look(t, x[0], l, false)
		same(t, x)
		if rnd.IntN(3) == 0 {
			x[0].demote()
			x[0], x[1] = x[1], x[0]
			x[0].promote()
			evils[6].do, evils[7].do = x[1].freeze, x[0].freeze
		}
	}
}

// TestNoise: who throws rubbish at the port of a volume, or opens it and says nothing, disturbs nobody.
func TestNoise(t *testing.T) {
	t.Parallel()
	x := begin(t, set(t, 2, 4<<20, nil))
	l := newLedger(4 << 20)
	w := write(t, x[0], l, 4, 1)
	defer w.stop()
	for _, y := range x {
		at := y.cfg.Nodes[y.cfg.Self].Address
		for _, rubbish := range []string{"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n", strings.Repeat("TV\x04\x00", 5000), "\x16\x03\x01\xff\xff"} {
			c, err := net.Dial("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.Write([]byte(rubbish))
		}
		// Somebody who speaks TLS, but does not know the secret.
		if c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true}); err == nil {
			c.SetReadDeadline(time.Now().Add(patience))
			c.Write(make([]byte, 100))
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a stranger gets an answer")
			}
			c.Close()
		}
	}
	w.progress(200)
	for _, y := range x {
		y.until("undisturbed", func(s volume.Status) bool { return s.Peers[0].State == volume.Connected })
	}
}
