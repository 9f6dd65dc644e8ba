package replica

import (
	"bytes"
	"errors"
	"runtime"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/state"
)

// TestNoRightNoAnswer: a write that is done when this replica has no right to write any more is not answered with success: another
// node may be primary without it.
func TestNoRightNoAnswer(t *testing.T) {
	for _, mode := range []state.IOMode{state.IOError, state.IOClosed} {
		for _, late := range []bool{false, true} {
			r, err := New(Options{Config: pairOf(t, 2, 1<<20, nil)[0].cfg})
			if err != nil {
				t.Fatal(err)
			}
			var c client
			g, write, read := &r.gate, &front.Request{Op: front.Write}, &front.Request{Op: front.Read}
			finish := func() {
				for _, req := range []*front.Request{write, read} {
					req.Sink, c.done = &c, map[*front.Request]chan struct{}{req: make(chan struct{})}
					g.finish(req, proof{})
				}
			}
			g.set(state.IO{Mode: state.IOOpen})
			g.set(state.IO{Mode: state.IOFrozen})
			if !late {
				c.done = map[*front.Request]chan struct{}{write: make(chan struct{}), read: make(chan struct{})}
				write.Sink, read.Sink = &c, &c
				g.finish(write, proof{})
				g.finish(read, proof{})
			}
			g.set(state.IO{Mode: mode})
			if late {
				finish()
			}
			if !errors.Is(write.Err, syscall.EIO) || read.Err != nil {
				t.Errorf("mode %d, late %v: the write has the error %v, the read %v; want EIO and none", mode, late, write.Err, read.Err)
			}
			r.Close()
		}
	}
}

// TestAnsweredWhenOpen: who is told that the node is primary may write at once, whatever the step that says so has still to do.
func TestAnsweredWhenOpen(t *testing.T) {
	s := begun(t, 2, 1<<20, nil)
	s[0].must(state.Asked{Verb: "secondary"})
	s[1].until("nobody is primary", func(st volume.Status) bool { return st.Peers[0].Role == volume.Secondary })
	p, held := s[0].r.peers[1], make(chan struct{})
	s[0].r.loop.Lock()
	s[0].r.o.Event = func(e state.Event) {
		if e.Kind == "role" && !e.HasPeer {
			p.mu.Lock() // the answer is next, and then what becomes of writes to the peer
			close(held)
		}
	}
	s[0].r.loop.Unlock()
	asked := make(chan error, 1)
	go func() { asked <- s[0].ask(state.Asked{Verb: "primary"}) }()
	comes(t, "the role", held)
	for range 10000 {
		runtime.Gosched()
		if len(asked) > 0 {
			t.Error("it was answered in the middle of a step")
			break
		}
	}
	p.mu.Unlock()
	if err := <-asked; err != nil {
		t.Fatal(err)
	}
	s[0].write(0, fill(4096, 1))
}

// TestAnsweredTwiceGone: a primary without a disk has written at a peer that is lost before the client hears of it: the write is done
// anew at the peer that is left, not answered.
func TestAnsweredTwiceGone(t *testing.T) {
	s := begun(t, 3, 8<<20, nil)
	s[0].must(state.Asked{Verb: "detach"})
	s[0].until("two sources", func(st volume.Status) bool { return len(*s[0].r.from.Load()) == 2 })
	s[0].write(0, fill(4096, 1)) // the generation that begins without the disk here
	a := s[0].r
	a.gate.hold()                      // as if a loss had not been dealt with
	a.peers[2].setFlow(state.FlowMark) // c is cut off for a moment
	req := front.Request{Op: front.Write, Offset: 4096, Data: fill(8192, 3)}
	done := s[0].begin(a, &req)
	s[0].until("b has it", func(st volume.Status) bool { return st.InFlight == 0 })
	a.peers[2].setFlow(state.FlowSend)
	s[1].r.Close()
	s[0].until("without b", func(st volume.Status) bool { return st.Peers[0].State == volume.Connecting && len(*a.from.Load()) == 1 })
	a.gate.release()
	<-done
	if got := s[0].read(4096, 8192); req.Err != nil || !bytes.Equal(got, fill(8192, 3)) {
		t.Errorf("an acknowledged write (%v) is not there", req.Err)
	}
}
