package cib

import (
	"io"
	"strings"
)

// String prints the element without layout, in one line. Parse of it gives an
// equal tree; a nil element prints as "".
func (n *Node) String() string {
	if n == nil {
		return ""
	}
	return string(n.append(nil))
}

// Append prints the element, as String does, to the end of b.
func (n *Node) Append(b []byte) []byte {
	if n == nil {
		return b
	}
	return n.append(b)
}

// WriteTo prints the element, as String does, to w.
func (n *Node) WriteTo(w io.Writer) (int64, error) {
	if n == nil {
		return 0, nil
	}
	out := flusher{w: w, buf: make([]byte, 0, flushSize*2)}
	out.element(n)
	out.flush()
	return out.written, out.err
}

const flushSize = 32 << 10

// flusher prints a tree through a buffer of bounded size.
type flusher struct {
	w       io.Writer
	buf     []byte
	written int64
	err     error // the first; nothing is written after it
}

func (f *flusher) element(n *Node) {
	if n.kind != elementKind || len(n.children) == 0 {
		f.buf = n.append(f.buf)
	} else {
		f.buf = n.appendStart(f.buf, ">")
		for _, c := range n.children {
			f.element(c)
		}
		f.buf = n.appendEnd(f.buf)
	}
	if len(f.buf) >= flushSize {
		f.flush()
	}
}

func (f *flusher) flush() {
	if f.err == nil && len(f.buf) > 0 {
		var n int
		n, f.err = f.w.Write(f.buf)
		f.written += int64(n)
	}
	f.buf = f.buf[:0]
}

// Indent prints the element for people: each element on its own line, two
// spaces deeper than its parent, with a line feed at the end. Elements that
// hold text stay on one line, so that Parse of it gives an equal tree.
func (n *Node) Indent() string {
	if n == nil {
		return ""
	}
	return string(n.appendIndent(nil, 0))
}

func (n *Node) appendIndent(b []byte, depth int) []byte {
	for range depth {
		b = append(b, "  "...)
	}
	if n.kind != elementKind || len(n.children) == 0 || n.hasText() {
		return append(n.append(b), '\n')
	}
	b = append(n.appendStart(b, ">"), '\n')
	for _, c := range n.children {
		b = c.appendIndent(b, depth+1)
	}
	for range depth {
		b = append(b, "  "...)
	}
	return append(n.appendEnd(b), '\n')
}

func (n *Node) hasText() bool {
	for _, c := range n.children {
		if c.kind == textKind {
			return true
		}
	}
	return false
}

func (n *Node) append(b []byte) []byte {
	switch n.kind {
	case commentKind:
		return append(append(append(b, "<!--"...), n.text...), "-->"...)
	case instructionKind:
		return append(append(append(b, "<?"...), n.text...), "?>"...)
	case textKind:
		return appendText(b, n.text)
	}
	if len(n.children) == 0 {
		return n.appendStart(b, "/>")
	}
	b = n.appendStart(b, ">")
	for _, c := range n.children {
		b = c.append(b)
	}
	return n.appendEnd(b)
}

func (n *Node) appendStart(b []byte, end string) []byte {
	b = append(append(b, '<'), n.name...)
	for i := range n.attrs {
		b = append(append(b, ' '), n.attrs[i].Name...)
		b = append(b, `="`...)
		b = appendValue(b, n.attrs[i].Value)
		b = append(b, '"')
	}
	return append(b, end...)
}

func (n *Node) appendEnd(b []byte) []byte {
	return append(append(append(b, "</"...), n.name...), '>')
}

// escapes of a byte in an attribute value. Line ends and tabs are references,
// else reading them back would make them spaces.
var valueEscape = [256]string{'<': "&lt;", '>': "&gt;", '&': "&amp;", '"': "&quot;", '\n': "&#10;", '\t': "&#9;", '\r': "&#13;"}

var textEscape = [256]string{'<': "&lt;", '>': "&gt;", '&': "&amp;", '\r': "&#13;"}

func appendValue(b []byte, s string) []byte { return appendEscaped(b, s, &valueEscape) }

func appendEscaped(b []byte, s string, table *[256]string) []byte {
	from := 0
	for i := 0; i < len(s); i++ {
		if e := table[s[i]]; e != "" {
			b = append(append(b, s[from:i]...), e...)
			from = i + 1
		}
	}
	return append(b, s[from:]...)
}

// appendText prints character data; white space alone starts with a reference,
// else reading it back would take it for layout.
func appendText(b []byte, s string) []byte {
	if strings.Trim(s, " \t\r\n") == "" && s != "" && s[0] != '\r' {
		b = append(b, "&#"...)
		b = append(b, map[byte]string{' ': "32", '\t': "9", '\n': "10"}[s[0]]...)
		b, s = append(b, ';'), s[1:]
	}
	return appendEscaped(b, s, &textEscape)
}
