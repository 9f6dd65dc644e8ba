package cib

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Classes of bytes, so that the scanning loops test one table entry a byte.
const (
	plainByte   = iota
	controlByte // not allowed in XML at all
	spaceByte   // tab, line feed, carriage return: subject to normalisation
	markByte    // < & and quotes
)

var byteClass = func() (t [256]uint8) {
	for c := range 0x20 {
		t[c] = controlByte
	}
	t['\t'], t['\n'], t['\r'] = spaceByte, spaceByte, spaceByte
	t['<'], t['&'], t['"'], t['\''] = markByte, markByte, markByte, markByte
	return t
}()

func isSpace(c byte) bool { return c == ' ' || c == '\n' || c == '\t' || c == '\r' }

func firstRune(s string) string {
	_, size := utf8.DecodeRuneInString(s)
	return s[:size]
}

// skipSpace skips white space and reports whether there was any.
func (p *parser) skipSpace() bool {
	at := p.pos
	for p.pos < len(p.src) && isSpace(p.src[p.pos]) {
		p.pos++
	}
	return p.pos > at
}

// name reads a Name (XML 1.0, production 5).
func (p *parser) name() (string, bool) {
	at := p.pos
	for p.pos < len(p.src) {
		c := p.src[p.pos]
		if c < utf8.RuneSelf {
			if !nameByte(c, p.pos == at) {
				break
			}
			p.pos++
			continue
		}
		r, size := utf8.DecodeRuneInString(p.src[p.pos:])
		if !nameRune(r, p.pos == at) {
			break
		}
		p.pos += size
	}
	return p.src[at:p.pos], p.pos > at
}

func nameByte(c byte, first bool) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_', c == ':':
		return true
	}
	return !first && ('0' <= c && c <= '9' || c == '-' || c == '.')
}

func nameRune(r rune, first bool) bool {
	switch {
	case r == 0xD7, r == 0xF7, r == 0x37E:
		return false
	case 0xC0 <= r && r <= 0x2FF, 0x370 <= r && r <= 0x1FFF, 0x200C <= r && r <= 0x200D,
		0x2070 <= r && r <= 0x218F, 0x2C00 <= r && r <= 0x2FEF, 0x3001 <= r && r <= 0xD7FF,
		0xF900 <= r && r <= 0xFDCF, 0xFDF0 <= r && r <= 0xFFFD, 0x10000 <= r && r <= 0xEFFFF:
		return true
	}
	return !first && (r == 0xB7 || 0x300 <= r && r <= 0x36F || 0x203F <= r && r <= 0x2040)
}

// attrValue reads a quoted value. A literal tab or line end becomes a space,
// &#10; stays what it says (XML 1.0, section 3.3.3).
func (p *parser) attrValue(name, element string) (string, error) {
	if len(p.attrs) == maxAttrs {
		return "", p.fail(p.pos, "Check the element: none that is known has more than thirty.", "<%s> has more than %d attributes", element, maxAttrs)
	}
	quote := p.src[p.pos]
	start := p.pos + 1
	clean := true
	for i := start; i < len(p.src); i++ {
		c := p.src[i]
		switch byteClass[c] {
		case plainByte:
		case controlByte:
			return "", p.failControl(i)
		case spaceByte:
			clean = false
		default:
			switch c {
			case quote:
				p.pos = i + 1
				if clean {
					return p.src[start:i], nil
				}
				return p.decode(start, i, true)
			case '<':
				return "", p.fail(i, "Write &lt;; or a closing quote is missing.", "< in the value of attribute %s of <%s>", name, element)
			case '&':
				clean = false
			}
		}
	}
	return "", p.fail(start-1, "Add the closing quote.", "the value of attribute %s of <%s> does not end", name, element)
}

// text reads character data, CDATA sections included, up to the next markup.
// White space alone is layout and dropped, unless it is written as &#…; or CDATA.
func (p *parser) text() error {
	at := p.pos
	p.skipSpace()
	if p.pos == len(p.src) || p.src[p.pos] == '<' && !strings.HasPrefix(p.src[p.pos:], "<![CDATA[") {
		return nil
	}
	line := p.line()
	p.pos = at
	var parts []string
	for p.pos < len(p.src) {
		part, more, err := p.textPart()
		if err != nil {
			return err
		}
		parts = append(parts, part)
		if !more {
			break
		}
	}
	if s := strings.Join(parts, ""); s != "" {
		n := p.slab.node()
		n.kind, n.line, n.text = textKind, line, s
		p.pending = append(p.pending, n)
	}
	return nil
}

// textPart reads one run of characters or one CDATA section; more is false
// where markup or the end follows.
func (p *parser) textPart() (part string, more bool, err error) {
	at := p.pos
	if strings.HasPrefix(p.src[at:], "<![CDATA[") {
		at += len("<![CDATA[")
		end := strings.Index(p.src[at:], "]]>")
		if end < 0 {
			return "", false, p.fail(p.pos, "End it with ]]>.", "the CDATA section does not end")
		}
		p.pos = at + end + 3
		return newlines(p.src[at : at+end]), true, p.plain(at, at+end)
	}
	end := strings.IndexByte(p.src[at:], '<')
	if end < 0 {
		end = len(p.src) - at
	}
	end += at
	if err := p.plain(at, end); err != nil {
		return "", false, err
	}
	if i := strings.Index(p.src[at:end], "]]>"); i >= 0 {
		return "", false, p.fail(at+i, "Write ]]&gt;.", "]]> in text")
	}
	p.pos = end
	part, err = p.decode(at, end, false)
	return part, strings.HasPrefix(p.src[end:], "<![CDATA["), err
}

// plain refuses control characters in a stretch of the source.
func (p *parser) plain(from, to int) error {
	for i := from; i < to; i++ {
		if byteClass[p.src[i]] == controlByte {
			return p.failControl(i)
		}
	}
	return nil
}

func (p *parser) failControl(at int) error {
	return p.fail(at, "Remove it; XML cannot hold it, not even escaped.", "control character %U", rune(p.src[at]))
}

// newlines makes every line end a line feed (XML 1.0, section 2.11).
func newlines(s string) string {
	if strings.IndexByte(s, '\r') < 0 {
		return s
	}
	return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\r", "\n")
}

// decode resolves references and line ends; in attributes literal white space
// becomes spaces.
func (p *parser) decode(from, to int, attr bool) (string, error) {
	s := p.src[from:to]
	if !attr && !strings.ContainsAny(s, "&\r") {
		return s, nil
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '&':
			size, err := p.reference(&b, from+i, to)
			if err != nil {
				return "", err
			}
			i += size - 1
		case c == '\r' && i+1 < len(s) && s[i+1] == '\n':
		case c == '\r' && !attr:
			b.WriteByte('\n')
		case attr && isSpace(c):
			b.WriteByte(' ')
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), nil
}

var entities = [...]struct{ name, char string }{{"lt", "<"}, {"gt", ">"}, {"amp", "&"}, {"quot", `"`}, {"apos", "'"}}

// reference decodes the reference at a place and returns its size in the source.
func (p *parser) reference(b *strings.Builder, at, limit int) (int, error) {
	name, _, ok := strings.Cut(p.src[at+1:min(limit, at+40)], ";")
	if !ok {
		return 0, p.fail(at, "A plain & is written &amp;.", "& does not start a reference such as &amp;")
	}
	size := len(name) + 2
	for _, e := range entities {
		if e.name == name {
			b.WriteString(e.char)
			return size, nil
		}
	}
	if !strings.HasPrefix(name, "#") {
		return 0, p.fail(at, "A plain & is written &amp;; known are &lt; &gt; &amp; &quot; &apos; and &#…;.", "&%s; is not known", name)
	}
	r, err := charRef(name[1:])
	if err != nil || !xmlRune(r) {
		return 0, p.fail(at, "Remove it, or write the number of a character that XML allows.", "&%s; is no character that XML allows", name)
	}
	b.WriteRune(r)
	return size, nil
}

func charRef(s string) (rune, error) {
	base := 10
	if strings.HasPrefix(s, "x") {
		s, base = s[1:], 16
	}
	n, err := strconv.ParseUint(s, base, 31)
	return rune(n), err
}

// xmlRune reports whether XML 1.0 allows a character (production 2).
func xmlRune(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || 0x20 <= r && r <= 0xD7FF ||
		0xE000 <= r && r <= 0xFFFD || 0x10000 <= r && r <= 0x10FFFF
}
