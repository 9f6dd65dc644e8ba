package keepalived

import (
	"fmt"

	"github.com/takt-ha/takt/director"
)

// reader makes a configuration of a tree. What the words of a block go to is in the fields that are named after it.
type reader struct {
	o      Options
	out    *findings
	book   *book
	near   map[string]string
	silent int                       // more than 0 in a block that is ignored: only unknown words are told
	frames []map[string]director.Pos // of the open blocks: where each keyword was
	closed map[string]director.Pos   // of the block that was closed last

	cfg       director.Config
	ifDefault string // default_interface
	minGarp   bool
	garpSet   garpGiven
	extra     extraGarp
	shared    defaults
	instances []*instance
	groups    []*group
	garps     []garpGroup
	garpOf    map[string]*garpGiven // by interface
	sets      map[string]*serverSet // virtual_server_group
	servers   []*server
	trackSets map[string][]word // track_group

	inst    *instance
	group   *group
	script  *director.Script
	file    *director.TrackedFile
	proc    *director.TrackedProcess
	garpGrp *garpGroup
	set     *serverSet
	vs      *server
	rs      *real
	chk     *check
	smtp    *check // whose host is being read
	url     *page
	timing  *timing
	notify  *director.Notify
	track   *director.Track
	lists   *director.Routing   // that routes and rules go to
	addrs   *[]director.Address // that addresses go to
	static  bool
	fifoAt  director.Pos            // of the last FIFO
	mailAt  director.Pos            // of the last smtp_alert of global_defs
	named   map[string]director.Pos // what has a name that must be its own: "KIND NAME"
}

func newReader(o Options, out *findings) *reader {
	r := &reader{o: o, out: out, book: library(), near: map[string]string{}, garpOf: map[string]*garpGiven{}, named: map[string]director.Pos{}, sets: map[string]*serverSet{}, trackSets: map[string][]word{}, ifDefault: "eth0"}
	globalDefaults(&r.cfg.Global)
	return r
}

func (r *reader) fail(p director.Pos, format string, args ...any) {
	r.out.add(Error, p, fmt.Sprintf(format, args...))
}

func (r *reader) warn(p director.Pos, format string, args ...any) {
	r.out.add(Warning, p, fmt.Sprintf(format, args...))
}

func (r *reader) note(p director.Pos, format string, args ...any) {
	r.out.add(Note, p, fmt.Sprintf(format, args...))
}

func (r *reader) top(tree []*statement) { r.body("", tree) }

// body reads what is in a block.
func (r *reader) body(in string, list []*statement) {
	r.frames = append(r.frames, nil)
	item, rows := r.book.items[in], r.book.rows[in]
	for _, s := range list {
		if k := rows[s.text]; k != nil {
			r.statement(s, k)
			continue
		}
		switch {
		case item == nil:
			r.unknown(in, s)
		case s.block && r.book.rows[""][s.text] != nil:
			r.unknown(in, s)
		case s.block:
			r.fail(s.pos, "%s is a list: there is no block in it", in)
		case r.silent == 0:
			item(r, &call{s, nil})
		}
	}
	top := len(r.frames) - 1
	r.closed, r.frames = r.frames[top], r.frames[:top]
}

// statement does what the table says about a keyword.
func (r *reader) statement(s *statement, k *row) {
	if !r.fits(s, k) {
		return
	}
	if k.fate != Understood || r.silent > 0 {
		r.pass(s, k)
		if k.do == nil || r.silent > 0 {
			return
		}
	}
	r.once(s, k)
	c := &call{s, k}
	if k.do != nil {
		k.do(r, c)
	}
	if s.block {
		r.body(k.opens, s.body)
		if k.end != nil {
			k.end(r, c)
		}
	}
}

// fits reports whether a statement has the values and the block that its keyword wants.
func (r *reader) fits(s *statement, k *row) bool {
	switch {
	case k.opens == "" && s.block:
		r.fail(s.pos, "%s has no block: is a line missing before the brace?", s.text)
		return false
	case k.opens != "" && !s.block:
		r.fail(s.pos, "%s wants a block: %s", s.text, form(k))
		return false
	case len(s.args) < k.least:
		r.fail(s.pos, "%s wants a value: %s", s.text, form(k))
		return false
	case k.most >= 0 && len(s.args) > k.most && r.silent == 0 && k.fate == Understood:
		r.warn(s.args[k.most].pos, "what follows here is ignored: %s", form(k))
	}
	return true
}

// form shows how a keyword is written.
func form(k *row) string {
	out := k.name
	if k.values != "" {
		out += " " + k.values
	}
	if k.opens != "" {
		out += " { ... }"
	}
	return out
}

// pass passes over a keyword that is ignored, with what is in its block.
func (r *reader) pass(s *statement, k *row) {
	if r.silent == 0 {
		severity := Note
		if k.fate == Ignored {
			severity = Warning
		}
		r.out.add(severity, s.pos, s.text+" is ignored: "+k.words)
	}
	if s.block {
		r.silent++
		r.body(k.opens, s.body)
		r.silent--
	}
}

// once remembers that a keyword was there, and complains about a second time.
func (r *reader) once(s *statement, k *row) {
	top := len(r.frames) - 1
	if first, twice := r.frames[top][k.name]; twice && !k.multi {
		r.warn(s.pos, "%s was said at %s already: this one counts", s.text, first)
	}
	if r.frames[top] == nil {
		r.frames[top] = map[string]director.Pos{}
	}
	r.frames[top][k.name] = s.pos
}

// unique reports whether the name in c is the first of its kind.
func (r *reader) unique(kind string, c *call) bool {
	key := kind + " " + c.arg(0)
	first, twice := r.named[key]
	if twice {
		r.fail(c.args[0].pos, "there is %s %q at %s already", kind, c.arg(0), first)
		return false
	}
	r.named[key] = c.args[0].pos
	return true
}
