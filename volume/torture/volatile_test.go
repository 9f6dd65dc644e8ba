package torture

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/state"
)

// TestVolatile: a primary without a disk writes at its only peer, which loses power, or is killed, with writes that were
// acknowledged and perhaps not flushed. A primary that goes on has lost nothing; one whose peer has lost something stops.
func TestVolatile(t *testing.T) {
	t.Parallel()
	_, rnd := seed(t)
	p, s := pair(t, 8<<20, [2]bool{}, func(c *volume.Config) {
		c.Nodes[0].Disk = "none"
		c.Quorum.Need, c.Quorum.Without = volume.Majority, "suspend-io"
	})
	a, b := s[0], s[1]
	a.up()
	b.up()
	a.until("connected", connected)
	b.must(state.Asked{Verb: "primary", Force: true})
	b.must(state.Asked{Verb: "secondary"})
	a.promote()
	port := a.open()
	data := make([]byte, 64<<10)
	do := func(cmd uint16, into []byte) error {
		t.Helper()
		n := len(data)
		if cmd == cmdFlush {
			n = 0
		}
		select {
		case err := <-port.begin(cmd, 0, 0, n, data, into).done:
			return err
		case <-time.After(patience):
			t.Fatalf("a request hangs: %+v", a.r.Status())
			return nil
		}
	}
	stopped := 0
	for i := range 12 {
		for k := range data {
			data[k] = byte(i + 1)
		}
		if err := do(cmdWrite, nil); err != nil {
			t.Fatal(err)
		}
		flushed, killed := i%3 == 0, i%3 == 1
		if flushed {
			if err := do(cmdFlush, nil); err != nil {
				t.Fatal(err)
			}
		}
		if killed {
			p.cut()
			b.r.Close()
		} else {
			b.powerOff(p, rnd)
		}
		a.until("it waits", func(s volume.Status) bool { return len(s.Frozen) > 0 })
		p.reset()
		p.heal()
		b.up()
		a.until("it goes on, or has stopped", func(s volume.Status) bool { return len(s.Frozen) == 0 || s.Failing })
		if s := a.r.Status(); s.Failing {
			if flushed || killed {
				t.Fatalf("nothing was lost, and it stopped: %v", s.Frozen)
			}
			stopped++
			a.must(state.Asked{Verb: "secondary", Force: true})
			a.promote()
			continue
		}
		into := make([]byte, len(data))
		if err := do(cmdRead, into); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(into, data) {
			t.Fatalf("round %d: an acknowledged write is gone, and the primary goes on", i)
		}
	}
	if stopped == 0 {
		t.Error("it never stopped: there was always a flush before the power went, which cannot be")
	}
}

// bootID names the boot of the site's machine.
func (s *site) bootID() string { return fmt.Sprintf("%s, boot %d", s.name, s.boot) }
