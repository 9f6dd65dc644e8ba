package cib

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/takt-ha/takt/internal/errs"
)

// Limits of a document. A CIB of two thousand resources on a hundred nodes, all
// of them with a history, has a hundred megabytes and a depth of ten.
const (
	MaxSize  = 256 << 20 // bytes of source
	MaxDepth = 256       // nested elements
)

// SyntaxError is why a source is no document that a CIB can be.
type SyntaxError struct {
	Line    int // from 1
	Column  int // from 1, in characters
	Message string
}

// Error returns "line L, column C: message".
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// Parse reads an XML 1.0 document (UTF-8) and returns its root element.
//
// Everything inside of the root is kept in order: elements, attributes,
// comments, processing instructions and text. White space between elements is
// layout and is not kept, nor is what stands around the root. Documents with
// a DTD are refused, and so no entity can be declared. The error is an
// *errs.Error of kind Invalid around a *SyntaxError.
func Parse(data []byte) (*Node, error) {
	if len(data) > MaxSize { // not worth a copy
		return nil, tooLarge(len(data))
	}
	return ParseString(string(data))
}

// ParseString is Parse of a string. The document shares its memory.
func ParseString(source string) (*Node, error) {
	if len(source) > MaxSize {
		return nil, tooLarge(len(source))
	}
	p := parser{src: strings.TrimPrefix(source, "\uFEFF"), lineNo: 1}
	p.slab.expect(len(source))
	root, err := p.document()
	if err != nil {
		return nil, err
	}
	return root, nil
}

func tooLarge(size int) error {
	return errs.E("parse XML", errs.Invalid, "",
		"Split the document: a cluster of this size is better run as several.",
		fmt.Errorf("the document has %d bytes, at most %d are accepted", size, MaxSize))
}

// parser is the state of one Parse. All strings it makes share src.
type parser struct {
	src     string
	pos     int // next byte to read
	lineNo  int // line of lineAt
	lineAt  int // where lines were counted up to
	slab    slab
	open    []openElement // innermost last
	pending []*Node       // children of all open elements, innermost last
	attrs   []Attr        // of the tag being read
}

type openElement struct {
	node  *Node
	first int // index in pending of its first child
}

func (p *parser) document() (*Node, error) {
	if err := p.encoding(); err != nil {
		return nil, err
	}
	if err := p.prolog(); err != nil {
		return nil, err
	}
	root, err := p.tree()
	if err != nil {
		return nil, err
	}
	if err := p.around("after the root element"); err != nil {
		return nil, err
	}
	if p.pos < len(p.src) {
		if p.src[p.pos] == '<' {
			return nil, p.fail(p.pos, "One document has one root element: put both under one, or apply them one after the other.", "a second root element after </%s>", root.name)
		}
		return nil, p.fail(p.pos, "Remove it.", "text after the end of the root element </%s>", root.name)
	}
	return root, nil
}

// encoding refuses what is not XML's UTF-8 at all.
func (p *parser) encoding() error {
	if !utf8.ValidString(p.src) {
		at := 0
		for at < len(p.src) {
			r, size := utf8.DecodeRuneInString(p.src[at:])
			if r == utf8.RuneError && size == 1 {
				break
			}
			at += size
		}
		return p.fail(at, "Save the file as UTF-8.", "byte 0x%02x is not part of UTF-8 text", p.src[at])
	}
	for _, bad := range []string{"\uFFFE", "\uFFFF"} {
		if at := strings.Index(p.src, bad); at >= 0 {
			return p.fail(at, "Remove it.", "character %U is not allowed in XML", []rune(bad)[0])
		}
	}
	return nil
}

// prolog reads what stands before the root element.
func (p *parser) prolog() error {
	if rest := p.src; strings.HasPrefix(rest, "<?xml") && len(rest) > 5 && isSpace(rest[5]) {
		if err := p.declaration(); err != nil {
			return err
		}
	}
	if err := p.around("before the root element"); err != nil {
		return err
	}
	switch {
	case p.pos == len(p.src):
		return p.fail(p.pos, "A document starts with an element, for example <cib>.", "there is no element")
	case p.src[p.pos] != '<':
		return p.fail(p.pos, "A document starts with an element, for example <cib>; &, < and > in text are written &amp;, &lt; and &gt;.", "text before the root element")
	case strings.HasPrefix(p.src[p.pos:], "</"):
		return p.fail(p.pos, "Remove it, or add the start tag.", "an end tag without a start tag")
	}
	return nil
}

// declaration reads <?xml version="1.0" encoding="utf-8"?>.
func (p *parser) declaration() error {
	end := strings.Index(p.src, "?>")
	if end < 0 {
		return p.fail(p.pos, "End it with ?>.", "the XML declaration does not end")
	}
	decl := p.src[:end]
	if v, ok := pseudoAttr(decl, "version"); !ok || (v != "1.0" && v != "1.1") {
		return p.fail(p.pos, `Write <?xml version="1.0"?>.`, "XML version %q is not known", v)
	}
	if enc, ok := pseudoAttr(decl, "encoding"); ok {
		switch strings.ToLower(enc) {
		case "utf-8", "utf8", "us-ascii", "ascii":
		default:
			return p.fail(p.pos, "Save the file as UTF-8, and say so in its first line.", "encoding %q is not supported", enc)
		}
	}
	p.pos = end + 2
	return nil
}

// pseudoAttr finds name="value" in an XML declaration.
func pseudoAttr(decl, name string) (string, bool) {
	_, rest, ok := strings.Cut(decl, name)
	rest = strings.TrimLeft(rest, " \t\r\n")
	if !ok || !strings.HasPrefix(rest, "=") {
		return "", false
	}
	rest = strings.TrimLeft(rest[1:], " \t\r\n")
	if rest == "" || (rest[0] != '"' && rest[0] != '\'') {
		return "", false
	}
	v, _, ok := strings.Cut(rest[1:], rest[:1])
	return v, ok
}

// around skips white space, comments and processing instructions outside of
// the root element.
func (p *parser) around(where string) error {
	for {
		p.skipSpace()
		rest := p.src[p.pos:]
		var err error
		switch {
		case strings.HasPrefix(rest, "<!--"):
			_, err = p.comment()
		case strings.HasPrefix(rest, "<?"):
			_, err = p.instruction()
		case strings.HasPrefix(rest, "<!"):
			return p.failDTD(where)
		default:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (p *parser) failDTD(where string) error {
	return p.fail(p.pos, "Remove the <!DOCTYPE …> declaration; the five standard entities and &#…; need none.", "a document type or entity declaration %s is not accepted", where)
}

// fail makes the error for a place in the source.
func (p *parser) fail(at int, hint, format string, args ...any) error {
	before := p.src[:at]
	col := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	syn := &SyntaxError{Line: strings.Count(before, "\n") + 1, Column: col, Message: fmt.Sprintf(format, args...)}
	return errs.E("parse XML", errs.Invalid, "", hint, syn)
}

// line returns the line of the place pos, which never goes back.
func (p *parser) line() int32 {
	p.lineNo += strings.Count(p.src[p.lineAt:p.pos], "\n")
	p.lineAt = p.pos
	return int32(p.lineNo)
}
