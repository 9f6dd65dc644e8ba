package keepalived

import (
	"strings"
)

// maxName is how long a ${NAME} may be, with its braces.
const maxName = 256

// value is what a $NAME stands for: one line, or several.
type value []line

// definition recognizes "$NAME=": its name, and where its value begins.
func definition(text string) (name string, at int, is bool) {
	if !strings.HasPrefix(text, "$") {
		return "", 0, false
	}
	n := identifier(text[1:])
	if n == 0 || len(text) <= n+1 || text[n+1] != '=' {
		return "", 0, false
	}
	return text[1 : n+1], n + 2, true
}

// identifier returns how long the name is with which s begins.
func identifier(s string) int {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return i
		}
	}
	return len(s)
}

// define keeps a value; a backslash at the end of a line joins the next one.
func (s *stage) define(name string, first line, in *physical) {
	var v value
	l := first.trimmed()
	for {
		body, more := strings.CutSuffix(l.text, "\\")
		l.text = body
		if l = l.trimmed(); l.text != "" {
			v = append(v, l)
		}
		if !more {
			break
		}
		var ok bool
		if l, ok = in.next(); !ok {
			s.fail(first.place(0), "the definition of $%s goes on at the end of the file: there is a backslash too many", name)
			break
		}
	}
	s.set(name, v)
}

func (s *stage) set(name string, v value) {
	if s.names == nil {
		s.names = map[string]value{}
	}
	s.names[name] = v
}

// setText defines a name as one piece of text.
func (s *stage) setText(name, text string, like line) {
	s.set(name, value{{text: text, file: like.file, no: like.no, col: like.col}})
}

// logical handles a line in which names are not yet put in. depth counts what was put into what.
func (s *stage) logical(l line, depth int) {
	if depth > maxNest {
		s.stop(l.place(0), "definitions are nested more than %d deep: is one made of itself?", maxNest)
		return
	}
	l, here := s.condition(l)
	if !here || s.dead {
		return
	}
	if name, at, is := definition(l.text); is {
		s.set(name, value{l.from(at).trimmed()})
		return
	}
	if strings.HasPrefix(l.text, "~") && s.repeat(l, depth) {
		return
	}
	if strings.IndexByte(l.text, '$') < 0 {
		s.send(l)
		return
	}
	s.substitute(l, depth)
}

// send hands a line on.
func (s *stage) send(l line) {
	if s.lines++; s.lines > s.most {
		s.stop(l.place(0), "the configuration has more than %d lines", s.most)
		return
	}
	if strings.HasPrefix(l.text, "include") && len(s.open) > 0 && s.include(l) {
		return // raw has seen those that stand in a file as they are
	}
	s.emit(l)
}

// charge counts text that is put in; false: there was too much.
func (s *stage) charge(l *line, bytes int) bool {
	if s.put += bytes + 32; s.put > 64*s.most {
		s.stop(l.place(0), "more than %d bytes would have to be put in for definitions", 64*s.most)
	}
	return !s.dead
}

// frame is a text in which names are being looked for; the outermost is the line itself.
type frame struct {
	text string
	at   int
}

// substitute puts values in for names, and for names in those.
func (s *stage) substitute(l line, depth int) {
	b := newBuilder(l)
	stack := []frame{{text: l.text}}
	col, changed := 0, false // col: of the name in the line whose value is being put in
	for len(stack) > 0 && !s.dead {
		f := &stack[len(stack)-1]
		own := len(stack) == 1
		i := strings.IndexByte(f.text[f.at:], '$')
		to := f.at + i
		if i < 0 {
			to = len(f.text)
		}
		s.copy(b, &l, f, to, own, col)
		if i < 0 {
			stack = stack[:len(stack)-1]
			continue
		}
		if own {
			col = l.place(f.at).Col
		}
		name, length, known := s.reference(f.text[f.at:], stack)
		if !known {
			s.copy(b, &l, f, f.at+max(length, 1), own, col)
			continue
		}
		f.at += length
		changed = true
		v := s.valueOf(name)
		switch {
		case len(v) > 1:
			s.several(b, v, &l, stack, depth)
			return
		case len(v) == 1:
			if len(stack) > maxNest {
				s.stop(l.place(0), "definitions are nested more than %d deep: is $%s made of itself?", maxNest, name)
				return
			}
			if s.charge(&l, len(v[0].text)) {
				stack = append(stack, frame{text: v[0].text})
			}
		}
	}
	out := b.done().trimmed()
	switch {
	case s.dead || out.text == "":
	case changed && strings.ContainsRune("@~", rune(out.text[0])):
		s.logical(out, depth+1)
	default:
		s.send(out)
	}
}

func (s *stage) copy(b *builder, l *line, f *frame, to int, own bool, col int) {
	if own {
		b.own(l, f.at, to)
	} else if to > f.at {
		b.put(f.text[f.at:to], col)
	}
	f.at = to
}

// several puts a value of several lines into a line: what stands before it goes with the first, what comes after it with
// the last one. A line of its own stands where the definition has it.
func (s *stage) several(b *builder, v value, l *line, stack []frame, depth int) {
	before := b.done().trimmed()
	for i, x := range v {
		if s.dead || !s.charge(l, len(x.text)) {
			return
		}
		if i == 0 && before.text != "" {
			j := newBuilder(before)
			j.own(&before, 0, len(before.text))
			j.put(" "+x.text, before.place(len(before.text)).Col+1)
			x = j.done()
		}
		if i == len(v)-1 {
			x = s.tail(x, l, stack)
		}
		s.logical(x, depth+1)
	}
}

// tail adds what is left of all frames to a line.
func (s *stage) tail(x line, l *line, stack []frame) line {
	var rest strings.Builder
	for i := len(stack) - 1; i >= 0; i-- {
		rest.WriteString(stack[i].text[stack[i].at:])
	}
	if strings.Trim(rest.String(), blanks) == "" || !s.charge(l, rest.Len()) {
		return x
	}
	j := newBuilder(x)
	j.own(&x, 0, len(x.text))
	j.put(rest.String(), x.place(len(x.text)).Col)
	return j.done()
}

// reference recognizes "${NAME}", and "$NAME" before a blank or the end, of a name that is defined. length is what it
// takes, also of a reference that is left as it is.
func (s *stage) reference(text string, stack []frame) (name string, length int, known bool) {
	if strings.HasPrefix(text, "${") {
		end := strings.IndexByte(text[:min(len(text), maxName)], '}')
		if end < 0 {
			return "", 2, false
		}
		name = strings.Trim(text[2:end], blanks)
		return name, end + 1, s.known(name)
	}
	n := identifier(text[1:])
	if n == 0 {
		return "", 1, false
	}
	name, length = text[1:n+1], n+1
	next := byte(' ')
	if length < len(text) {
		next = text[length]
	} else {
		for i := len(stack) - 2; i >= 0; i-- {
			if f := stack[i]; f.at < len(f.text) {
				next = f.text[f.at]
				break
			}
		}
	}
	return name, length, strings.IndexByte(blanks, next) >= 0 && s.known(name)
}

func (s *stage) known(name string) bool {
	switch word, _, _ := strings.Cut(name, " "); word {
	case "_PWD", "_INSTANCE", "_HASH", "_BANG", "_RANDOM":
		return true
	}
	_, is := s.names[name]
	return is
}

// valueOf is the value of a known name.
func (s *stage) valueOf(name string) value {
	if v, is := s.names[name]; is {
		return v
	}
	word, rest, _ := strings.Cut(name, " ")
	text := map[string]string{"_PWD": s.dir, "_INSTANCE": s.o.Instance, "_HASH": "#", "_BANG": "!"}[word]
	if word == "_RANDOM" {
		text = s.random(strings.Fields(rest))
	}
	return value{{text: text}}
}
