package state

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
	"github.com/takt-ha/takt/volume"
)

// TestStories plays testdata/stories: a few machines, joined. The commands ("NODE" is a, b, c …):
//
//	setup N [cluster] [skip-first] [two] [quorum=majority|all|N] [without=io-error] [fence=P] [hooks=H,H]
//	        [zero=P one=P two-pri=P] [client=NODE] [on-io-error=P] [congestion=P] [after=VOLUME]
//	start NODES, crash NODES, cut A B, heal A B, quorate NODES, alone NODES
//	ask NODE VERB [peer=NODE] [force] [discard] [clear] [size=BLOCKS] [start=BLOCK]
//	write NODE BLOCK…, open NODE, close NODE, disk NODE fail|new|room=BLOCKS, hook NAME CODE
//	congested NODE PEER on|off, other NODE on|off, conflict A B, spoil NODE BLOCK
//	quiet CMD…   the same without the transcript
//	play         only the lines below it
//	status
//
// Each runs until nothing moves, unless it begins with "slowly".
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, path string) {
		s := &story{}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			s.t = t
			s.out.Reset()
			for _, line := range append([]string{strings.TrimSpace(strings.Join(append([]string{d.Cmd}, words(d)...), " "))}, lines(d.Input)...) {
				s.line(strings.Fields(line))
			}
			if s.out.Len() == 0 {
				return "nothing\n"
			}
			return s.out.String()
		})
	})
}

func words(d *datadriven.TestData) []string {
	var w []string
	for _, a := range d.CmdArgs {
		w = append(w, a.String())
	}
	return w
}

func lines(in string) []string {
	if in == "" {
		return nil
	}
	return strings.Split(strings.TrimSpace(in), "\n")
}

type story struct {
	t   *testing.T
	w   *world
	out strings.Builder
}

func (s *story) line(f []string) {
	quiet, slow := f[0] == "quiet", f[0] == "slowly"
	if quiet || slow {
		f = f[1:]
	}
	if f[0] == "play" {
		return // the lines of the input follow
	}
	if f[0] == "setup" {
		s.setup(f[1:])
		return
	}
	if f[0] == "status" {
		s.out.WriteString(s.w.status())
		return
	}
	if s.w != nil {
		s.w.log = func(format string, a ...any) {
			if !quiet {
				fmt.Fprintf(&s.out, format+"\n", a...)
			}
		}
	}
	s.command(f[0], f[1:])
	if !slow {
		s.w.run()
	}
}

func (s *story) setup(f []string) {
	n, _ := strconv.Atoi(f[0])
	a := args(f[1:])
	s.w = newWorld(n, func(c *volume.Config) { configure(s.t, c, a) })
	if zero := a["zero-b"]; zero != "" {
		s.w.nodes[1].cfg.Split.Zero = zero
	}
	s.w.fault = func(format string, a ...any) { s.t.Fatalf(format, a...) }
	for _, x := range s.w.nodes {
		x.quorate = true
	}
}

func configure(t *testing.T, c *volume.Config, a map[string]string) {
	_, c.Cluster = a["cluster"]
	_, c.Sync.SkipFirst = a["skip-first"]
	_, c.Net.AllowTwoPrimary = a["two"]
	c.Quorum.Without, c.Fence, c.Disk.OnIOError, c.Net.OnCongestion, c.Sync.After = a["without"], a["fence"], a["on-io-error"], a["congestion"], a["after"]
	c.Split = volume.SplitPolicies{Zero: a["zero"], One: a["one"], Two: a["two-pri"]}
	switch q := a["quorum"]; q {
	case "":
	case "majority":
		c.Quorum.Need = volume.Majority
	case "all":
		c.Quorum.Need = volume.All
	default:
		c.Quorum.Need, _ = strconv.Atoi(q)
	}
	if a["hooks"] != "" {
		for _, h := range strings.Split(a["hooks"], "+") {
			c.Hooks[h] = "/usr/lib/" + h
		}
	}
	if who := a["client"]; who != "" {
		c.Nodes[who[0]-'a'].Disk = "none"
	}
}

func args(f []string) map[string]string {
	m := map[string]string{}
	for _, w := range f {
		k, v, _ := strings.Cut(w, "=")
		m[k] = v
	}
	return m
}

func (s *story) node(name string) *wnode {
	i := int(name[0] - 'a')
	if i < 0 || i >= len(s.w.nodes) {
		s.t.Fatalf("no node %q", name)
	}
	return s.w.nodes[i]
}

func (s *story) command(cmd string, f []string) {
	w := s.w
	switch cmd {
	case "start":
		for _, n := range f {
			s.node(n).start()
		}
	case "crash":
		for _, n := range f {
			s.node(n).crash()
		}
	case "cut":
		w.cutLink(w.link(s.node(f[0]).id, s.node(f[1]).id))
	case "heal":
		w.link(s.node(f[0]).id, s.node(f[1]).id).cut = false
	case "quorate", "alone":
		for _, n := range f {
			s.node(n).quorate = cmd == "quorate"
			s.node(n).tellSet()
		}
	case "ask":
		s.ask(s.node(f[0]), f[1], args(f[2:]))
	case "write":
		for _, b := range f[1:] {
			n, _ := strconv.Atoi(b)
			s.node(f[0]).write(n)
		}
	case "tick":
		d, err := time.ParseDuration(f[0])
		if err != nil {
			s.t.Fatal(err)
		}
		w.tick(d)
	default:
		s.event(cmd, f)
	}
}

func (s *story) event(cmd string, f []string) {
	w := s.w
	switch cmd {
	case "run":
	case "deliver":
		for n, _ := strconv.Atoi(f[0]); n > 0; n-- {
			w.turn()
		}
	case "hold", "release": // what is under way between two nodes
		w.link(s.node(f[0]).id, s.node(f[1]).id).held = cmd == "hold"
	case "open":
		s.node(f[0]).step(Opened{Writable: true})
	case "close":
		s.node(f[0]).step(Closed{Writable: true})
	case "hook":
		w.hooks[f[0]], _ = strconv.Atoi(f[1])
	case "congested":
		s.node(f[0]).step(Congested{Peer: s.node(f[1]).id, Now: f[2] == "on"})
	case "other":
		s.node(f[0]).step(OtherSync{Busy: f[1] == "on"})
	case "conflict":
		a, b := s.node(f[0]), s.node(f[1])
		l := w.link(a.id, b.id)
		l.up, l.q = [2]bool{}, [2][]wmsg{}
		a.step(PeerDown{Peer: b.id, Why: "conflict", Conflict: true})
		b.step(PeerDown{Peer: a.id, Why: "conflict", Conflict: true})
	case "spoil":
		b, _ := strconv.Atoi(f[1])
		s.node(f[0]).data[b] = -9999
	case "discard":
		w.discards[s.node(f[0]).id] = true
	case "disk":
		s.disk(s.node(f[0]), f[1])
	default:
		s.t.Fatalf("unknown command %q", cmd)
	}
}

func (s *story) disk(x *wnode, what string) {
	room, isRoom := strings.CutPrefix(what, "room=")
	switch {
	case isRoom:
		n, _ := strconv.Atoi(room)
		x.cap = int64(n) * volume.BlockSize
		if x.super.Gen.Fresh() {
			x.super.Size = x.cap
		}
	case what == "fail":
		x.step(DiskGone{Op: "write", Err: "input/output error"})
	case what == "new":
		x.format()
	}
}

func (s *story) ask(x *wnode, verb string, a map[string]string) {
	in := Asked{Verb: verb}
	_, in.Force = a["force"]
	_, in.Discard = a["discard"]
	_, in.Clear = a["clear"]
	in.AllPeers = a["peer"] == ""
	if !in.AllPeers {
		in.Peer = s.node(a["peer"]).id
	}
	if n, err := strconv.Atoi(a["size"]); err == nil {
		in.Size = int64(n) * volume.BlockSize
	}
	if n, err := strconv.Atoi(a["start"]); err == nil {
		in.Start = int64(n) * volume.BlockSize
	}
	if in.Discard {
		s.w.discards[x.id] = true
	}
	x.verb(in)
}
