package nbd

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/volume/front/fronttest"
)

func TestSecondaryMayOnlyBeRead(t *testing.T) {
	d := file(t, 1<<20)
	d.SetReadOnly(true)
	_, path := start(t, d, Config{})
	c := dial(t, path)
	c.hello(flagFixedNewstyle)
	for _, r := range c.options(optGo, goData("")) {
		if r.kind == repInfo && binary.BigEndian.Uint16(r.data) == infoExport && binary.BigEndian.Uint16(r.data[10:])&flagReadOnly == 0 {
			t.Error("the export is not said to be read-only")
		}
	}
	for _, cmd := range []uint16{cmdWrite, cmdTrim, cmdWriteZeroes} {
		if code, _, _ := c.do(request{cmd: cmd, length: 3}, make([]byte, request{cmd: cmd, length: 3}.payload())); code != errPerm {
			t.Errorf("command %d: %d", cmd, code)
		}
	}
	for _, r := range []request{{cmd: cmdRead, length: 3}, {cmd: cmdFlush}, {cmd: cmdCache, length: 1}} {
		if code, _, _ := c.do(r, nil); code != 0 {
			t.Errorf("%+v: %d", r, code)
		}
	}
}

// TestHangUp: writers are refused what comes after it, and end when nothing is in flight; readers stay.
func TestHangUp(t *testing.T) {
	d := file(t, 1<<20)
	held := fronttest.Hold(d)
	s, path := start(t, held, Config{})
	idle, busy := connect(t, path, true), connect(t, path, true)
	d.SetReadOnly(true)
	reader := connect(t, path, true)
	d.SetReadOnly(false)
	busy.request(request{cmd: cmdWrite, length: 3, cookie: 1}, []byte("abc"))
	held.Await(1)
	s.HangUp()
	idle.gone()
	busy.request(request{cmd: cmdWrite, length: 3, cookie: 2}, []byte("def"))
	if a := busy.reply(0); a.cookie != 2 || a.code != errShutdown {
		t.Errorf("a write after it: %+v", a)
	}
	held.Release(0, nil)
	if a := busy.reply(0); a.cookie != 1 || a.code != 0 {
		t.Errorf("the write before it: %+v", a)
	}
	busy.gone()
	reader.request(request{cmd: cmdRead, length: 3, cookie: 3}, nil)
	held.Await(1)
	held.Release(0, nil)
	if a := reader.reply(0); string(a.data) != "abc" {
		t.Errorf("the reader: %+v", a)
	}
	connect(t, path, true)
}

// TestUsersAreCounted: only while the export is in use; descriptions do not count.
func TestUsersAreCounted(t *testing.T) {
	d := file(t, 1<<20)
	s, path := start(t, d, Config{})
	asking := dial(t, path)
	asking.hello(flagFixedNewstyle)
	asking.option(optInfo, goData("r0"))
	if n := d.Users(); n != 0 {
		t.Fatalf("%d users after INFO", n)
	}
	asking.option(optAbort, nil)
	asking.gone()
	a, b := connect(t, path, true), connect(t, path, false)
	if n := d.Users(); n != 2 {
		t.Fatalf("%d users, want 2", n)
	}
	a.request(request{cmd: cmdDisc}, nil)
	a.gone()
	b.nc.Close()
	ctx, cancel := context.WithTimeout(context.Background(), soon)
	defer cancel()
	if err := s.Close(ctx); err != nil || d.Users() != 0 {
		t.Fatalf("%v; %d users", err, d.Users())
	}
}

func TestClientsThatSpeakSomethingElse(t *testing.T) {
	d := file(t, 1<<20)
	_, path := start(t, d, Config{})
	for _, noise := range []string{"GET / HTTP/1.1\r\n\r\n", "\x00\x00\x00\xff", "\x00\x00\x00\x03IHAVEOPT\x00\x00\x00\x03\xff\xff\xff\xff", "\x00\x00\x00\x03IHAVEOPTION_THAT_IS_NONE"} {
		c := dial(t, path)
		c.recv(18)
		c.send([]byte(noise))
		c.gone()
	}
	c := dial(t, path)
	c.hello(flagFixedNewstyle)
	if r := c.option(optList, make([]byte, maxOption+1)); r.kind != repErrTooBig {
		t.Errorf("an option too long: %x", r.kind)
	}
	if r := c.option(optGo, goData("r0")); r.kind != repAck {
		t.Errorf("after it: %x", r.kind)
	}
	c.send(make([]byte, requestSize))
	c.gone()
	half := connect(t, path, true)
	half.send(requestBytes(request{cmd: cmdWrite, length: 1 << 20}, make([]byte, 300000)))
	half.nc.Close()
	if code, _, _ := connect(t, path, true).do(request{cmd: cmdFlush}, nil); code != 0 {
		t.Errorf("the server is not well: %d", code)
	}
}

// TestRequestsInAHurry: requests that come right behind the handshake, in one packet.
func TestRequestsInAHurry(t *testing.T) {
	_, path := start(t, file(t, 1<<20), Config{})
	c := dial(t, path)
	c.recv(18)
	b := binary.BigEndian.AppendUint32(nil, flagFixedNewstyle|flagNoZeroes)
	b = append(b, optionBytes(optExportName, []byte("r0"))...)
	for i := range 3 {
		b = append(b, requestBytes(request{cmd: cmdWrite, offset: uint64(i), length: 1, cookie: uint64(i)}, []byte{1})...)
	}
	c.send(b)
	c.recv(10)
	for i := range 3 {
		if a := c.reply(0); a.cookie != uint64(i) || a.code != 0 {
			t.Errorf("answer %d: %+v", i, a)
		}
	}
}

func TestTooManyConnections(t *testing.T) {
	_, path := start(t, file(t, 1<<20), Config{MaxConns: 1})
	c := connect(t, path, true)
	dial(t, path).gone()
	if code, _, _ := c.do(request{cmd: cmdFlush}, nil); code != 0 {
		t.Error(code)
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	dead.SetUnlinkOnClose(false)
	dead.Close()
	ln, err := Listen(path)
	if err != nil {
		t.Fatal("over a dead server's socket:", err)
	}
	defer ln.Close()
	if _, err := Listen(path); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), "another server") {
		t.Error("over a living server's socket:", err)
	}
}

// TestCloseWithRequestsInFlight: they are answered, new ones are refused, then the
// connection ends.
func TestCloseWithRequestsInFlight(t *testing.T) {
	held := fronttest.Hold(file(t, 1<<20))
	s, path := start(t, held, Config{})
	busy, idle := connect(t, path, true), connect(t, path, true)
	busy.request(request{cmd: cmdWrite, length: 3, cookie: 1}, []byte("abc"))
	held.Await(1)
	closed := make(chan error)
	go func() { closed <- s.Close(context.Background()) }()
	idle.gone()
	busy.request(request{cmd: cmdFlush, cookie: 2}, nil)
	if a := busy.reply(0); a.cookie != 2 || a.code != errShutdown {
		t.Errorf("a new request: %+v", a)
	}
	held.Release(0, nil)
	if a := busy.reply(0); a.cookie != 1 || a.code != 0 {
		t.Errorf("the one in flight: %+v", a)
	}
	busy.gone()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

// TestCloseOfAFrozenVolume does not wait for ever.
func TestCloseOfAFrozenVolume(t *testing.T) {
	held := fronttest.Hold(file(t, 1<<20))
	s, path := start(t, held, Config{})
	c := connect(t, path, true)
	c.request(request{cmd: cmdRead, length: 3}, nil)
	held.Await(1)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := s.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 requests") {
		t.Error(err)
	}
	c.gone()
	held.Release(0, nil) // late, after the client has gone
}

// TestMemoryIsBounded: of a client that writes to a frozen volume, and of one that does not read.
func TestMemoryIsBounded(t *testing.T) {
	const limit = 8 << 20
	held := fronttest.Hold(file(t, 64<<20))
	s, path := start(t, held, Config{Memory: limit})
	c := connect(t, path, true)
	var sent sync.WaitGroup
	sent.Go(func() {
		b := requestBytes(request{cmd: cmdWrite, length: 1 << 20}, make([]byte, 1<<20))
		for range 32 {
			if _, err := c.nc.Write(b); err != nil {
				return
			}
		}
	})
	held.Await(limit/4/chunkBytes - idleChunks) // it has all that it may have now
	if n := held.Bytes(); n > limit/4 {
		t.Errorf("%d bytes are with the device, the limit of a connection is %d", n, limit/4)
	}
	other := connect(t, path, true)
	other.request(request{cmd: cmdRead, length: 1 << 10}, nil)
	for n := 0; n < 32*4+1; n++ {
		held.Await(1)
		held.Release(0, nil)
		s.memory.mu.Lock()
		if s.memory.used > limit+2*idleChunks*chunkBytes {
			t.Errorf("%d bytes are out", s.memory.used)
		}
		s.memory.mu.Unlock()
	}
	sent.Wait()
	for range 32 {
		if a := c.reply(0); a.code != 0 {
			t.Fatalf("%+v", a)
		}
	}
	if a := other.reply(0); a.code != 0 {
		t.Fatalf("%+v", a)
	}
}

// TestClientThatDoesNotRead gets stuck alone, and gets all its answers later.
func TestClientThatDoesNotRead(t *testing.T) {
	d := file(t, 8<<20)
	s, path := start(t, d, Config{Memory: 4 << 20})
	writer := connect(t, path, true)
	if code, words, _ := writer.do(request{cmd: cmdWrite, length: 1 << 20}, noise(4, 1<<20)); code != 0 {
		t.Fatal(code, words)
	}
	lazy := connect(t, path, true)
	const reads = 100
	var sent sync.WaitGroup
	sent.Go(func() {
		for i := range reads {
			lazy.nc.Write(requestBytes(request{cmd: cmdRead, length: 1 << 20, cookie: uint64(i)}, nil))
		}
	})
	for range 50 {
		if _, _, b := writer.do(request{cmd: cmdRead, length: 1 << 20}, nil); len(b) != 1<<20 {
			t.Fatal("the others are held up")
		}
	}
	s.memory.mu.Lock()
	if s.memory.used > 4<<20+2*idleChunks*chunkBytes {
		t.Errorf("%d bytes are out", s.memory.used)
	}
	s.memory.mu.Unlock()
	for got := 0; got < reads; {
		if lazy.reply(0).done {
			got++
		}
	}
	sent.Wait()
}

// TestHandshakeHasALimitOfTime, on virtual time and on a listener that is no socket.
func TestHandshakeHasALimitOfTime(t *testing.T) {
	d := file(t, 1<<20)
	synctest.Test(t, func(t *testing.T) {
		s := New(d, Config{Name: "r0"})
		server, nc := net.Pipe()
		s.admit(server)
		c := &client{t, nc}
		c.recv(18)
		time.Sleep(s.cfg.Handshake + time.Second)
		synctest.Wait()
		if n := s.Connections(); n != 0 {
			t.Errorf("%d connections", n)
		}
		nc.Close()
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// TestAnyConnection: not only sockets.
func TestAnyConnection(t *testing.T) {
	s := New(file(t, 4<<20), Config{Name: "r0"})
	server, nc := net.Pipe()
	s.admit(server)
	c := &client{t, nc}
	c.hello(flagFixedNewstyle | flagNoZeroes)
	c.option(optStructuredReply, nil)
	c.option(optGo, goData("r0"))
	text := noise(5, 1<<20)
	c.do(request{cmd: cmdWrite, length: 1 << 20}, text)
	if _, _, got := c.do(request{cmd: cmdRead, length: 1 << 20}, nil); string(got) != string(text) {
		t.Error("other bytes")
	}
	c.request(request{cmd: cmdDisc}, nil)
	c.gone()
	if err := s.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
