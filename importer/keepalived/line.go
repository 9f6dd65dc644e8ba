package keepalived

import (
	"sort"
	"strings"

	"github.com/takt-ha/takt/director"
)

// line is a line of the configuration without its comment. What stands in it may come from elsewhere: of that, place
// gives where the reference to it stands.
type line struct {
	text string
	file string
	no   int   // from 1
	col  int   // of text[0], from 1, if there are no cuts
	cuts []cut // in order
	off  int   // cuts count from text[-off]
}

// cut says from where in a line on the columns are counted anew.
type cut struct {
	at, col int
	still   bool // all up to the next cut is at col: it was put there for a $NAME
}

// place returns where text[i] stands.
func (l *line) place(i int) director.Pos {
	p := director.Pos{File: l.file, Line: l.no, Col: l.col + i}
	at := l.off + i
	n := sort.Search(len(l.cuts), func(k int) bool { return l.cuts[k].at > at })
	if n == 0 {
		return p
	}
	c := l.cuts[n-1]
	if p.Col = c.col; !c.still {
		p.Col += at - c.at
	}
	return p
}

// from returns the line without its first i bytes.
func (l line) from(i int) line {
	l.text, l.off, l.col = l.text[i:], l.off+i, l.col+i
	return l
}

const blanks = " \t\r\f\v"

// trimmed returns the line without blanks at its ends.
func (l line) trimmed() line {
	l.text = strings.TrimRight(l.text, blanks)
	if i := len(l.text) - len(strings.TrimLeft(l.text, blanks)); i > 0 {
		return l.from(i)
	}
	return l
}

// builder puts a line together of pieces.
type builder struct {
	line
	buf strings.Builder
}

func newBuilder(like line) *builder {
	return &builder{line: line{file: like.file, no: like.no, col: like.col}}
}

// own adds text[from:to] of l, which stands where it stands.
func (b *builder) own(l *line, from, to int) {
	if from < to {
		p := l.place(from)
		b.cuts = append(b.cuts, cut{b.buf.Len(), p.Col, false})
		b.buf.WriteString(l.text[from:to])
	}
}

// put adds text that was put in at a column.
func (b *builder) put(text string, col int) {
	b.cuts = append(b.cuts, cut{b.buf.Len(), col, true})
	b.buf.WriteString(text)
}

func (b *builder) done() line {
	b.text = b.buf.String()
	return b.line
}
