package replica

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/internal/loopback"
	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/meta"
	"github.com/takt-ha/takt/volume/state"
)

// patience bounds each wait of a test: no measure of anything.
const patience = 2 * time.Minute

// client is a front end: it submits and waits.
type client struct {
	mu   sync.Mutex
	done map[*front.Request]chan struct{}
}

func (c *client) Done(r *front.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.done[r])
	delete(c.done, r)
}

func (c *client) Flush() {}

// errEnded: the replica was ended with the request in hand.
var errEnded = errors.New("the replica was ended")

// do runs one request to its end.
func (c *client) do(t testing.TB, r *Replica, req front.Request) error {
	t.Helper()
	done := c.begin(r, &req)
	select {
	case <-done:
		return req.Err
	case <-r.ctx.Done():
		return errEnded
	case <-time.After(patience):
		t.Fatalf("%s: a request does not end: %+v", r.self().Name, r.Status())
	}
	return nil
}

func (c *client) begin(r *Replica, req *front.Request) chan struct{} {
	done := make(chan struct{})
	c.mu.Lock()
	if c.done == nil {
		c.done = map[*front.Request]chan struct{}{}
	}
	c.done[req] = done
	c.mu.Unlock()
	req.Sink = c
	if req.Op == front.Read || req.Op == front.Write {
		req.Length = int64(len(req.Data))
	}
	r.Submit([]*front.Request{req})
	return done
}

// site is one replica of a test, which can be ended and begun anew.
type site struct {
	t   testing.TB
	cfg volume.Config
	dir string
	fs  osfs.FS
	r   *Replica
	// heard, where not nil, gets each event.
	heard func(state.Event)
	client
}

// pairOf makes n replicas of a volume on loopback, formatted, not begun.
func pairOf(t testing.TB, n int, size int64, change func(*volume.Config)) []*site {
	t.Helper()
	return pairIn(t, t.TempDir(), n, size, change)
}

// pairIn is pairOf with the disks in a folder.
func pairIn(t testing.TB, dir string, n int, size int64, change func(*volume.Config)) []*site {
	t.Helper()
	cfg := volume.Config{Name: "r0", ID: "0123456789abcdef0123456789abcdef", Size: size}
	cfg.Net.Secret = "of the test"
	cfg.Sync.MinRate = 1 << 30 // the writers of the tests never pause
	for i := range n {
		cfg.Nodes = append(cfg.Nodes, volume.Node{ID: volume.NodeID(i), Name: string(rune('a' + i)), Address: freeAddress(t)})
	}
	cfg = cfg.WithDefaults()
	if change != nil {
		change(&cfg)
	}
	var sites []*site
	for i := range n {
		s := &site{t: t, cfg: cfg, dir: filepath.Join(dir, strconv.Itoa(i)), fs: osfs.OS{}}
		if err := os.Mkdir(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		s.cfg.Self = volume.NodeID(i)
		s.cfg.Nodes = append([]volume.Node(nil), cfg.Nodes...)
		for k := range s.cfg.Nodes {
			s.cfg.Nodes[k].Disk = filepath.Join(s.dir, "disk")
		}
		if err := os.WriteFile(s.options().Path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		super := meta.Super{Self: s.cfg.Self, Size: size, Disk: volume.Inconsistent, Gen: meta.Generations{Current: volume.JustCreated}}
		id, _ := hex.DecodeString(s.cfg.ID)
		copy(super.Volume[:], id)
		if err := disk.Create(s.fs, s.options(), super); err != nil {
			t.Fatal(err)
		}
		sites = append(sites, s)
	}
	return sites
}

func (s *site) options() disk.Options {
	return disk.Options{Volume: s.cfg.Name, Path: filepath.Join(s.dir, "disk"), Self: s.cfg.Self, Size: s.cfg.Size, Extents: s.cfg.Disk.Extents}
}

// freeAddress is one that nobody listens at, and nobody else gets while the test runs.
func freeAddress(t testing.TB) string {
	t.Helper()
	address, release, err := loopback.Reserve()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(release)
	return address
}

// up begins the replica.
func (s *site) up() *site {
	s.t.Helper()
	r, err := New(Options{Config: s.cfg, OpenDisk: func() (*disk.Disk, error) { return disk.Open(s.fs, s.options()) }, Event: func(e state.Event) {
		if _, bench := s.t.(*testing.B); !bench {
			s.t.Log(s.cfg.Self, e.Kind, e.Words)
		}
		if s.heard != nil {
			s.heard(e)
		}
	}})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.r = r
	s.t.Cleanup(func() { r.Close() })
	s.must(state.Asked{Verb: "up"})
	return s
}

func (s *site) ask(a state.Asked) error {
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	_, err := s.r.Ask(ctx, a)
	return err
}

func (s *site) must(a state.Asked) {
	s.t.Helper()
	if err := s.ask(a); err != nil {
		s.t.Fatalf("%s on %s: %v", a.Verb, s.r.self().Name, err)
	}
}

// promote makes the site primary as soon as all others have noticed that the last primary is gone.
func (s *site) promote() {
	s.t.Helper()
	err := s.ask(state.Asked{Verb: "primary"})
	for end := time.Now().Add(patience); err != nil && time.Now().Before(end); err = s.ask(state.Asked{Verb: "primary"}) {
		pause(s.r.ctx, 5*time.Millisecond)
	}
	if err != nil {
		s.t.Fatalf("primary on %s: %v", s.r.self().Name, err)
	}
}

// until waits for a condition of the status.
func (s *site) until(what string, ok func(volume.Status) bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); ; {
		st := s.r.Status()
		if ok(st) {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("%s never: %s: %+v", s.r.self().Name, what, st)
		}
		pause(s.r.ctx, 5*time.Millisecond)
	}
}

func inStep(st volume.Status) bool {
	for _, p := range st.Peers {
		if p.State != volume.Connected || p.Disk != volume.UpToDate || p.OutOfSync != 0 || p.Pending != 0 {
			return false
		}
	}
	return st.Disk == volume.UpToDate
}

func (s *site) write(off int64, data []byte) {
	s.t.Helper()
	if err := s.do(s.t, s.r, front.Request{Op: front.Write, Offset: off, Data: data}); err != nil {
		s.t.Fatalf("write: %v", err)
	}
}

func (s *site) read(off int64, n int) []byte {
	s.t.Helper()
	data := make([]byte, n)
	if err := s.do(s.t, s.r, front.Request{Op: front.Read, Offset: off, Data: data}); err != nil {
		s.t.Fatalf("read: %v", err)
	}
	return data
}

// same compares the data of the replicas, on their disks.
func same(t testing.TB, sites []*site) {
	t.Helper()
	var first []byte
	for i, s := range sites {
		f, err := os.ReadFile(s.options().Path)
		if err != nil {
			t.Fatal(err)
		}
		f = f[:s.cfg.Size]
		if i == 0 {
			first = f
			continue
		}
		for at := 0; at < len(f); at += volume.BlockSize {
			if !bytes.Equal(first[at:at+volume.BlockSize], f[at:at+volume.BlockSize]) {
				t.Fatalf("block %d differs between %s and %s", at/volume.BlockSize, sites[0].cfg.Nodes[0].Name, s.cfg.Nodes[i].Name)
			}
		}
	}
}

func fill(n int, seed byte) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b) // never fails
	return b
}

// begun is a pair that is in step, the first of which is primary.
func begun(t testing.TB, n int, size int64, change func(*volume.Config)) []*site {
	t.Helper()
	return begin(t, pairOf(t, n, size, change))
}

// begin starts the replicas and makes the first primary.
func begin(t testing.TB, sites []*site) []*site {
	t.Helper()
	for _, s := range sites {
		s.up()
	}
	for _, s := range sites {
		s.until("all connected", func(st volume.Status) bool {
			for _, p := range st.Peers {
				if p.State < volume.Connected {
					return false
				}
			}
			return true
		})
	}
	sites[0].must(state.Asked{Verb: "primary", Force: true})
	for _, s := range sites {
		s.until("in step", inStep)
	}
	return sites
}

func TestMirror(t *testing.T) {
	for _, plain := range []bool{true, false} {
		t.Run(fmt.Sprintf("plain=%v", plain), func(t *testing.T) {
			s := begun(t, 2, 16<<20, func(c *volume.Config) { c.Net.Plain = plain })
			for i := range 50 {
				s[0].write(int64(i)*12345, fill(10000, byte(i)))
			}
			if got := s[0].read(12345, 10000); !bytes.Equal(got[:2345-0], fill(10000, 1)[:2345]) {
				t.Error("what is read is not what was written")
			}
			if err := s[0].do(t, s[0].r, front.Request{Op: front.Flush}); err != nil {
				t.Error(err)
			}
			same(t, s)
		})
	}
}

func TestReturn(t *testing.T) {
	s := begun(t, 2, 64<<20, nil)
	s[0].write(0, fill(1<<20, 1))
	if err := s[0].do(t, s[0].r, front.Request{Op: front.Flush}); err != nil { // what b has not flushed would count as different
		t.Error(err)
	}
	s[1].r.Close()
	s[0].until("alone", func(st volume.Status) bool { return st.Peers[0].State == volume.Connecting })
	s[0].write(8<<20, fill(1<<20, 2))
	if got := s[0].r.Status().Peers[0].OutOfSync; got != 1<<20 {
		t.Errorf("%d bytes are out of sync, want 1 MiB", got)
	}
	s[1].up()
	s[0].until("in step", inStep)
	s[1].until("in step", inStep)
	same(t, s)
}

func TestTakeover(t *testing.T) {
	s := begun(t, 2, 16<<20, nil)
	s[0].write(4096, fill(8192, 7))
	s[0].r.Close() // without a word
	s[1].until("alone", func(st volume.Status) bool { return st.Peers[0].State == volume.Connecting })
	s[1].must(state.Asked{Verb: "primary"})
	if got := s[1].read(4096, 8192); !bytes.Equal(got, fill(8192, 7)) {
		t.Error("an acknowledged write is lost")
	}
	s[1].write(1<<20, fill(4096, 8))
	s[0].up()
	s[1].until("in step", inStep)
	s[0].until("in step", inStep)
	same(t, s)
}
