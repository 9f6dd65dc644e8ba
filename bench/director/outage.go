package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// step is one thing that is done to the master.
type step struct {
	name   string
	advert time.Duration
	crash  bool
}

// steps are a crash, which is the end of the machine (its cable is gone in that moment, and its process is killed), and a stop in order.
func steps() (list []step) {
	for _, crash := range []bool{true, false} {
		for _, advert := range []time.Duration{time.Second, 100 * time.Millisecond, 20 * time.Millisecond, 10 * time.Millisecond} {
			what := map[bool]string{true: "crash", false: "stop"}[crash]
			list = append(list, step{fmt.Sprintf("%s with adverts of %v", what, advert), advert, crash})
		}
	}
	return list
}

// lanes is how many pairs are measured beside each other: where adverts are slow the machine has nothing to do, and a run is
// little else than waiting.
func (s step) lanes() int {
	switch {
	case s.advert < time.Second:
		return 1
	case s.crash:
		return 5
	}
	return 3 // milliseconds count
}

// outage measures how long an address is away as a client sees it that pings each millisecond, for all systems.
//
//	client ── bridge ──┬── a (priority 150)
//	                   └── b (priority 100)
func (b *bench) outage(s step) error {
	systems := []system{b.takt()}
	if k, ok := keepalived("-P", ""); ok {
		systems = append(systems, k)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	var failed error
	all, lanes := map[string][]float64{}, s.lanes()
	for lane := range lanes {
		work.Go(func() {
			err := b.lane(lane, s, systems, func(name string, gap time.Duration) {
				mu.Lock()
				defer mu.Unlock()
				all[name] = append(all[name], ms(gap))
			})
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
	}
	work.Wait()
	if failed != nil {
		return failed
	}
	for _, sys := range systems {
		r := figure("away: "+s.name, sys.name, "ms", all[sys.name])
		if sys.name == "takt" {
			r = s.judge(r, median(all["keepalived"]))
		}
		b.rows = append(b.rows, r)
	}
	return nil
}

// judge compares: a crash with keepalived, a hand-over with what it costs at any advert_int.
func (s step) judge(r row, peer float64) row {
	if peer > 0 {
		r.Compared, r.Ratio = "keepalived", r.Value/peer
	}
	switch {
	case !s.crash:
		return r.judge(r.Value <= 5, "≤ 5 ms")
	case peer > 0:
		return r.judge(r.Ratio <= 1.05, "≤ 1.05 of the peer's")
	}
	return r
}

// lane measures in turn on one network, so that all see the same machine.
func (b *bench) lane(number int, s step, systems []system, tell func(string, time.Duration)) error {
	dir := filepath.Join(b.dir, fmt.Sprint("lane-", number))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	net, err := newNetwork(dir)
	if err != nil {
		return err
	}
	for i := number; i < b.o.runs; i += s.lanes() {
		phase := s.advert * time.Duration(2*i+1) / time.Duration(2*b.o.runs)
		for _, sys := range systems {
			gap, err := net.once(sys, s, phase)
			if err != nil {
				return fmt.Errorf("%s: %w", sys.name, err)
			}
			tell(sys.name, gap)
		}
	}
	return nil
}

// once starts both, ends the master so long after one of its adverts, and returns how long the address was away.
func (n *network) once(s system, what step, phase time.Duration) (gap time.Duration, err error) {
	a, err := s.start(n.a, n.dir, instance(150, what.advert))
	if err != nil {
		return 0, err
	}
	defer end(a)
	if err := n.holds(n.a); err != nil {
		return 0, err
	}
	b, err := s.start(n.b, n.dir, instance(100, what.advert))
	if err != nil {
		return 0, err
	}
	defer end(b)
	time.Sleep(max(what.advert*11/10, 300*time.Millisecond)) // both know each other
	p, err := n.ping()
	if err != nil {
		return 0, err
	}
	time.Sleep(100 * time.Millisecond)
	if err := n.afterAdvert(phase, what.advert); err != nil {
		return 0, errors.Join(err, fmt.Errorf("%v", p.stop()))
	}
	p.begin()
	if what.crash {
		err = n.hub.all("ip link set p-a down")
		_ = syscall.Kill(-a.Process.Pid, syscall.SIGKILL)
	} else {
		err = a.Process.Signal(syscall.SIGTERM)
	}
	if err == nil {
		err = n.holds(n.b)
	}
	time.Sleep(200 * time.Millisecond)
	gap = p.stop()
	end(a)
	end(b)
	return gap, errors.Join(err, n.clean())
}
