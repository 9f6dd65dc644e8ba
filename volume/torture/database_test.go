package torture

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume"
)

// mounted is a file system on a volume's block device, with a log of commits and, where there is sqlite3, a database on it.
type mounted struct {
	t      *testing.T
	at     string
	logged atomic.Int64 // commits of the log that were acknowledged
	rows   atomic.Int64 // and of the database
	dead   atomic.Bool
	all    sync.WaitGroup
}

// device returns the block device of a primary.
func (x *node) device() string {
	x.t.Helper()
	x.until("there is a block device", func(s volume.Status) bool { return s.Device != "" })
	return x.status().Device
}

func command(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return string(out)
}

// mount mounts the volume of a primary.
func (x *node) mount() *mounted {
	x.t.Helper()
	m := &mounted{t: x.t, at: x.t.TempDir()}
	if err := unix.Mount(x.device(), m.at, "ext4", 0, ""); err != nil {
		x.t.Fatalf("%s: mount: %v", x.name, err)
	}
	x.t.Cleanup(m.away)
	return m
}

// away unmounts, whatever has become of the device.
func (m *mounted) away() { unix.Unmount(m.at, unix.MNT_DETACH) }

// work commits until the file system fails.
func (m *mounted) work() {
	m.all.Go(m.log)
	if _, err := exec.LookPath("sqlite3"); err == nil {
		m.all.Go(m.database)
	} else {
		m.t.Log("without a database: sqlite3 is not installed")
	}
}

const recordSize = 100

func record(n int64) []byte { return fmt.Appendf(nil, "%099d\n", n) }

// log appends records, each durable before the next.
func (m *mounted) log() {
	f, err := os.OpenFile(filepath.Join(m.at, "log"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		m.fail(err)
		return
	}
	defer f.Close()
	for n := m.logged.Load() + 1; !m.dead.Load(); n++ {
		if _, err := f.Write(record(n)); err != nil {
			m.fail(err)
			return
		}
		if err := f.Sync(); err != nil {
			m.fail(err)
			return
		}
		m.logged.Store(n)
	}
}

func (m *mounted) sql(statement string) (string, error) {
	var out, words bytes.Buffer
	cmd := exec.Command("sqlite3", "-bail", filepath.Join(m.at, "db"), statement)
	cmd.Stdout, cmd.Stderr = &out, &words
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%w: %s", err, words.String())
	}
	return out.String(), nil
}

// database inserts rows, each in a transaction of its own. (EXTRA: FULL would not sync the folder after the end of a
// transaction, and the last one could be undone by its journal.)
func (m *mounted) database() {
	_, err := m.sql("CREATE TABLE IF NOT EXISTS t(n INTEGER PRIMARY KEY, filling TEXT)")
	for n := m.rows.Load() + 1; err == nil && !m.dead.Load(); n++ {
		if _, err = m.sql(fmt.Sprintf("PRAGMA synchronous=EXTRA; INSERT INTO t VALUES(%d, hex(randomblob(%d)))", n, 50+n%3000)); err == nil {
			m.rows.Store(n)
		}
	}
	if err != nil {
		m.fail(err)
	}
}

func (m *mounted) fail(err error) {
	if !m.dead.Load() {
		m.t.Errorf("a commit failed although the primary lives: %v", err)
	}
}

// check finds every commit that was acknowledged.
func (m *mounted) check(logged, rows int64) {
	m.t.Helper()
	b, err := os.ReadFile(filepath.Join(m.at, "log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) || int64(len(b)) < logged*recordSize {
		m.t.Fatalf("the log has %d bytes, %d commits were acknowledged: %v", len(b), logged, err)
	}
	for n := range logged {
		if !bytes.Equal(b[n*recordSize:(n+1)*recordSize], record(n+1)) {
			m.t.Fatalf("commit %d of %d is lost", n+1, logged)
		}
	}
	// What was begun and never acknowledged may be there whole, or as a size without the data: it counts from the next write on.
	have := logged
	for int64(len(b)) >= (have+1)*recordSize && bytes.Equal(b[have*recordSize:(have+1)*recordSize], record(have+1)) {
		have++
	}
	if err := os.Truncate(filepath.Join(m.at, "log"), have*recordSize); err != nil && have > 0 {
		m.t.Fatal(err)
	}
	m.logged.Store(have)
	if rows == 0 {
		return
	}
	out, err := m.sql("PRAGMA integrity_check; SELECT count(*), max(n) FROM t")
	if err != nil {
		m.t.Fatal(err)
	}
	lines := strings.Fields(out)
	count, most, _ := strings.Cut(lines[len(lines)-1], "|")
	c, _ := strconv.ParseInt(count, 10, 64)
	if lines[0] != "ok" || c < rows || count != most {
		m.t.Fatalf("the database says %q, %d rows were committed", out, rows)
	}
	m.rows.Store(c)
}

// TestDatabase kills the primary under a file system with a log and a database on it: after the failover the file system is
// sound and every commit is there.
func TestDatabase(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("needs root, to mount")
	}
	if _, err := exec.LookPath("mkfs.ext4"); err != nil {
		t.Skip("mkfs.ext4 is not installed")
	}
	x := begin(t, set(t, 2, 48<<20, func(_ int, c *volume.Config) { c.Front = "auto" }))
	t.Cleanup(func() { // what a killed process leaves of its device, the next one takes away
		for _, y := range x {
			y.kill()
			if y.begin() == nil {
				_, _ = y.try("down", "r0")
			}
		}
	})
	if s := x[0].status(); s.Device == "" && s.FrontWhy != "" {
		<-time.After(time.Second)
		if s = x[0].status(); s.Device == "" {
			t.Skip("no block device can be had here: " + s.FrontWhy)
		}
	}
	command(t, "mkfs.ext4", "-q", "-F", x[0].device())
	logged, rows := int64(0), int64(0)
	for more := rounds(t, 3*time.Second); more(); {
		m := x[0].mount()
		m.logged.Store(logged)
		m.rows.Store(rows)
		m.check(logged, rows)
		m.work()
		for begun := m.logged.Load(); m.logged.Load() < begun+50; pause() {
			if t.Failed() {
				return
			}
		}
		m.dead.Store(true)
		x[0].kill()
		m.all.Wait()
		m.away()
		logged, rows = m.logged.Load(), m.rows.Load()
		t.Logf("%d commits of the log, %d of the database", logged, rows)
		x[0], x[1] = x[1], x[0]
		x[0].promote()
		m = x[0].mount() // replays the journal
		m.check(logged, rows)
		logged, rows = m.logged.Load(), m.rows.Load()
		m.away()
		out, err := exec.Command("fsck.ext4", "-fn", x[0].device()).CombinedOutput()
		if err != nil {
			t.Fatalf("fsck: %v: %s", err, out)
		}
		x[1].start()
		for _, y := range x {
			y.until("in step", inStep)
		}
		same(t, x)
	}
}
