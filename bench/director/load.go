package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// busyLoops is how many processes do nothing else than compute.
const busyLoops = 8

// busy is one of them.
func busy([]string) error {
	for {
	}
}

// pair is two directors of one kind, which should notice nothing.
type pair struct {
	name   string
	system system
	advert time.Duration
	dir    string

	net     *network
	running []*exec.Cmd
	watch   *watcher
	stories []story
}

// realTime is keepalived as its manual has it for machines under load.
const realTime = "global_defs {\n vrrp_rt_priority 50\n vrrp_no_swap\n max_auto_priority 99\n}\n"

// underLoad overloads the machine, and counts how often an address moves that should not: three pairs beside each other, so that
// all have the same load.
func (b *bench) underLoad() error {
	pairs := []*pair{{name: "takt, 100 ms", system: b.takt(), advert: 100 * time.Millisecond}, {name: "takt, 20 ms", system: b.takt(), advert: 20 * time.Millisecond}}
	if k, ok := keepalived("-P", realTime); ok {
		pairs = append(pairs, &pair{name: "keepalived, 20 ms", system: k, advert: 20 * time.Millisecond})
	}
	defer func() {
		for _, p := range pairs {
			p.end()
		}
	}()
	for i, p := range pairs {
		p.dir = filepath.Join(b.dir, fmt.Sprint("load-", i))
		if err := p.begin(); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	for round := range b.o.rounds {
		if err := b.round(pairs); err != nil {
			return fmt.Errorf("round %d: %w", round+1, err)
		}
		b.saySo(round, pairs)
	}
	b.loadRows(pairs)
	return nil
}

// begin starts both.
func (p *pair) begin() (err error) {
	if err := os.MkdirAll(p.dir, 0o700); err != nil {
		return err
	}
	if p.net, err = newNetwork(p.dir); err != nil {
		return err
	}
	if p.watch, err = watch(p.net); err != nil {
		return err
	}
	for _, who := range []struct {
		m        *machine
		priority int
	}{{p.net.a, 150}, {p.net.b, 100}} {
		cmd, err := p.system.start(who.m, p.dir, instance(who.priority, p.advert))
		if err != nil {
			return err
		}
		p.running = append(p.running, cmd)
		if err := p.net.holds(p.net.a); err != nil {
			return err
		}
	}
	time.Sleep(time.Second)
	return nil
}

func (p *pair) end() {
	for _, c := range p.running {
		end(c)
	}
	if p.watch != nil {
		_ = p.watch.stop() // it has nothing to fail
	}
}

// settled waits until the address is where it was at first.
func (p *pair) settled() error {
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		a, err := p.net.a.has(virtual)
		b, failed := p.net.b.has(virtual)
		if err := errors.Join(err, failed); err != nil {
			return err
		}
		if a && !b {
			p.watch.take()
			return nil
		}
	}
	return fmt.Errorf("%s: the address does not come back to its first holder", p.name)
}

func (b *bench) round(pairs []*pair) error {
	for _, p := range pairs {
		if err := p.settled(); err != nil {
			return err
		}
	}
	var loops []*exec.Cmd
	defer func() {
		for _, c := range loops {
			_ = c.Process.Kill()
			_ = c.Wait()
		}
	}()
	began := time.Now()
	for range busyLoops {
		c := command("/proc/self/exe", "busy")
		if err := pairs[0].net.hub.do(c.Start); err != nil {
			return err
		}
		loops = append(loops, c)
	}
	time.Sleep(time.Until(began.Add(b.o.loadFor)))
	ended := time.Now()
	for _, p := range pairs {
		p.stories = append(p.stories, tell(p.watch.take(), began, ended))
	}
	return nil
}

func (b *bench) saySo(round int, pairs []*pair) {
	var words []string
	for _, p := range pairs {
		s := p.stories[len(p.stories)-1]
		words = append(words, fmt.Sprintf("%s: %d moves", p.name, s.moves))
	}
	fmt.Fprintf(os.Stderr, "        round %d of %d: %s\n", round+1, b.o.rounds, strings.Join(words, "; "))
}

// loadRows sums the rounds up.
func (b *bench) loadRows(pairs []*pair) {
	peer := -1
	sums := make([]story, len(pairs))
	for i, p := range pairs {
		for _, s := range p.stories {
			sums[i].moves += s.moves
			sums[i].none += s.none
			sums[i].both += s.both
		}
		if p.system.name == "keepalived" {
			peer = i
		}
	}
	for i, p := range pairs {
		var runs []float64
		for _, s := range p.stories {
			runs = append(runs, float64(s.moves))
		}
		r := figure(fmt.Sprintf("false failovers, rounds of %v", b.o.loadFor), p.name, "in all", runs)
		r.Value = float64(sums[i].moves)
		r.Note = fmt.Sprintf("with nobody %.3f s, with two %.3f s", sums[i].none.Seconds(), sums[i].both.Seconds())
		switch {
		case p.system.name != "takt":
		case p.advert == 100*time.Millisecond:
			r = r.judge(r.Value == 0, "0")
		case peer >= 0:
			r = r.judge(sums[i].moves <= sums[peer].moves, "≤ keepalived's %d", sums[peer].moves)
		}
		b.rows = append(b.rows, r)
	}
}
