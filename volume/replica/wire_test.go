package replica

import (
	"errors"
	"net"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// wired returns both ends of a connection.
func wired(t *testing.T) (a, b *wire) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	there := make(chan net.Conn, 1)
	go func() {
		c, _ := l.Accept()
		there <- c
	}()
	here, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ends := [2]*wire{}
	for i, c := range []net.Conn{here, <-there} {
		if ends[i], err = newWire(c.(*net.TCPConn)); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ends[i].Close() })
	}
	return ends[0], ends[1]
}

// TestWireSendsEverything: also what is more than the socket holds.
func TestWireSendsEverything(t *testing.T) {
	a, b := wired(t)
	for _, n := range []int{1, short, short + 1, 16 << 20} {
		want := fill(n, byte(n))
		go a.Write(want)
		got := make([]byte, n)
		for have := 0; have < n; {
			k, err := b.Read(got[have:])
			if err != nil {
				t.Fatal(err)
			}
			have += k
		}
		if string(got) != string(want) {
			t.Fatalf("of %d bytes other ones arrived", n)
		}
	}
}

// TestWireClosesOnce: those who are inside wake up, the descriptor is given back when the last one has left, and nobody uses
// it after that: its number may be another file's.
func TestWireClosesOnce(t *testing.T) {
	for range 200 {
		a, b := wired(t)
		var all sync.WaitGroup
		all.Go(func() { // the buffers fill up: it blocks
			for _, err := a.Write(make([]byte, 1<<20)); err == nil; _, err = a.Write(make([]byte, 1<<20)) {
			}
		})
		all.Go(func() {
			for _, err := a.Read(make([]byte, 10)); err == nil; _, err = a.Read(make([]byte, 10)) {
			}
		})
		for range 2 {
			all.Go(func() { a.Close() })
		}
		all.Wait()
		if n := a.state.Load(); n != shut {
			t.Fatalf("state %x", n)
		}
		if _, err := unix.FcntlInt(uintptr(a.fd), unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			t.Fatal("the descriptor is still there:", err)
		}
		if _, err := a.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		b.Close()
	}
}
