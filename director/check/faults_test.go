package check

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/pool"
)

// TestEndlessBody: a page that never ends costs a check neither more memory than what it looks into, nor more time than it has; one that is
// not looked into is not read.
func TestEndlessBody(t *testing.T) {
	at := listen(t, flood)
	for _, c := range []struct {
		name  string
		url   director.URL
		limit time.Duration
		want  string
	}{
		{"not looked into", director.URL{Path: "/"}, patience, ""},
		{"a regex", director.URL{Path: "/", Regex: "y"}, patience, "found: false"},
		{"a digest", director.URL{Path: "/", Digest: "0123"}, time.Second, "no answer within 1s"},
		{"both", director.URL{Path: "/", Regex: "^\x00", Digest: "0123"}, time.Second, "no answer within 1s"},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := ask(t, director.Check{Kind: "HTTP_GET", HTTP: &director.HTTPCheck{URLs: []director.URL{c.url}}, Timing: director.CheckTiming{Timeout: c.limit}}, at)
		runtime.ReadMemStats(&after)
		expect(t, c.name, err, c.want)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 12*maxBody { // a slice that grows to maxBody, and the server's buffer
			t.Errorf("%s: it took %d bytes of memory", c.name, grown)
		}
	}
	_, err := ask(t, director.Check{Kind: "HTTP_GET", HTTP: &director.HTTPCheck{URLs: []director.URL{{Path: "/"}}}, Timing: director.CheckTiming{Timeout: patience}},
		listen(t, func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "X-More: "+strings.Repeat("y", 1000)+"\r\n"); err != nil {
					return
				}
			}
		}))
	expect(t, "a header without end", err, "is too long")
}

// logged is a log that several goroutines may write.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestNoDescriptors: a process without a descriptor to spare blames no server for that; it says so, once, and goes on when there are some again.
func TestNoDescriptors(t *testing.T) {
	good := listen(t, hang)
	timing := director.CheckTiming{Loop: 10 * time.Millisecond, Warmup: time.Millisecond, Timeout: time.Second}
	config := func(at ...netip.AddrPort) *director.Config {
		v := director.VirtualServer{Key: director.ServiceKey{Addr: netip.MustParseAddrPort("10.0.0.1:80")}, Protocol: director.TCP}
		for _, a := range at {
			v.Servers = append(v.Servers, director.RealServer{Addr: a, Weight: 1, Checks: []director.Check{{Kind: "TCP_CHECK", Timing: timing}}})
		}
		return &director.Config{Servers: []director.VirtualServer{v}}
	}
	dead := closed(t)
	o, log := &told{news: make(chan struct{}, 1)}, &logged{}
	r := NewRunner(o.add, slog.New(slog.NewTextHandler(log, nil)))
	defer r.Close()

	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	none := limit
	none.Cur = 3
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &none); err != nil {
		t.Fatal(err)
	}
	restore := sync.OnceValue(func() error { return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit) })
	defer restore() //nolint:errcheck // it was so before
	if err := r.Set(config(good, dead)); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !strings.Contains(log.String(), "too many open files"); <-tick.C {
		if time.Now().After(end) {
			t.Fatalf("nothing is said of it: %s", log)
		}
	}
	o.mu.Lock()
	if len(o.list) > 0 {
		t.Errorf("without descriptors it is told that %+v", o.list)
	}
	o.mu.Unlock()
	if err := restore(); err != nil {
		t.Fatal(err)
	}
	both := map[netip.AddrPort]bool{}
	o.await(t, "both servers as they are", func(c pool.Checked) bool {
		both[c.ID.Real] = c.Up
		return len(both) == 2
	})
	if !both[good] || both[dead] {
		t.Errorf("afterwards they are %v", both)
	}
	if n := strings.Count(log.String(), "checks cannot be made"); n != 1 {
		t.Errorf("it is said %d times: %s", n, log)
	}
}
