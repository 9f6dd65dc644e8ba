package fence

import (
	"bytes"
	"encoding/xml"
	"strings"
)

// XML writes the description as the action metadata prints it: ParseMetadata
// reads back what a device needs of it.
func (m *Metadata) XML() []byte {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	b.WriteString("<resource-agent" + attrs("name", m.Name, "shortdesc", m.ShortDesc) + ">\n")
	b.WriteString(element("  ", "longdesc", m.LongDesc))
	b.WriteString(element("  ", "vendor-url", m.VendorURL))
	b.WriteString("  <parameters>\n")
	for i := range m.Parameters {
		m.Parameters[i].write(&b)
	}
	b.WriteString("  </parameters>\n  <actions>\n")
	for _, a := range m.Actions {
		b.WriteString("    <action" + attrs("name", a))
		if a == On {
			b.WriteString(flag("on_target", m.OnTarget) + flag("automatic", m.Unfencing))
		}
		b.WriteString("/>\n")
	}
	b.WriteString("  </actions>\n</resource-agent>\n")
	return b.Bytes()
}

func (p *Parameter) write(b *bytes.Buffer) {
	required := "0"
	if p.Required {
		required = "1"
	}
	b.WriteString("    <parameter" + attrs("name", p.Name) + flag("unique", p.Unique) + attrs("required", required, "obsoletes", p.Obsoletes) + flag("deprecated", p.Deprecated) + ">\n")
	b.WriteString("      <getopt" + attrs("mixed", "--"+strings.ReplaceAll(p.Name, "_", "-")+"=["+p.Name+"]") + "/>\n")
	b.WriteString("      <content" + attrs("type", p.Type, "default", p.Default))
	if len(p.Options) == 0 {
		b.WriteString("/>\n")
	} else {
		b.WriteString(">\n")
		for _, o := range p.Options {
			b.WriteString("        <option" + attrs("value", o) + "/>\n")
		}
		b.WriteString("      </content>\n")
	}
	if p.ShortDesc != "" {
		b.WriteString(`      <shortdesc lang="en">` + escape(p.ShortDesc) + "</shortdesc>\n")
	}
	b.WriteString("    </parameter>\n")
}

// attrs writes attributes from names and values, without the empty ones.
func attrs(pairs ...string) string {
	var b strings.Builder
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			b.WriteString(" " + pairs[i] + `="` + escape(pairs[i+1]) + `"`)
		}
	}
	return b.String()
}

func flag(name string, on bool) string {
	if !on {
		return ""
	}
	return attrs(name, "1")
}

func element(indent, name, text string) string {
	if text == "" {
		return ""
	}
	return indent + "<" + name + ">" + escape(text) + "</" + name + ">\n"
}

func escape(s string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(s)) //nolint:errcheck // a strings.Builder takes everything
	return b.String()
}
