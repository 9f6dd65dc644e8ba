package track

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/program"
)

// process is what is known of a track_process.
type process struct {
	conf  *director.TrackedProcess
	known bool
	up    bool
	since time.Time // when the count began to say otherwise; zero: it does not
}

// counted takes how many run, and returns whether the process has changed. A change lasts for the delay before it counts. It is pure.
func (p *process) counted(n int, now time.Time) (changed bool) {
	up := n >= max(p.conf.Quorum, 1) && (p.conf.QuorumMax == 0 || n <= p.conf.QuorumMax) || p.conf.QuorumMax < 0 && n == 0
	switch {
	case !p.known:
		p.known, p.up = true, up
		return true
	case up == p.up:
		p.since = time.Time{}
		return false
	case p.since.IsZero():
		p.since = now
	}
	delay := p.conf.TerminateDelay
	if up {
		delay = p.conf.Delay
	}
	if now.Sub(p.since) < delay {
		return false
	}
	p.up, p.since = up, time.Time{}
	return true
}

func (w *Watcher) processes(ctx context.Context, list []director.TrackedProcess) {
	all := make([]process, len(list))
	for i := range list {
		all[i].conf = &list[i]
	}
	tick := time.NewTicker(processEvery)
	defer tick.Stop()
	for {
		running, err := look("/proc")
		if err != nil {
			w.starved("the processes of this machine", err)
		} else {
			w.count(all, running)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// count tells which of the tracked processes have come or gone.
func (w *Watcher) count(all []process, running []running) {
	for i := range all {
		n := 0
		for _, r := range running {
			if r.is(all[i].conf) {
				n++
			}
		}
		if all[i].counted(n, time.Now()) {
			w.tell(Value{Kind: Process, Name: all[i].conf.Name, Up: all[i].up})
		}
	}
}

// running is a process of the machine.
type running struct {
	name string
	args []string // with the program itself
}

// look reads all processes; threads of the kernel have no arguments and do not count. An error means that nothing is known.
func look(proc string) (list []running, err error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if e.Name()[0] < '0' || e.Name()[0] > '9' {
			continue
		}
		line, err := os.ReadFile(proc + "/" + e.Name() + "/cmdline")
		name, other := os.ReadFile(proc + "/" + e.Name() + "/comm")
		switch err = errors.Join(err, other); {
		case program.Starved(err):
			return nil, err
		case err != nil || len(line) == 0:
			continue // gone meanwhile
		}
		list = append(list, running{strings.TrimSuffix(string(name), "\n"), strings.Split(string(bytes.TrimSuffix(line, []byte{0})), "\x00")})
	}
	return list, nil
}

// is says whether a process is meant: by its name, as the kernel has it (15 bytes), or by its program with arguments.
func (r running) is(c *director.TrackedProcess) bool {
	if c.Args == nil && c.Match == "" && !c.FullCommand {
		name := c.Process
		return r.name == name[:min(len(name), 15)]
	}
	if r.args[0] != c.Process && r.args[0][strings.LastIndexByte(r.args[0], '/')+1:] != c.Process {
		return false
	}
	args := r.args[1:]
	switch c.Match {
	case "partial":
		return len(args) >= len(c.Args) && slices.Equal(args[:len(c.Args)], c.Args)
	case "initial":
		n := len(c.Args) - 1
		return n >= 0 && len(args) > n && slices.Equal(args[:n], c.Args[:n]) && strings.HasPrefix(args[n], c.Args[n])
	}
	return c.FullCommand && len(c.Args) == 0 && c.Match == "" || slices.Equal(args, c.Args)
}
