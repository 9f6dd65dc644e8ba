package cib

import "strings"

// tree reads the root element with all that is in it. It keeps a stack of its
// own instead of recursing, so that depth is bounded by MaxDepth alone.
func (p *parser) tree() (*Node, error) {
	root, err := p.startTag()
	if err != nil {
		return nil, err
	}
	for len(p.open) > 0 {
		if err := p.text(); err != nil {
			return nil, err
		}
		if p.pos == len(p.src) {
			return nil, p.failUnclosed()
		}
		if err := p.markup(); err != nil {
			return nil, err
		}
	}
	return root, nil
}

// markup reads what starts with < inside of an element.
func (p *parser) markup() error {
	rest := p.src[p.pos:]
	var n *Node
	var err error
	switch {
	case strings.HasPrefix(rest, "</"):
		return p.endTag()
	case strings.HasPrefix(rest, "<!--"):
		n, err = p.comment()
	case strings.HasPrefix(rest, "<?"):
		n, err = p.instruction()
	case strings.HasPrefix(rest, "<!"):
		return p.failDTD("inside of an element")
	default:
		_, err = p.startTag()
		return err
	}
	if err == nil {
		p.pending = append(p.pending, n)
	}
	return err
}

// startTag reads <name a="v" …> or <name …/> and opens or adds the element.
func (p *parser) startTag() (*Node, error) {
	if len(p.open) == MaxDepth {
		return nil, p.fail(p.pos, "A CIB has a depth of about ten: an end tag is probably missing.", "elements are nested more than %d deep", MaxDepth)
	}
	n := p.slab.node()
	n.line = p.line()
	at := p.pos
	p.pos++
	name, ok := p.name()
	if !ok {
		return nil, p.fail(at, "In text, < is written &lt;.", "< is not followed by the name of an element")
	}
	n.name = name
	closed, err := p.attributes(n, at)
	if err != nil {
		return nil, err
	}
	if len(p.open) > 0 {
		p.pending = append(p.pending, n)
	}
	if !closed {
		p.open = append(p.open, openElement{n, len(p.pending)})
	}
	return n, nil
}

// attributes reads up to the end of a start tag and reports whether the tag
// closes itself.
func (p *parser) attributes(n *Node, tag int) (closed bool, err error) {
	p.attrs = p.attrs[:0]
	for {
		spaced := p.skipSpace()
		if p.pos == len(p.src) {
			return false, p.fail(tag, "Close it with >.", "the start tag <%s does not end", n.name)
		}
		switch c := p.src[p.pos]; {
		case c == '>':
			p.pos++
		case c == '/' && strings.HasPrefix(p.src[p.pos:], "/>"):
			p.pos += 2
			closed = true
		default:
			if err := p.attribute(n, spaced); err != nil {
				return false, err
			}
			continue
		}
		n.attrs = p.slab.attrs(p.attrs)
		return closed, nil
	}
}

// attribute reads name="value".
func (p *parser) attribute(n *Node, spaced bool) error {
	at := p.pos
	name, ok := p.name()
	if !ok {
		return p.fail(at, `A start tag looks like <name attribute="value">; close it with > or />.`, "unexpected %q in the start tag <%s>", firstRune(p.src[at:]), n.name)
	}
	if !spaced {
		return p.fail(at, "Put a space before it.", "attribute %s of <%s> is not separated from what is before it", name, n.name)
	}
	p.skipSpace()
	if !strings.HasPrefix(p.src[p.pos:], "=") {
		return p.fail(at, `Write `+name+`="…".`, "attribute %s of <%s> has no value", name, n.name)
	}
	p.pos++
	p.skipSpace()
	if p.pos == len(p.src) || (p.src[p.pos] != '"' && p.src[p.pos] != '\'') {
		return p.fail(p.pos, `Write `+name+`="…".`, "the value of attribute %s of <%s> is not in quotes", name, n.name)
	}
	if p.hasAttr(name) {
		return p.fail(at, "Remove one of the two.", "attribute %s occurs twice in <%s>", name, n.name)
	}
	value, err := p.attrValue(name, n.name)
	if err != nil {
		return err
	}
	p.attrs = append(p.attrs, Attr{name, value})
	return nil
}

// maxAttrs bounds the attributes of one element, and with them the cost of
// looking for duplicates.
const maxAttrs = 1024

func (p *parser) hasAttr(name string) bool {
	for i := range p.attrs {
		if p.attrs[i].Name == name {
			return true
		}
	}
	return false
}

// endTag reads </name> and closes the innermost element.
func (p *parser) endTag() error {
	at := p.pos
	p.pos += 2
	top := p.open[len(p.open)-1]
	name, ok := p.name()
	if !ok || name != top.node.name {
		return p.fail(at, "Write </"+top.node.name+">, or move the tags so that they nest.", "</%s> does not close <%s> of line %d", name, top.node.name, top.node.line)
	}
	p.skipSpace()
	if !strings.HasPrefix(p.src[p.pos:], ">") {
		return p.fail(at, "Write </"+name+">.", "the end tag </%s does not end with >", name)
	}
	p.pos++
	top.node.children = p.slab.nodes(p.pending[top.first:])
	p.pending = p.pending[:top.first]
	p.open = p.open[:len(p.open)-1]
	return nil
}

func (p *parser) failUnclosed() error {
	top := p.open[len(p.open)-1].node
	return p.fail(p.pos, "Add </"+top.name+">.", "the document ends, but <%s> of line %d is not closed", top.name, top.line)
}

// comment reads <!-- … -->.
func (p *parser) comment() (*Node, error) {
	at, line := p.pos, p.line()
	body := p.src[at+4:]
	end := strings.Index(body, "--")
	switch {
	case end < 0:
		return nil, p.fail(at, "End it with -->.", "the comment does not end")
	case !strings.HasPrefix(body[end:], "-->"):
		return nil, p.fail(at+4+end, "Write one dash, or end the comment with -->.", "-- inside of a comment")
	}
	if err := p.plain(at+4, at+4+end); err != nil {
		return nil, err
	}
	p.pos = at + 4 + end + 3
	n := p.slab.node()
	n.kind, n.line, n.text = commentKind, line, newlines(body[:end])
	return n, nil
}

// instruction reads <?target …?>.
func (p *parser) instruction() (*Node, error) {
	at, line := p.pos, p.line()
	p.pos += 2
	target, ok := p.name()
	end := strings.Index(p.src[p.pos:], "?>")
	switch {
	case !ok:
		return nil, p.fail(at, "Write <?target …?>, or &lt;? in text.", "<? is not followed by a name")
	case strings.EqualFold(target, "xml"):
		return nil, p.fail(at, "Move it to the very first character of the document, or remove it.", "an XML declaration that is not at the start")
	case end < 0:
		return nil, p.fail(at, "End it with ?>.", "the processing instruction <?%s does not end", target)
	case end > 0 && !isSpace(p.src[p.pos]):
		return nil, p.fail(p.pos, "Put a space after the target.", "unexpected %q in the processing instruction <?%s", firstRune(p.src[p.pos:]), target)
	}
	if err := p.plain(p.pos, p.pos+end); err != nil {
		return nil, err
	}
	n := p.slab.node()
	n.kind, n.line, n.text = instructionKind, line, newlines(p.src[at+2:p.pos+end])
	p.pos += end + 2
	return n, nil
}
