package fence

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/takt-ha/takt/agent"
)

// Metadata is a fence agent's description of itself: the document that the
// action metadata prints (fence agent API).
type Metadata struct {
	Name       string      `json:"name"`
	ShortDesc  string      `json:"shortdesc,omitempty"`
	LongDesc   string      `json:"longdesc,omitempty"`
	VendorURL  string      `json:"vendor_url,omitempty"`
	Parameters []Parameter `json:"parameters"`
	Actions    []string    `json:"actions"`
	// Unfencing says that on is how a node gets its access back after it was
	// fenced (automatic="1"): the cluster does it when the node returns, and not
	// as the second half of a reboot.
	Unfencing bool `json:"unfencing,omitempty"`
	// OnTarget says that on must run on the node itself.
	OnTarget bool `json:"on_target,omitempty"`
	// What follows agents inside Takt alone say; no document holds it.

	// Waits says that nothing can be commanded (a watchdog): the device succeeds
	// in nothing, and whoever decides about fencing leaves it out.
	Waits bool `json:"waits,omitempty"`
	// Resets says that after reboot the status is off until the machine is up
	// again, so that a reboot of the agent's own can be proven.
	Resets bool `json:"resets,omitempty"`
	// Joins says that nodes put themselves on the list, a while after the device is
	// configured: one that is not there may be there in a moment.
	Joins bool `json:"joins,omitempty"`
}

// Parameter describes one parameter.
type Parameter struct {
	Name       string   `json:"name"`
	Type       string   `json:"type,omitempty"` // string, boolean, integer, second, select; others are not checked
	Default    string   `json:"default,omitempty"`
	Required   bool     `json:"required,omitempty"`
	Unique     bool     `json:"unique,omitempty"`     // no two devices of this agent may have the same value
	Deprecated bool     `json:"deprecated,omitempty"` // another name is to be used, see Obsoletes there
	Obsoletes  string   `json:"obsoletes,omitempty"`  // the older name of the same parameter
	Options    []string `json:"options,omitempty"`    // the allowed values of a select
	ShortDesc  string   `json:"shortdesc,omitempty"`
}

// Parameter returns the parameter of that name, nil if there is none.
func (m *Metadata) Parameter(name string) *Parameter {
	for i := range m.Parameters {
		if m.Parameters[i].Name == name {
			return &m.Parameters[i]
		}
	}
	return nil
}

// Supports says whether the agent announces the action.
func (m *Metadata) Supports(action string) bool { return slices.Contains(m.Actions, action) }

// Alias returns the other name of a parameter: the new one of an old one and
// the reverse, "" if there is none.
func (m *Metadata) Alias(name string) string {
	for i := range m.Parameters {
		switch p := &m.Parameters[i]; name {
		case p.Name:
			if p.Obsoletes != "" {
				return p.Obsoletes
			}
		case p.Obsoletes:
			return p.Name
		}
	}
	return ""
}

// PlugParameter returns the name of the parameter that chooses the machine:
// plug, port of older agents, or "" if there is none.
func (m *Metadata) PlugParameter() string {
	for _, name := range [...]string{"plug", "port"} {
		if m.Parameter(name) != nil {
			return name
		}
	}
	return ""
}

type xmlFenceAgent struct {
	XMLName    xml.Name `xml:"resource-agent"`
	Name       string   `xml:"name,attr"`
	ShortDesc  string   `xml:"shortdesc,attr"`
	LongDesc   string   `xml:"longdesc"`
	VendorURL  string   `xml:"vendor-url"`
	Parameters []struct {
		Name       string `xml:"name,attr"`
		Unique     string `xml:"unique,attr"`
		Required   string `xml:"required,attr"`
		Deprecated string `xml:"deprecated,attr"`
		Obsoletes  string `xml:"obsoletes,attr"`
		Content    struct {
			Type    string `xml:"type,attr"`
			Default string `xml:"default,attr"`
			Options []struct {
				Value string `xml:"value,attr"`
			} `xml:"option"`
		} `xml:"content"`
		ShortDesc []string `xml:"shortdesc"`
	} `xml:"parameters>parameter"`
	Actions []struct {
		Name      string `xml:"name,attr"`
		Automatic string `xml:"automatic,attr"`
		OnTarget  string `xml:"on_target,attr"`
	} `xml:"actions>action"`
}

// mostMetadata bounds a document, in bytes; the largest in the field has 40 KiB.
const mostMetadata = 1 << 20

// ParseMetadata reads the document and refuses one that a device could not be
// built on: without a name, with nameless or doubled parameters, or without any
// action that fences.
func ParseMetadata(data []byte) (*Metadata, error) {
	if len(data) >= mostMetadata {
		return nil, fmt.Errorf("metadata: %d bytes or more, want less", mostMetadata)
	}
	var doc xmlFenceAgent
	dec := xml.NewDecoder(bytes.NewReader(data))
	dec.CharsetReader = func(_ string, r io.Reader) (io.Reader, error) { return r, nil }
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("metadata: not a resource-agent document: %w", err)
	}
	m := &Metadata{Name: doc.Name, ShortDesc: doc.ShortDesc, LongDesc: strings.TrimSpace(doc.LongDesc), VendorURL: strings.TrimSpace(doc.VendorURL)}
	for i := range doc.Parameters {
		x := &doc.Parameters[i]
		p := Parameter{Name: x.Name, Type: x.Content.Type, Default: x.Content.Default, Required: truth(x.Required),
			Unique: truth(x.Unique), Deprecated: truth(x.Deprecated), Obsoletes: x.Obsoletes}
		for _, o := range x.Content.Options {
			p.Options = append(p.Options, o.Value)
		}
		if len(x.ShortDesc) > 0 {
			p.ShortDesc = strings.TrimSpace(x.ShortDesc[0])
		}
		m.Parameters = append(m.Parameters, p)
	}
	for _, a := range doc.Actions {
		m.Actions = append(m.Actions, a.Name)
		if a.Name == On {
			m.Unfencing, m.OnTarget = truth(a.Automatic), truth(a.OnTarget)
		}
	}
	return m, m.valid()
}

func truth(s string) bool {
	v, _ := agent.ParseBool(s)
	return v
}

// valid returns what makes the description unusable.
func (m *Metadata) valid() error {
	if m.Name == "" {
		return fmt.Errorf("metadata: the resource-agent element has no name")
	}
	seen := map[string]bool{}
	for i := range m.Parameters {
		name := m.Parameters[i].Name
		if name == "" || strings.ContainsAny(name, "=\n\r\x00 \t") {
			return fmt.Errorf("metadata: parameter %d is called %q, which no line name=value can give", i+1, name)
		}
		if seen[name] {
			return fmt.Errorf("metadata: parameter %s is described twice", name)
		}
		seen[name] = true
	}
	if !m.Supports(Off) && !m.Supports(Reboot) && !m.Supports("disable") {
		return fmt.Errorf("metadata: neither off nor reboot is among the actions: this fences nobody")
	}
	return nil
}
