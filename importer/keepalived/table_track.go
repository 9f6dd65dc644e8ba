package keepalived

import (
	"math"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

func trackTables() []table {
	return []table{
		{block: "", rows: []row{
			blockOf("vrrp_script", "<SCRIPT_NAME>", "a program whose exit status instances depend on", "vrrp_script", 1, 1, beginScript, endScript),
			blockOf("track_file", "<STRING>", "a file whose number is added to priorities and weights", "track_file", 1, 1, beginFile, endFile),
			blockOf("vrrp_track_file", "<STRING>", "an old name of track_file", "track_file", 1, 1, beginFile, endFile),
			blockOf("vrrp_track_process", "<STRING>", "processes that must run", "vrrp_track_process", 1, 1, beginProcess, endProcess),
		}},
		{block: "vrrp_script", rows: []row{
			takes("script", "<STRING>|<QUOTED-STRING>", "the program; 0 is good", 1, -1, func(r *reader, c *call) { r.script.Run = r.program(c, c.args, nil) }),
			secs("interval", "between two runs (default: 1)", 0.001, 1<<20, func(r *reader) *time.Duration { return &r.script.Interval }),
			secs("timeout", "after which it has failed (default: as interval)", 0.001, 1<<20, func(r *reader) *time.Duration { return &r.script.Timeout }),
			weight("added to priorities; 0: its failure is a fault (default: 0)", -253, 253, func(r *reader) (*int, *bool) { return &r.script.Weight, &r.script.Reverse }),
			num("rise", "successes in a row until it is good again (default: 1)", 1, math.MaxInt32, func(r *reader) *int { return &r.script.Rise }),
			num("fall", "failures in a row until it is bad (default: 1)", 1, math.MaxInt32, func(r *reader) *int { return &r.script.Fall }),
			takes("user", "<USER> [<GROUP>]", "who it runs as", 1, 2, func(r *reader, c *call) { r.script.Run.User = r.account(c, c.args) }),
			flag("init_fail", "it counts as bad until it has run", func(r *reader) *bool { return &r.script.InitFail }),
		}},
		{block: "track_file", rows: []row{
			text("file", "<QUOTED_STRING>", "its path", func(r *reader) *string { return &r.file.Path }),
			weight("what its number is multiplied by (default: 1)", -math.MaxInt32, math.MaxInt32, func(r *reader) (*int, *bool) { return &r.file.Weight, &r.file.Reverse }),
			takes("init_file", "[<VALUE>] [overwrite]", "the file is made at the start", 0, 2, initFile),
		}},
		{block: "vrrp_track_process", rows: processRows()},
		{block: "track_interface", item: tracked(func(t *director.Track) *[]director.Tracked { return &t.Interfaces }, "interface", 253)},
		{block: "track_script", item: tracked(func(t *director.Track) *[]director.Tracked { return &t.Scripts }, "script", 253)},
		{block: "track_file of an instance", item: tracked(func(t *director.Track) *[]director.Tracked { return &t.Files }, "file", 254)},
		{block: "track_process", item: tracked(func(t *director.Track) *[]director.Tracked { return &t.Processes }, "process", 254)},
		{block: "track_bfd", item: func(*reader, *call) {}},
	}
}

const noBFD = "there is no BFD: what it would find out is not noticed"

// trackRows are what an instance or a group depends on.
func trackRows() []row {
	return []row{
		blockOf("track_interface", "", "interfaces whose loss is a fault, or costs priority", "track_interface", 0, 0, nil, nil),
		blockOf("track_script", "", "vrrp_scripts", "track_script", 0, 0, nil, nil),
		blockOf("track_file", "", "track_files", "track_file of an instance", 0, 0, nil, nil),
		blockOf("track_process", "", "vrrp_track_processes", "track_process", 0, 0, nil, nil),
		again(under(ignored("track_bfd", "", noBFD), "track_bfd")),
	}
}

// weight is "weight NUMBER [reverse]".
func weight(words string, lo, hi int, to func(*reader) (*int, *bool)) row {
	k := num("weight", words, lo, hi, nil)
	k.values, k.most = k.values+" [reverse]", 2
	k.do = func(r *reader, c *call) {
		n, reverse := to(r)
		if v, ok := r.number(c, 0, lo, hi); ok {
			*n = v
		}
		*reverse = r.reverse(c, 1)
	}
	return k
}

// reverse reads "reverse" or "noreverse" at the i-th value.
func (r *reader) reverse(c *call, i int) bool {
	switch c.arg(i) {
	case "", "noreverse", "no_reverse":
	case "reverse":
		return true
	default:
		r.fail(c.args[i].pos, "%q is neither reverse nor noreverse", c.arg(i))
	}
	return false
}

// tracked reads a line of a list of things that are tracked: NAME [weight NUMBER [reverse]].
func tracked(to func(*director.Track) *[]director.Tracked, what string, most int) func(*reader, *call) {
	return func(r *reader, c *call) {
		t := director.Tracked{Name: c.text, Default: true, Pos: c.pos}
		if what == "interface" {
			r.iface("track_interface", c.word)
		}
		switch {
		case len(c.args) == 0:
		case c.arg(0) != "weight":
			r.fail(c.args[0].pos, "want %s [weight <%d..%d> [reverse]]", c.text, -most, most)
			return
		case len(c.args) == 1:
			r.fail(c.args[0].pos, "weight wants a number from %d to %d", -most, most)
			return
		default:
			t.Weight, _ = r.number(c, 1, -most, most)
			t.Default, t.Reverse = false, r.reverse(c, 2)
		}
		list := to(r.track)
		*list = append(*list, t)
	}
}

func beginScript(r *reader, c *call) {
	r.script = &director.Script{Name: c.arg(0), Interval: time.Second, Rise: 1, Fall: 1, Pos: c.pos}
}

func endScript(r *reader, c *call) {
	s := r.script
	if s.Timeout == 0 {
		s.Timeout = s.Interval
	}
	switch {
	case !r.unique("a vrrp_script", c):
	case s.Run.None():
		r.fail(c.pos, "vrrp_script %s has no script", s.Name)
	default:
		r.cfg.Scripts = append(r.cfg.Scripts, *s)
	}
}

func beginFile(r *reader, c *call) {
	r.file = &director.TrackedFile{Name: c.arg(0), Weight: 1}
}

func endFile(r *reader, c *call) {
	switch {
	case !r.unique("a track_file", c):
	case !strings.HasPrefix(r.file.Path, "/"):
		r.fail(c.pos, "track_file %s has no file with an absolute path", r.file.Name)
	default:
		r.cfg.Files = append(r.cfg.Files, *r.file)
	}
}

func initFile(r *reader, c *call) {
	r.file.Create = true
	for i, w := range c.args {
		if w.text == "overwrite" {
			r.file.Force = true
			continue
		}
		r.file.Value, _ = r.number(c, i, -math.MaxInt32, math.MaxInt32)
	}
}

func beginProcess(r *reader, c *call) {
	r.proc = &director.TrackedProcess{Name: c.arg(0), Weight: 1, Quorum: 1, Pos: c.pos}
}

func endProcess(r *reader, c *call) {
	p := r.proc
	switch {
	case !r.unique("a vrrp_track_process", c):
	case p.Process == "":
		r.fail(c.pos, "vrrp_track_process %s names no process", p.Name)
	case p.QuorumMax > 0 && p.QuorumMax < p.Quorum:
		r.fail(c.pos, "vrrp_track_process %s: quorum_max %d is less than quorum %d", p.Name, p.QuorumMax, p.Quorum)
	default:
		if p.Match != "" && len(p.Args) == 0 {
			p.Args, p.Match = []string{}, "exact" // it has none
		}
		r.cfg.Processes = append(r.cfg.Processes, *p)
	}
}

func processRows() []row {
	return []row{
		takes("process", "<STRING>|<QUOTED_STRING> [<STRING>|<QUOTED_STRING> ...]", "its name, and the arguments that count", 1, -1, func(r *reader, c *call) {
			r.proc.Process, r.proc.Args = c.arg(0), nil
			for _, w := range c.args[1:] {
				r.proc.Args = append(r.proc.Args, w.text)
			}
			if r.proc.Args != nil && r.proc.Match == "" {
				r.proc.Match = "exact"
			}
		}),
		takes("param_match", "initial|partial", "how the arguments count: the last one may go on, or more may follow; alone: there are none", 0, 1, func(r *reader, c *call) {
			switch r.proc.Match = c.arg(0); c.arg(0) {
			case "":
				r.proc.Match = "exact"
			case "exact", "initial", "partial":
			default:
				r.fail(c.args[0].pos, "param_match: %q is neither initial nor partial", c.arg(0))
			}
		}),
		weight("added to priorities; 0: it is a fault when it is gone (default: 1)", -254, 254, func(r *reader) (*int, *bool) { return &r.proc.Weight, &r.proc.Reverse }),
		num("quorum", "processes at least (default: 1)", 1, 65535, func(r *reader) *int { return &r.proc.Quorum }),
		takes("quorum_max", "0..65535", "and at most; 0: none may run", 1, 1, func(r *reader, c *call) {
			if n, ok := r.number(c, 0, 0, 65535); ok && n == 0 {
				r.proc.QuorumMax = -1
			} else {
				r.proc.QuorumMax = n
			}
		}),
		secs("fork_delay", "how long it must run until it is up", 0, 3600, func(r *reader) *time.Duration { return &r.proc.Delay }),
		secs("terminate_delay", "how long it must be gone until it is down", 0, 3600, func(r *reader) *time.Duration { return &r.proc.TerminateDelay }),
		takes("delay", "0..3600 seconds", "both", 1, 1, func(r *reader, c *call) {
			if d, ok := r.seconds(c, 0, 0, 3600); ok {
				r.proc.Delay, r.proc.TerminateDelay = d, d
			}
		}),
		flag("full_command", "the whole command line is compared, not the name", func(r *reader) *bool { return &r.proc.FullCommand }),
	}
}
