package keepalived

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/director"
)

// Limits keep a file that refers to itself, or is no configuration, from taking the machine's memory.
const (
	maxText  = 64 << 20  // bytes of all files
	maxLines = 2_000_000 // after ~SEQ and $NAMEs were put in
	maxFiles = 10_000
	maxNest  = 32 // includes in includes, $NAMEs in $NAMEs, blocks in blocks
)

// stage reads files line by line and hands on those that count.
type stage struct {
	o     Options
	out   *findings
	emit  func(line)
	files []string
	open  []string // the files that are being read, the outermost first
	dir   string   // of the innermost
	names map[string]value
	check includeCheck
	text  int // bytes of files so far
	lines int
	most  int // lines, and 64 times as many bytes that are put in
	put   int
	dead  bool // a limit was reached: nothing more is read
	seed  uint64
}

func (s *stage) fail(p director.Pos, format string, args ...any) {
	s.out.add(Error, p, fmt.Sprintf(format, args...))
}

// stop gives up altogether.
func (s *stage) stop(p director.Pos, format string, args ...any) {
	if !s.dead {
		s.dead = true
		s.fail(p, format, args...)
	}
}

// file reads a file and what it includes.
func (s *stage) file(src Source) {
	s.files = append(s.files, src.Path)
	start := director.Pos{File: src.Path, Line: 1, Col: 1}
	if s.text += len(src.Text); s.text > maxText {
		s.stop(start, "the configuration is larger than %d MiB", maxText>>20)
		return
	}
	if i := strings.IndexByte(src.Text, 0); i >= 0 {
		start.Line += strings.Count(src.Text[:i], "\n")
		s.stop(start, "there is a zero byte: this is no text")
		return
	}
	dir, check := s.dir, s.check
	s.open, s.dir = append(s.open, src.Path), src.Dir()
	in := physical{file: src.Path, rest: src.Text}
	for l, ok := in.next(); ok && !s.dead; l, ok = in.next() {
		s.raw(l, &in)
	}
	s.open, s.dir, s.check = s.open[:len(s.open)-1], dir, check
}

// raw handles a line of a file.
func (s *stage) raw(l line, in *physical) {
	if strings.HasPrefix(l.text, "include") && s.include(l) {
		return
	}
	if v, is := strings.CutPrefix(l.text, "random_seed"); is {
		s.seed, _ = strconv.ParseUint(strings.Trim(v, blanks), 0, 64) // the keyword complains about what is no number
	}
	l, here := s.condition(l)
	if !here {
		return
	}
	if name, at, is := definition(l.text); is {
		s.define(name, l.from(at), in)
		return
	}
	s.logical(l, 0)
}

// physical cuts a file into lines without comments; lines in which nothing is left are passed over.
type physical struct {
	file string
	rest string
	no   int
}

func (p *physical) next() (line, bool) {
	for p.rest != "" {
		text := p.rest
		if i := strings.IndexByte(text, '\n'); i >= 0 {
			text, p.rest = text[:i], text[i+1:]
		} else {
			p.rest = ""
		}
		p.no++
		l := line{text: uncomment(text), file: p.file, no: p.no, col: 1}.trimmed()
		if l.text != "" {
			return l, true
		}
	}
	return line{}, false
}

// uncomment cuts off what follows a # or ! that is not quoted.
func uncomment(s string) string {
	i := strings.IndexAny(s, "#!\"'\\")
	if i < 0 {
		return s
	}
	var quote byte
	for ; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			i++
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '#' || c == '!':
			return s[:i]
		}
	}
	return s
}

// condition handles "@WORD rest" and "@^WORD rest": without the condition, if it holds.
func (s *stage) condition(l line) (line, bool) {
	for strings.HasPrefix(l.text, "@") {
		end := strings.IndexAny(l.text, blanks)
		if end < 0 {
			end = len(l.text)
		}
		word, not := strings.CutPrefix(l.text[1:end], "^")
		if word == "" {
			s.fail(l.place(0), "there is no name behind the @: want @NAME, or @^NAME for all others, without a space between")
		}
		if (word == s.o.ConfigID) == not {
			return line{}, false
		}
		l = l.from(end).trimmed()
	}
	return l, l.text != ""
}
