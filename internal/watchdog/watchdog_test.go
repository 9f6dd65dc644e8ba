package watchdog

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
)

// fake is a watchdog behind a socket: it hands over each line, and answers by answer.
func fake(t *testing.T, answer func(line string) string) (path string, lines chan string) {
	t.Helper()
	path, lines = filepath.Join(t.TempDir(), "dog"), make(chan string, 100)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			for s := bufio.NewScanner(conn); s.Scan(); {
				if a := answer(s.Text()); a != "" {
					fmt.Fprintln(conn, a)
				}
				lines <- s.Text()
			}
			lines <- "closed"
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return path, lines
}

func obeys(line string) string {
	if strings.HasPrefix(line, "arm") || line == "disarm" {
		return "ok"
	}
	return ""
}

func expect(t *testing.T, lines chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		select {
		case got := <-lines:
			if got != w {
				t.Fatalf("the watchdog heard %q, want %q", got, w)
			}
		case <-time.After(time.Minute):
			t.Fatalf("the watchdog never heard %q", w)
		}
	}
}

func TestSocket(t *testing.T) {
	path, lines := fake(t, obeys)
	d, err := Open(path, 1500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if d.Timeout() != 1500*time.Millisecond || d.Remark() != "" {
		t.Fatalf("time-out %v, remark %q", d.Timeout(), d.Remark())
	}
	if err := d.Pet(); err != nil {
		t.Fatal(err)
	}
	if err := d.Reset(); err != nil {
		t.Fatal(err)
	}
	expect(t, lines, "arm 1500", "pet", "reset")
	if err := d.Disarm(); err != nil {
		t.Fatal(err)
	}
	expect(t, lines, "disarm", "closed")
}

// TestRelease: whoever lets go, or is killed, does not disarm.
func TestRelease(t *testing.T) {
	path, lines := fake(t, obeys)
	d, err := Open(path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	d.Release()
	expect(t, lines, "arm 1000", "closed")
}

// once opens a watchdog that answers one request, and returns its end.
func once(t *testing.T) (Device, net.Conn) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dog")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		defer close(accepted)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = bufio.NewReader(conn).ReadString('\n')
		fmt.Fprintln(conn, "ok")
		accepted <- conn
	}()
	d, err := Open(path, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	return d, <-accepted
}

func TestPetDoesNotAllocate(t *testing.T) {
	// Nobody reads the pets: what the reader allocates would count.
	d, conn := once(t)
	defer d.Release()
	defer conn.Close()
	if n := testing.AllocsPerRun(50, func() { _ = d.Pet() }); n != 0 {
		t.Fatalf("%v allocations a pet", n)
	}
}

// TestPetBroken: a watchdog that is gone is an error, and neither a signal nor a wait.
func TestPetBroken(t *testing.T) {
	d, conn := once(t)
	conn.Close()
	if err := d.Pet(); errs.KindOf(err) != errs.Unavailable || errs.HintOf(err) == "" {
		t.Fatalf("petting a watchdog that is gone: %v", err)
	}
	d.Release()
}

func TestRefused(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	picky, _ := fake(t, func(string) string { return "arm takes 10 to 600000 milliseconds" })
	for _, c := range []struct {
		path string
		kind errs.Kind
		says string
	}{
		{filepath.Join(dir, "none"), errs.NotFound, "no such file"},
		{plain, errs.Invalid, "neither"},
		{"/dev/null", errs.Invalid, "does not answer as a watchdog"},
		{picky, errs.Invalid, "arm takes 10"},
	} {
		_, err := Open(c.path, time.Second)
		if errs.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.says) || errs.HintOf(err) == "" {
			t.Errorf("%s: %v (%v), hint %q", c.path, err, errs.KindOf(err), errs.HintOf(err))
		}
	}
}

// TestJudge: what stops counting when its program dies is no watchdog.
func TestJudge(t *testing.T) {
	for _, c := range []struct {
		options  uint32
		nowayout bool
		kind     errs.Kind
		remark   string
	}{
		{unix.WDIOF_MAGICCLOSE, false, errs.KindOf(nil), ""},
		{unix.WDIOF_MAGICCLOSE, true, errs.KindOf(nil), "nowayout"},
		{0, true, errs.KindOf(nil), "nowayout"},
		{unix.WDIOF_SETTIMEOUT, false, errs.Invalid, ""},
	} {
		d := &charDog{path: "/dev/watchdog0"}
		err := d.judge(c.options, c.nowayout)
		if errs.KindOf(err) != c.kind || (err != nil) != (c.kind == errs.Invalid) || !strings.Contains(d.remark, c.remark) || (c.remark == "") != (d.remark == "") {
			t.Errorf("%+v: %v, %q", c, err, d.remark)
		}
	}
}

func TestHolder(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, me := Holder("/dev/full"), fmt.Sprintf("(process %d)", os.Getpid()); !strings.Contains(got, me) {
		t.Fatalf("%q does not name %s", got, me)
	}
	if got := Holder(filepath.Join(t.TempDir(), "none")); got != "" {
		t.Fatalf("a device that is not there is held by %q", got)
	}
	if got := twins("/dev/watchdog"); len(got) != 2 || got[1] != "/dev/watchdog0" {
		t.Fatal(got)
	}
}

// TestDevice arms the machine's own watchdog, which must be one that can be
// disarmed, and gives it back. Set TAKT_TEST_WATCHDOG to its path: a mistake resets the machine.
func TestDevice(t *testing.T) {
	path := os.Getenv("TAKT_TEST_WATCHDOG")
	if path == "" {
		t.Skip("set TAKT_TEST_WATCHDOG to a watchdog device that may be armed here, such as softdog's")
	}
	if noWayOut(path) {
		t.Skip(path + " cannot be disarmed (nowayout)")
	}
	d, err := Open(path, 29500*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(path, 30*time.Second)
	if errs.KindOf(err) != errs.Conflict || !strings.Contains(err.Error(), fmt.Sprint(os.Getpid())) {
		t.Errorf("a second opening: %v", err)
	}
	if n := testing.AllocsPerRun(10, func() { err = d.Pet() }); n != 0 || err != nil {
		t.Errorf("%v allocations a pet, %v", n, err)
	}
	if d.Timeout() < 29*time.Second {
		t.Errorf("a time-out of %v", d.Timeout())
	}
	if err := d.Disarm(); err != nil {
		t.Fatal(err)
	}
}
