package keepalived

import (
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// harmless and ignored are keywords that have no effect, and why.
func harmless(name, values, words string) row {
	return row{name: name, values: values, words: words, fate: Harmless, most: -1}
}

func ignored(name, values, words string) row {
	return row{name: name, values: values, words: words, fate: Ignored, most: -1}
}

// takes is a keyword with at least and at most so many values.
func takes(name, values, words string, least, most int, do func(*reader, *call)) row {
	return row{name: name, values: values, words: words, least: least, most: most, do: do}
}

// blockOf is a keyword with a block: begin before it, end after it.
func blockOf(name, values, words, opens string, least, most int, begin, end func(*reader, *call)) row {
	return row{name: name, values: values, words: words, least: least, most: most, opens: opens, multi: true, do: begin, end: end}
}

// under is a keyword with a block that is ignored as a whole.
func under(k row, opens string) row {
	k.opens = opens
	return k
}

// again lets a keyword stand several times in a block.
func again(k row) row {
	k.multi = true
	return k
}

// num is a whole number.
func num(name, words string, lo, hi int, to func(*reader) *int) row {
	return takes(name, strconv.Itoa(lo)+".."+limit(hi), words, 1, 1, func(r *reader, c *call) {
		if n, ok := r.number(c, 0, lo, hi); ok {
			*to(r) = n
		}
	})
}

// limit shows the end of a range.
func limit(hi int) string {
	if hi == math.MaxInt32 {
		return "2147483647"
	}
	return strconv.Itoa(hi)
}

// number reads the i-th value as a whole number.
func (r *reader) number(c *call, i, lo, hi int) (int, bool) {
	w := c.args[i]
	n, err := strconv.ParseInt(w.text, 0, 64)
	if err != nil || n < int64(lo) || n > int64(hi) {
		r.fail(w.pos, "%s: %q is no whole number from %d to %d", c.text, w.text, lo, hi)
		return 0, false
	}
	return int(n), true
}

// secs is a time in seconds, with a fraction.
func secs(name, words string, lo, hi float64, to func(*reader) *time.Duration) row {
	values := decimal(lo) + ".." + decimal(hi) + " seconds"
	return takes(name, values, words, 1, 1, func(r *reader, c *call) {
		if d, ok := r.seconds(c, 0, lo, hi); ok {
			*to(r) = d
		}
	})
}

func decimal(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// seconds reads the i-th value as a time.
func (r *reader) seconds(c *call, i int, lo, hi float64) (time.Duration, bool) {
	w := c.args[i]
	v, err := strconv.ParseFloat(w.text, 64)
	if err != nil || !(v >= lo && v <= hi) || strings.ContainsAny(w.text, "xXpP_") {
		r.fail(w.pos, "%s: %q is no time from %s to %s seconds", c.text, w.text, decimal(lo), decimal(hi))
		return 0, false
	}
	return time.Duration(math.Round(v*1e6)) * time.Microsecond, true
}

// bit is on or off; alone it is on.
func bit(name, words string, to func(*reader) *bool) row {
	return takes(name, "[<BOOL>]", words, 0, 1, func(r *reader, c *call) {
		if v, ok := r.yes(c); ok {
			*to(r) = v
		}
	})
}

func (r *reader) yes(c *call) (v, ok bool) {
	switch c.arg(0) {
	case "", "on", "true", "yes":
		return true, true
	case "off", "false", "no":
		return false, true
	}
	r.fail(c.args[0].pos, "%s: %q is none of on, off, true, false, yes, no", c.text, c.arg(0))
	return false, false
}

// flag is on if it is there.
func flag(name, words string, to func(*reader) *bool) row {
	return takes(name, "", words, 0, 0, func(r *reader, _ *call) { *to(r) = true })
}

// text is a word.
func text(name, values, words string, to func(*reader) *string) row {
	return takes(name, values, words, 1, 1, func(r *reader, c *call) { *to(r) = c.arg(0) })
}

// choice is one of some words.
func choice(name, words string, to func(*reader) *string, of ...string) row {
	return takes(name, strings.Join(of, "|"), words, 1, 1, func(r *reader, c *call) {
		for _, w := range of {
			if c.arg(0) == w {
				*to(r) = w
				return
			}
		}
		r.fail(c.args[0].pos, "%s: %q is none of %s", c.text, c.arg(0), strings.Join(of, ", "))
	})
}

// addr is an address.
func addr(name, words string, to func(*reader) *netip.Addr) row {
	return takes(name, "<IPADDR>", words, 1, 1, func(r *reader, c *call) {
		if a, ok := r.address(c.text, c.args[0]); ok {
			*to(r) = a
		}
	})
}

func (r *reader) address(what string, w word) (netip.Addr, bool) {
	a, err := netip.ParseAddr(w.text)
	if err != nil {
		r.fail(w.pos, "%s: %q is no address", what, w.text)
		return a, false
	}
	return a, true
}

// command is a program: its words in one string, then a user and a group.
func command(name, words string, to func(*reader) *director.Command) row {
	return takes(name, "<STRING>|<QUOTED-STRING> [username [groupname]]", words, 1, 3, func(r *reader, c *call) {
		*to(r) = r.program(c, c.args[:1], c.args[1:])
	})
}

// program reads a program that is run without a shell.
func (r *reader) program(c *call, args, user []word) director.Command {
	out := director.Command{Pos: args[0].pos}
	for _, w := range args {
		if w.quoted && len(args) > 1 && w != args[0] {
			out.Args = append(out.Args, w.text)
			continue
		}
		out.Args = append(out.Args, split(w.text)...)
	}
	if len(out.Args) == 0 {
		r.fail(args[0].pos, "%s: there is no program", c.text)
		return director.Command{}
	}
	out.User = r.account(c, user)
	path := out.Args[0]
	if ask := r.o.Machine.Program; ask != nil {
		full, err := ask(path)
		switch {
		case err == nil:
			out.Args[0] = full
		case strings.HasPrefix(path, "/"):
			r.warn(args[0].pos, "%s: %s cannot be run: %v", c.text, path, err)
		default:
			r.fail(args[0].pos, "%s: the program %q is not found: %v", c.text, path, err)
		}
	} else if strings.Contains(path, "/") && !strings.HasPrefix(path, "/") { // a name alone is looked for where it runs
		r.fail(args[0].pos, "%s: %q is no absolute path of a program, nor its name alone", c.text, path)
	}
	return out
}

// account reads "user [group]" as user[:group].
func (r *reader) account(c *call, words []word) string {
	if len(words) == 0 {
		return ""
	}
	who := words[0].text
	if ask := r.o.Machine.User; ask != nil && !ask(who) {
		r.fail(words[0].pos, "%s: there is no user %q on this machine", c.text, who)
	}
	if len(words) == 1 {
		return who
	}
	if ask := r.o.Machine.Group; ask != nil && !ask(words[1].text) {
		r.fail(words[1].pos, "%s: there is no group %q on this machine", c.text, words[1].text)
	}
	return who + ":" + words[1].text
}

// iface complains about an interface that is not there.
func (r *reader) iface(what string, w word) string {
	switch ask := r.o.Machine.Interface; {
	case len(w.text) > 15:
		r.fail(w.pos, "%s: the name %q is longer than the 15 letters that an interface may have", what, w.text)
	case ask != nil && !ask(w.text):
		r.warn(w.pos, "%s: there is no interface %q on this machine", what, w.text)
	}
	return w.text
}

// device is the name of an interface.
func device(name, words string, to func(*reader) *string) row {
	return takes(name, "<INTERFACE>", words, 1, 1, func(r *reader, c *call) { *to(r) = r.iface(c.text, c.args[0]) })
}
