package keepalived

import (
	"strconv"
	"strings"
)

// repeat handles "~SEQ(VAR, START, STEP, END) rest", "~SEQx(...) rest" and "~LST(VAR, A, B, ...) rest": rest is handled
// once for each value. false: the line is none of these.
func (s *stage) repeat(l line, depth int) bool {
	open := strings.IndexByte(l.text, '(')
	if open < 0 {
		return false
	}
	word := strings.TrimRight(l.text[:open], blanks)
	if word != "~SEQ" && word != "~SEQx" && word != "~LST" {
		return false
	}
	length := strings.IndexByte(l.text[open:], ')')
	if length < 0 {
		s.fail(l.place(open), "%s( has no closing parenthesis", word)
		return true
	}
	args := s.flat(l.text[open+1:open+length], 0)
	rest := l.from(open + length + 1).trimmed()
	if word == "~LST" {
		s.list(l, args, rest, depth)
	} else {
		s.sequence(l, args, rest, depth, word == "~SEQx")
	}
	return true
}

// flat puts in the values of names that are one line.
func (s *stage) flat(text string, depth int) string {
	if strings.IndexByte(text, '$') < 0 || depth > maxNest {
		return text
	}
	var b strings.Builder
	for text != "" {
		i := strings.IndexByte(text, '$')
		if i < 0 {
			break
		}
		b.WriteString(text[:i])
		name, length, known := s.reference(text[i:], nil)
		if v := value(nil); known {
			if v = s.valueOf(name); len(v) == 1 && s.charge(&v[0], len(v[0].text)) {
				b.WriteString(s.flat(v[0].text, depth+1))
			}
		} else {
			b.WriteString(text[i : i+max(length, 1)])
		}
		text = text[i+max(length, 1):]
	}
	return b.String() + text
}

func (s *stage) sequence(l line, args string, rest line, depth int, hex bool) {
	words := strings.Split(args, ",")
	for i := range words {
		words[i] = strings.Trim(words[i], blanks)
	}
	name := words[0]
	if identifier(name) != len(name) || name == "" || len(words) < 2 || len(words) > 4 {
		s.fail(l.place(0), "want ~SEQ(NAME, START, STEP, END), where STEP and START may be left out")
		return
	}
	var n []int64
	for _, w := range words[1:] {
		v, err := strconv.ParseInt(w, 0, 32)
		if err != nil {
			s.fail(l.place(0), "~SEQ: %q is no number", w)
			return
		}
		n = append(n, v)
	}
	start, step, end := bounds(n)
	if step == 0 || step > 0 && start > end || step < 0 && start < end {
		s.fail(l.place(0), "~SEQ: steps of %d do not lead from %d to %d", step, start, end)
		return
	}
	base := 10
	if hex {
		base = 16
	}
	for v := start; (step > 0 && v <= end || step < 0 && v >= end) && !s.dead; v += step {
		if s.charge(&l, len(rest.text)) {
			s.setText(name, strconv.FormatInt(v, base), l)
			s.logical(rest, depth+1)
		}
	}
}

// bounds fills in what was left out of START, STEP, END.
func bounds(n []int64) (start, step, end int64) {
	end = n[len(n)-1]
	start, step = 1, 1
	if end < 0 {
		start = -1
	}
	if len(n) > 1 {
		start = n[0]
	}
	if end < start {
		step = -1
	}
	if len(n) == 3 {
		step = n[1]
	}
	return start, step, end
}

func (s *stage) list(l line, args string, rest line, depth int) {
	items := groups(args)
	if len(items) < 2 {
		s.fail(l.place(0), "want ~LST(NAME, VALUE, ...), or ~LST({NAME, NAME}, {VALUE, VALUE}, ...)")
		return
	}
	names := items[0]
	for _, n := range names {
		if identifier(n) != len(n) || n == "" {
			s.fail(l.place(0), "~LST: %q cannot be a name", n)
			return
		}
	}
	for _, item := range items[1:] {
		if len(item) != len(names) {
			s.fail(l.place(0), "~LST: there are %d names, but %d values in {%s}", len(names), len(item), strings.Join(item, ", "))
			return
		}
		if s.dead || !s.charge(&l, len(rest.text)) {
			return
		}
		for i, v := range item {
			s.setText(names[i], v, l)
		}
		s.logical(rest, depth+1)
	}
}

// groups cuts "a, b, {c, d}" at its commas: [[a] [b] [c d]].
func groups(text string) (out [][]string) {
	for text != "" {
		text = strings.TrimLeft(text, blanks+",")
		if text == "" {
			break
		}
		var in string
		if body, braced := strings.CutPrefix(text, "{"); braced {
			in, text, _ = strings.Cut(body, "}")
			var item []string
			for _, w := range strings.Split(in, ",") {
				item = append(item, strings.Trim(w, blanks))
			}
			out = append(out, item)
			continue
		}
		in, text, _ = strings.Cut(text, ",")
		out = append(out, []string{strings.Trim(in, blanks)})
	}
	return out
}

// random is ${_RANDOM [MIN [MAX]]}: the same numbers for the same seed.
func (s *stage) random(words []string) string {
	limits := [2]uint64{0, 32767}
	for i, w := range words {
		if v, err := strconv.ParseUint(w, 10, 31); err == nil && i < 2 {
			limits[i] = v
		}
	}
	s.seed = s.seed*6364136223846793005 + 1442695040888963407 // Knuth's MMIX
	if limits[1] < limits[0] {
		limits[1] = limits[0]
	}
	return strconv.FormatUint(limits[0]+(s.seed>>33)%(limits[1]-limits[0]+1), 10)
}
