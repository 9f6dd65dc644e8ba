package agent

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// The document as the OCF resource agent API writes it. Texts come once a
// language; the first is taken.
type xmlAgent struct {
	XMLName    xml.Name       `xml:"resource-agent"`
	Name       string         `xml:"name,attr"`
	Version    string         `xml:"version,attr"`
	API        string         `xml:"version"`
	LongDesc   []string       `xml:"longdesc"`
	ShortDesc  []string       `xml:"shortdesc"`
	Parameters []xmlParameter `xml:"parameters>parameter"`
	Actions    []xmlAction    `xml:"actions>action"`
}

type xmlParameter struct {
	Name        string    `xml:"name,attr"`
	Unique      string    `xml:"unique,attr"`
	UniqueGroup string    `xml:"unique-group,attr"`
	Required    string    `xml:"required,attr"`
	Reloadable  string    `xml:"reloadable,attr"`
	Deprecated  *struct{} `xml:"deprecated"`
	LongDesc    []string  `xml:"longdesc"`
	ShortDesc   []string  `xml:"shortdesc"`
	Content     struct {
		Type    string `xml:"type,attr"`
		Default string `xml:"default,attr"`
		Options []struct {
			Value string `xml:"value,attr"`
		} `xml:"option"`
	} `xml:"content"`
}

type xmlAction struct {
	Name     string `xml:"name,attr"`
	Role     string `xml:"role,attr"`
	Timeout  string `xml:"timeout,attr"`
	Interval string `xml:"interval,attr"`
	Depth    string `xml:"depth,attr"`
}

// ParseMetadata reads a meta-data document. It accepts what agents in the
// field print: API 1.0 and 1.1, documents with a DOCTYPE, "1" or "true".
func ParseMetadata(data []byte) (*Metadata, error) {
	var doc xmlAgent
	dec := xml.NewDecoder(bytes.NewReader(data))
	// Old agents declare ISO-8859-1 or US-ASCII and print ASCII.
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("meta-data: not a resource-agent document: %w", err)
	}
	if doc.Name == "" {
		return nil, fmt.Errorf("meta-data: the resource-agent element has no name")
	}
	m := &Metadata{Name: doc.Name, Version: doc.Version, API: strings.TrimSpace(doc.API), LongDesc: first(doc.LongDesc), ShortDesc: first(doc.ShortDesc)}
	for i := range doc.Parameters {
		m.Parameters = append(m.Parameters, doc.Parameters[i].parameter())
	}
	for _, a := range doc.Actions {
		m.Actions = append(m.Actions, a.action())
	}
	return m, nil
}

func first(texts []string) string {
	if len(texts) == 0 {
		return ""
	}
	return strings.TrimSpace(texts[0])
}

func isTrue(s string) bool {
	v, _ := ParseBool(s)
	return v
}

func (p *xmlParameter) parameter() Parameter {
	out := Parameter{
		Name: p.Name, Type: p.Content.Type, Default: p.Content.Default,
		Required: isTrue(p.Required), Unique: isTrue(p.Unique) || p.UniqueGroup != "",
		Reloadable: isTrue(p.Reloadable), Deprecated: p.Deprecated != nil,
		ShortDesc: first(p.ShortDesc), LongDesc: first(p.LongDesc),
	}
	for _, o := range p.Content.Options {
		out.Options = append(out.Options, o.Value)
	}
	return out
}

// action reads an action; a time that cannot be read counts as not advised.
func (a xmlAction) action() Action {
	duration := func(s string) time.Duration {
		d, err := ParseDuration(s)
		if err != nil {
			return 0
		}
		return d
	}
	depth, err := strconv.Atoi(strings.TrimSpace(a.Depth))
	if err != nil {
		depth = 0
	}
	return Action{Name: a.Name, Role: a.Role, Timeout: duration(a.Timeout), Interval: duration(a.Interval), Depth: depth}
}

// XML prints the document of OCF 1.1; ParseMetadata reads it back to the same value.
func (m *Metadata) XML() []byte {
	var b bytes.Buffer
	b.WriteString("<?xml version=\"1.0\"?>\n")
	open(&b, "", "resource-agent", "name", m.Name, "version", m.Version)
	text(&b, "  ", "version", m.API, false)
	text(&b, "  ", "longdesc", m.LongDesc, true)
	text(&b, "  ", "shortdesc", m.ShortDesc, true)
	b.WriteString("  <parameters>\n")
	for i := range m.Parameters {
		m.Parameters[i].print(&b)
	}
	b.WriteString("  </parameters>\n  <actions>\n")
	for _, a := range m.Actions {
		a.print(&b)
	}
	b.WriteString("  </actions>\n</resource-agent>\n")
	return b.Bytes()
}

func (p *Parameter) print(b *bytes.Buffer) {
	attrs := []string{"name", p.Name}
	for _, flag := range []struct {
		name string
		set  bool
	}{{"unique", p.Unique}, {"required", p.Required}, {"reloadable", p.Reloadable}} {
		if flag.set {
			attrs = append(attrs, flag.name, "1")
		}
	}
	open(b, "    ", "parameter", attrs...)
	if p.Deprecated {
		b.WriteString("      <deprecated/>\n")
	}
	text(b, "      ", "longdesc", p.LongDesc, true)
	text(b, "      ", "shortdesc", p.ShortDesc, true)
	open(b, "      ", "content", "type", p.Type, "default", p.Default)
	for _, o := range p.Options {
		b.WriteString("        <option")
		attr(b, "value", o)
		b.WriteString("/>\n")
	}
	b.WriteString("      </content>\n    </parameter>\n")
}

func (a Action) print(b *bytes.Buffer) {
	b.WriteString("    <action")
	attr(b, "name", a.Name)
	for _, pair := range []struct {
		name string
		d    time.Duration
	}{{"timeout", a.Timeout}, {"interval", a.Interval}} {
		if pair.d > 0 {
			attr(b, pair.name, formatDuration(pair.d))
		}
	}
	if a.Depth > 0 {
		attr(b, "depth", strconv.Itoa(a.Depth))
	}
	if a.Role != "" {
		attr(b, "role", a.Role)
	}
	b.WriteString("/>\n")
}

func formatDuration(d time.Duration) string {
	switch {
	case d%time.Second == 0:
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	case d%time.Millisecond == 0:
		return strconv.FormatInt(int64(d/time.Millisecond), 10) + "ms"
	}
	return strconv.FormatInt(int64(d/time.Microsecond), 10) + "us"
}

func open(b *bytes.Buffer, indent, name string, pairs ...string) {
	b.WriteString(indent + "<" + name)
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			attr(b, pairs[i], pairs[i+1])
		}
	}
	b.WriteString(">\n")
}

func attr(b *bytes.Buffer, name, value string) {
	b.WriteString(" " + name + "=\"")
	xml.EscapeText(b, []byte(value)) //nolint:errcheck // a bytes.Buffer does not fail
	b.WriteString("\"")
}

func text(b *bytes.Buffer, indent, name, value string, lang bool) {
	if value == "" {
		return
	}
	b.WriteString(indent + "<" + name)
	if lang {
		b.WriteString(" lang=\"en\"")
	}
	b.WriteString(">")
	xml.EscapeText(b, []byte(value)) //nolint:errcheck // a bytes.Buffer does not fail
	b.WriteString("</" + name + ">\n")
}
