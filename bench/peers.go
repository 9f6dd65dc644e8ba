package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/lab"
)

// peer is another system with one setting, in the same namespaces and under the
// same client as Takt. Its daemons die with the laboratory's nodes.
type peer struct {
	system  string
	profile string   // the setting, as in "token 1000 ms"
	needs   []string // programs, by name or by path
	install string   // the packages that hold them
	asRoot  bool     // its daemons run as users that only a laboratory of root has
	nodes   int
	links   int
	steps   []peerStep
	// boot starts the peer's daemons on a node that was just powered on.
	boot func(ctx context.Context, b *bench, node string) error
	// form configures the running cluster once; nil: files were enough.
	form func(ctx context.Context, b *bench) error
	// settled names the node that serves, or says what is not as it should be yet.
	settled func(ctx context.Context, b *bench) (at string, err error)
}

// peerStep is what is done to the node that serves.
type peerStep struct {
	name    string
	watch   time.Duration                             // how long the client is observed from then on
	prepare func(ctx context.Context, b *bench) error // nil: any settled state will do
	do      func(ctx context.Context, b *bench, at string) error
	after   func(ctx context.Context, b *bench, at string) error // nil: nothing to bring back
}

// bench is a bare laboratory with a peer in it.
type bench struct {
	peer
	lab  *lab.Lab
	takt string
}

// measurePeers runs every peer that is installed. What is not, or does not come
// up, is left out, with a line that says so.
func measurePeers(ctx context.Context, o options) []row {
	var rows []row
	missing := map[string]bool{}
	for _, p := range slices.Concat(keepalivedPeers(), heartbeatPeers(), pacemakerPeers()) {
		p.steps = slices.DeleteFunc(p.steps, func(s peerStep) bool {
			return !strings.Contains(p.system+" "+s.name, o.only)
		})
		if len(p.steps) == 0 || missing[p.system] {
			continue
		}
		if err := p.possible(); err != nil {
			fmt.Fprintf(os.Stderr, "%s: left out: %v\n", p.system, err)
			missing[p.system] = true
			continue
		}
		measured, err := p.measure(ctx, o)
		rows = append(rows, measured...)
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s, %s: left out: %v\n", p.system, p.profile, err)
		}
	}
	return rows
}

// possible says why a peer cannot run here.
func (p peer) possible() error {
	for _, program := range p.needs {
		if !installed(program) {
			return fmt.Errorf("%s is not installed (packages: %s)", program, p.install)
		}
	}
	if p.asRoot && os.Geteuid() != 0 {
		return errors.New("its daemons run as users of their own, which only a laboratory of root has")
	}
	return nil
}

// installed also looks where a user's PATH often does not, but a node's does.
func installed(program string) bool {
	_, err := exec.LookPath(program)
	if err != nil {
		_, err = exec.LookPath(filepath.Join("/usr/sbin", program))
	}
	return err == nil
}

// measure runs all steps in one laboratory; rows that were complete are returned
// beside an error.
func (p peer) measure(ctx context.Context, o options) ([]row, error) {
	b, err := p.up(ctx, o)
	if err != nil {
		return nil, err
	}
	defer b.lab.Down(context.Background(), true)
	var rows []row
	for _, s := range p.steps {
		r := row{System: p.system, Step: s.name, Profile: p.profile}
		for i := range o.runs {
			longest, err := b.once(ctx, s)
			if err != nil {
				return rows, fmt.Errorf("%s, run %d: %w", s.name, i+1, err)
			}
			r.Outages = append(r.Outages, longest)
		}
		r.finish(nil)
		fmt.Fprintf(os.Stderr, "%s, %s: %s: median %.0f ms, max %.0f ms (%.0f)\n", p.system, p.profile, s.name, r.Median, r.Max, r.Outages)
		rows = append(rows, r)
	}
	return rows, nil
}

// up powers the nodes on and boots the peer on all of them.
func (p peer) up(ctx context.Context, o options) (*bench, error) {
	dir, err := os.MkdirTemp("", "takt-bench-")
	if err != nil {
		return nil, err
	}
	l, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: p.nodes, Links: p.links, Exe: o.takt, Bare: true, Attached: true, Purge: true})
	if err != nil {
		return nil, err
	}
	b := &bench{peer: p, lab: l, takt: o.takt}
	for _, node := range l.Nodes() {
		if err = p.boot(ctx, b, node); err != nil {
			break
		}
	}
	if err == nil && p.form != nil {
		err = p.form(ctx, b)
	}
	if err != nil {
		l.Down(context.Background(), true)
		return nil, err
	}
	return b, nil
}

// once runs a step once and returns the longest gap that a client saw, in ms.
func (b *bench) once(ctx context.Context, s peerStep) (float64, error) {
	if _, err := b.wait(ctx); err != nil {
		return 0, err
	}
	if s.prepare != nil {
		if err := s.prepare(ctx, b); err != nil {
			return 0, err
		}
	}
	at, err := b.wait(ctx)
	if err != nil {
		return 0, err
	}
	longest, err := b.observe(ctx, s.watch, func() error { return s.do(ctx, b, at) })
	if err == nil && s.after != nil {
		err = s.after(ctx, b, at)
	}
	return longest, err
}

// wait returns the node that serves once the peer has settled.
func (b *bench) wait(ctx context.Context) (at string, err error) {
	err = poll(ctx, 90*time.Second, func() (err error) {
		at, err = b.settled(ctx, b)
		return err
	})
	return at, err
}

// crashed is the step that every peer is measured with: the power of the node
// that serves fails, and later comes back.
func crashed(watch time.Duration) peerStep {
	return peerStep{name: "crash of the active node", watch: watch,
		do: func(_ context.Context, b *bench, at string) error { return b.lab.Crash(at) },
		after: func(ctx context.Context, b *bench, at string) error {
			if err := b.lab.Start(at); err != nil {
				return err
			}
			return b.boot(ctx, b, at)
		}}
}
