package keepalived

import (
	"cmp"
	"fmt"

	"github.com/takt-ha/takt/director"
)

// word is a word of the file, without its quotes.
type word struct {
	text   string
	pos    director.Pos
	quoted bool
}

// statement is a line: a keyword and its values, and for a block what is in its braces.
type statement struct {
	word
	args  []word
	block bool
	body  []*statement
}

// arg returns the text of the i-th value, "" if there is none.
func (s *statement) arg(i int) string {
	if i < len(s.args) {
		return s.args[i].text
	}
	return ""
}

// parser makes a tree of lines. A brace opens a block of the statement before it, on its line or the one above; a
// line's end, and a brace, end a statement.
type parser struct {
	out  *findings
	open []*statement
	top  []*statement
	cur  *statement // of the line that is being read
	last *statement // what a { would belong to
	slab []statement
}

func parse(src Source, o Options, out *findings) (tree []*statement, files []string) {
	p := &parser{out: out}
	s := &stage{o: o, out: out, emit: p.line, seed: o.Seed, most: cmp.Or(o.lines, maxLines)}
	s.file(src)
	for _, b := range p.open {
		if s.dead {
			break
		}
		out.add(Error, b.pos, fmt.Sprintf("the block %q has no closing brace", b.text))
	}
	return p.top, s.files
}

func (p *parser) line(l line) {
	for at := 0; ; {
		t, next, err := token(&l, at)
		if err != "" {
			p.out.add(Error, l.place(next), err)
			break
		}
		if t.kind == none {
			break
		}
		switch t.kind {
		case opens:
			p.begin(t.word)
		case shuts:
			p.end(t.word)
		default:
			p.word(t.word)
		}
		at = next
	}
	p.cur = nil
}

func (p *parser) word(w word) {
	if p.cur != nil {
		p.cur.args = append(p.cur.args, w)
		return
	}
	if len(p.slab) == 0 {
		p.slab = make([]statement, 256)
	}
	s := &p.slab[0]
	p.slab = p.slab[1:]
	s.word = w
	if n := len(p.open); n > 0 {
		p.open[n-1].body = append(p.open[n-1].body, s)
	} else {
		p.top = append(p.top, s)
	}
	p.cur, p.last = s, s
}

func (p *parser) begin(w word) {
	s := p.last
	switch {
	case s == nil:
		p.out.add(Error, w.pos, "a block has no name before its brace")
		s = &statement{word: word{pos: w.pos}} // in no body: what is in it is not read
	case len(p.open) >= maxNest:
		p.out.add(Error, w.pos, fmt.Sprintf("blocks are nested more than %d deep", maxNest))
	}
	s.block = true
	p.open = append(p.open, s)
	p.cur, p.last = nil, nil
}

func (p *parser) end(w word) {
	p.cur, p.last = nil, nil
	if len(p.open) == 0 {
		p.out.add(Error, w.pos, "there is a closing brace too many")
		return
	}
	p.open = p.open[:len(p.open)-1]
}
