package torture

import (
	"bytes"
	"context"
	"encoding/hex"
	"math/rand/v2"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/meta"
	"github.com/takt-ha/takt/volume/replica"
	"github.com/takt-ha/takt/volume/state"
)

// site is a replica in this process, on a disk that forgets what was not synced when the power goes.
type site struct {
	t    *testing.T
	name string
	cfg  volume.Config
	mem  *osfs.Mem
	boot int  // how often its power came back
	slow bool // the disk says that it takes its time: another way through the data path
	r    *replica.Replica
	port *inside
}

// slowFS is a disk that does not answer at once.
type slowFS struct{ osfs.FS }

type slowFile struct {
	osfs.Device
	writes *atomic.Int64
}

func (slowFile) InMemory() bool { return false }

// WriteAt takes its time now and then: what is quick is done by who has it, what follows one that waited by others, for a
// while, so that both ways meet.
func (f slowFile) WriteAt(p []byte, off int64) (int, error) {
	if f.writes.Add(1)%400 == 0 {
		<-time.After(time.Millisecond)
	}
	return f.Device.WriteAt(p, off)
}

func (f slowFS) OpenFile(op, name string, flag int, perm os.FileMode) (osfs.File, error) {
	file, err := f.FS.OpenFile(op, name, flag, perm)
	if err != nil {
		return nil, err
	}
	return slowFile{file.(osfs.Device), new(atomic.Int64)}, nil
}

const diskPath = "/disk"

// pair makes two replicas, formatted, not begun, with a proxy between them.
func pair(t *testing.T, size int64, slow [2]bool, change func(*volume.Config)) (*proxy, []*site) {
	t.Helper()
	c := volume.Config{Name: "r0", ID: "0123456789abcdef0123456789abcdef", Size: size}
	c.Net.Plain, c.Net.ConnectInterval = true, 50*time.Millisecond
	c.Disk.Extents = 7
	c.Sync.MinRate = 1 << 30 // no test waits for a resync that makes way for the writer
	for i := range 2 {
		c.Nodes = append(c.Nodes, volume.Node{ID: volume.NodeID(i), Name: string(rune('a' + i)), Address: freeAddress(t), Disk: diskPath})
	}
	c = c.WithDefaults()
	if change != nil {
		change(&c)
	}
	p := newProxy(t, c.Nodes[0].Address)
	var sites []*site
	for i := range 2 {
		s := &site{t: t, name: c.Nodes[i].Name, cfg: c, mem: osfs.NewMem(), slow: slow[i]}
		s.cfg.Self, s.cfg.Nodes = volume.NodeID(i), append([]volume.Node(nil), c.Nodes...)
		if i == 1 {
			s.cfg.Nodes[0].Address = p.ln.Addr().String()
		}
		s.format()
		sites = append(sites, s)
	}
	return p, sites
}

func (s *site) fs() osfs.FS {
	if s.slow {
		return slowFS{s.mem}
	}
	return s.mem
}

func (s *site) options() disk.Options {
	o := disk.Options{Volume: s.cfg.Name, Path: diskPath, Self: s.cfg.Self, Size: s.cfg.Size, Extents: s.cfg.Disk.Extents}
	for _, n := range s.cfg.Nodes {
		if n.ID != s.cfg.Self {
			o.Peers = append(o.Peers, n.ID)
		}
	}
	id, _ := hex.DecodeString(s.cfg.ID)
	copy(o.ID[:], id)
	return o
}

func (s *site) format() {
	s.t.Helper()
	o := s.options()
	super := meta.Super{Volume: o.ID, Self: s.cfg.Self, Size: s.cfg.Size, Disk: volume.Inconsistent, Gen: meta.Generations{Current: volume.JustCreated}, ActlogSize: o.Extents}
	if err := disk.Create(s.fs(), o, super); err != nil {
		s.t.Fatal(err)
	}
	if err := s.mem.SyncDir("test", "/"); err != nil {
		s.t.Fatal(err)
	}
}

// up begins the replica.
func (s *site) up() {
	s.t.Helper()
	r, err := replica.New(replica.Options{Config: s.cfg, Boot: s.bootID(), OpenDisk: func() (*disk.Disk, error) { return disk.Open(s.fs(), s.options()) },
		Event: func(e state.Event) { s.t.Log(s.name, e.Kind, e.Words) }})
	if err != nil {
		s.t.Fatal(err)
	}
	if err := r.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.r = r
	s.t.Cleanup(func() { r.Close() })
	s.must(state.Asked{Verb: "up"})
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
		s.t.Fatalf("%s on %s: %v: %+v", a.Verb, s.name, err, s.r.Status())
	}
}

func (s *site) promote() {
	s.t.Helper()
	var err error
	for end := time.Now().Add(patience); time.Now().Before(end); pause() {
		if err = s.ask(state.Asked{Verb: "primary"}); err == nil {
			return
		}
	}
	s.t.Fatalf("%s cannot become primary: %v: %+v", s.name, err, s.r.Status())
}

func (s *site) until(what string, ok func(volume.Status) bool) {
	s.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); pause() {
		if ok(s.r.Status()) {
			return
		}
	}
	s.t.Fatalf("%s never: %s: %+v", s.name, what, s.r.Status())
}

// open is a port of its own to the replica.
func (s *site) open() *inside {
	s.port = &inside{r: s.r, waiting: map[*front.Request]*call{}}
	return s.port
}

// powerOff cuts the power of a site: nothing that it does from now on is heard of, and what was
// not synced is gone, or is not, as it happens.
func (s *site) powerOff(p *proxy, rnd *rand.Rand) {
	s.boot++
	p.cut()
	if s.port != nil {
		s.port.close()
	}
	s.mem.Crash(rnd)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.r.Close()
	}()
	select {
	case <-ended:
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		s.t.Fatalf("%s does not end:\n%s", s.name, stacks[:runtime.Stack(stacks, true)])
	}
}

// inside is a port to a replica in this process.
type inside struct {
	r       *replica.Replica
	mu      sync.Mutex
	closed  bool
	waiting map[*front.Request]*call
}

var ops = map[uint16]front.Op{cmdRead: front.Read, cmdWrite: front.Write, cmdFlush: front.Flush, cmdTrim: front.Trim, cmdZeroes: front.Zero}

func (c *inside) begin(cmd, flags uint16, off int64, n int, data, into []byte) *call {
	w := &call{done: make(chan error, 1)}
	req := &front.Request{Op: ops[cmd], Offset: off, Length: int64(n), Data: data, FUA: flags&flagFUA != 0, Sink: c}
	if cmd == cmdRead {
		req.Data = into
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		w.done <- errGone
		return w
	}
	c.waiting[req] = w
	c.mu.Unlock()
	c.r.Submit([]*front.Request{req})
	return w
}

// Done is told of the end of a request.
func (c *inside) Done(req *front.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if w := c.waiting[req]; w != nil {
		w.done <- req.Err
		delete(c.waiting, req)
	}
}

// Flush has nothing to do: Done has told everything.
func (c *inside) Flush() {}

func (c *inside) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for req, w := range c.waiting {
		w.done <- errGone
		delete(c.waiting, req)
	}
}

func (s *site) content() []byte {
	s.t.Helper()
	b, err := s.mem.ReadFile("test", diskPath)
	if err != nil {
		s.t.Fatal(err)
	}
	return b[:s.cfg.Size]
}

// storm is what the rounds of TestPower have in hand.
type storm struct {
	t    *testing.T
	rnd  *rand.Rand
	seed uint64
	p    *proxy
	s    []*site // the primary first
	l    *ledger
	w    *writer
}

func (k *storm) writers() {
	k.t.Helper()
	k.seed++
	k.w = writeTo(k.t, k.s[0].open(), k.l, 1+k.rnd.IntN(8), k.seed)
	k.w.progress(10)
}

func (k *storm) moment() { <-time.After(time.Duration(k.rnd.IntN(120)) * time.Millisecond) }

// back is the power's return on a site.
func (k *storm) back(s *site) {
	k.t.Helper()
	k.p.reset()
	k.p.heal()
	s.up()
}

// TestPower cuts the power of one side or of both at random moments under writes.
func TestPower(t *testing.T) {
	t.Parallel()
	n, rnd := seed(t)
	const size = 40 << 20
	k := &storm{t: t, rnd: rnd, seed: n, l: newLedger(size)}
	k.p, k.s = pair(t, size, [2]bool{rnd.IntN(2) == 0, rnd.IntN(2) == 0}, nil)
	for _, s := range k.s {
		s.up()
	}
	for _, s := range k.s {
		s.until("connected", connected)
	}
	k.s[0].must(state.Asked{Verb: "primary", Force: true})
	for _, s := range k.s {
		s.until("in step", inStep)
	}
	for more := rounds(t, 4*time.Second); more(); {
		k.writers()
		k.moment()
		power := []func() bool{k.primary, k.secondary, k.both, k.bothThenOne, k.bothInResync}[rnd.IntN(5)]()
		for _, s := range k.s {
			s.until("in step", inStep)
		}
		lookAt(t, k.s[0].name, k.s[0].open(), k.l, power)
		if a, b := k.s[0].content(), k.s[1].content(); !bytes.Equal(a, b) {
			t.Fatal("the replicas differ")
		}
	}
}

// primary: the other one has everything that was acknowledged, and has not lost power.
func (k *storm) primary() bool {
	k.t.Log("the primary loses power")
	k.s[0].powerOff(k.p, k.rnd)
	k.w.stop()
	k.p.reset()
	k.s[0], k.s[1] = k.s[1], k.s[0]
	k.s[0].promote()
	lookAt(k.t, k.s[0].name, k.s[0].open(), k.l, false)
	k.writers()
	k.moment()
	k.back(k.s[1])
	k.s[0].until("in step", inStep)
	k.w.stop()
	return false
}

// secondary: the primary goes on.
func (k *storm) secondary() bool {
	k.t.Log("the secondary loses power")
	k.s[1].powerOff(k.p, k.rnd)
	k.p.reset()
	k.w.progress(10)
	k.moment()
	k.back(k.s[1])
	k.s[0].until("in step", inStep)
	k.w.stop()
	return false
}

// both: what was flushed is there, on both, and both are the same.
func (k *storm) both() bool {
	k.t.Log("both lose power")
	k.down()
	for _, i := range k.rnd.Perm(2) {
		k.back(k.s[i])
		k.moment()
	}
	for _, s := range k.s {
		s.until("in step", inStep)
	}
	if k.rnd.IntN(2) == 0 {
		k.s[0], k.s[1] = k.s[1], k.s[0]
	}
	k.s[0].promote()
	return true
}

// bothThenOne: both lose power at once, and the former secondary goes on alone: what was flushed is there, too.
func (k *storm) bothThenOne() bool {
	k.t.Log("both lose power, the former secondary goes on alone")
	k.s[0].powerOff(k.p, k.rnd)
	k.s[1].powerOff(k.p, k.rnd)
	k.w.stop()
	k.s[0], k.s[1] = k.s[1], k.s[0]
	k.back(k.s[0])
	k.s[0].promote()
	lookAt(k.t, k.s[0].name, k.s[0].open(), k.l, true)
	k.writers()
	k.moment()
	k.back(k.s[1])
	k.s[0].until("in step", inStep)
	k.w.stop()
	return false
}

// down takes the power from both, one shortly after the other.
func (k *storm) down() {
	first := k.rnd.IntN(2)
	k.s[first].powerOff(k.p, k.rnd)
	if k.rnd.IntN(2) == 0 {
		k.p.reset()
		k.moment()
	}
	k.s[1-first].powerOff(k.p, k.rnd)
	k.w.stop()
}

// bothInResync: both lose power while one is copied to the other.
func (k *storm) bothInResync() bool {
	k.t.Log("both lose power in the middle of a resync")
	k.s[1].powerOff(k.p, k.rnd)
	k.p.reset()
	k.w.progress(100)
	k.back(k.s[1])
	k.s[0].until("the resync runs, or has", func(s volume.Status) bool { return s.Peers[0].State >= volume.Connected })
	k.down()
	for _, i := range k.rnd.Perm(2) {
		k.back(k.s[i])
		k.moment()
	}
	k.s[0].promote()
	return true
}
