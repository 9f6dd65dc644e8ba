package disk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/agent/fence/disk"
	"github.com/takt-ha/takt/internal/osfs"
)

// Whatever the disks do: a machine that was running when it was ordered down, and
// counts as off, is off; and nobody falls who was neither ordered nor blind.
func TestChaos(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) { chaos(t, seed) })
	}
}

func chaos(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	s := newShelf(t, 1+2*rnd.IntN(2))
	// The target and the one who fences have cables of their own.
	cable := func() (*shelf, func(bad func(path string) bool)) {
		mine := *s
		fault := osfs.NewFaulty(s.mem)
		mine.hang = &hanging{FS: fault, closed: nil}
		return &mine, func(bad func(string) bool) {
			fault.FailIf(func(_, name string) bool { return bad(name) }, syscall.EIO)
		}
	}
	target, cut := cable()
	sender, cutSender := cable()
	m := target.boot(t, "n2", "a")
	m.well(t)
	bad := func() func(string) bool {
		lost := map[string]bool{}
		for _, p := range s.paths {
			lost[p] = rnd.IntN(2) == 0
		}
		until := time.Now().Add(time.Duration(rnd.IntN(8000)) * time.Millisecond)
		return func(path string) bool { return lost[path] && time.Now().Before(until) }
	}
	for range 6 {
		cut(bad())
		cutSender(bad())
		time.Sleep(time.Duration(rnd.IntN(3000)) * time.Millisecond)
		sent, err := sender.set().Off(t.Context(), "n2", disk.Reboot, "n1")
		if err == nil && !m.isOff() {
			t.Fatalf("seed %d: n2 counts as off (%+v) and runs: %+v, %s", seed, sent, m.watcher.Health(), m.story())
		}
		if errors.Is(err, disk.ErrNoSlot) {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if m.isOff() {
			m.end()
			m = target.boot(t, "n2", fmt.Sprint("boot", rnd.Uint64()))
			cut(func(string) bool { return false })
			cutSender(func(string) bool { return false })
			time.Sleep(25 * time.Second)
			m.well(t)
		}
	}
	cut(func(string) bool { return false })
	m.end()
}
