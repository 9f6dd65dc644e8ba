package agent

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Metadata is an agent's description of itself (OCF resource agent API 1.1,
// "meta-data").
type Metadata struct {
	Name       string      `json:"name"`
	Version    string      `json:"version,omitempty"` // of the agent
	API        string      `json:"api,omitempty"`     // of the OCF API, "1.0" or "1.1"
	ShortDesc  string      `json:"shortdesc,omitempty"`
	LongDesc   string      `json:"longdesc,omitempty"`
	Parameters []Parameter `json:"parameters"`
	Actions    []Action    `json:"actions"`
}

// Parameter describes one instance attribute.
type Parameter struct {
	Name       string   `json:"name"`
	Type       string   `json:"type,omitempty"` // string, integer, boolean, select, time; others are not checked
	Default    string   `json:"default,omitempty"`
	Required   bool     `json:"required,omitempty"`
	Unique     bool     `json:"unique,omitempty"`     // no two resources of this type may have the same value
	Reloadable bool     `json:"reloadable,omitempty"` // a change needs a reload, not a restart
	Deprecated bool     `json:"deprecated,omitempty"`
	Options    []string `json:"options,omitempty"` // the allowed values of a select
	ShortDesc  string   `json:"shortdesc,omitempty"`
	LongDesc   string   `json:"longdesc,omitempty"`
}

// Action describes one action with the values that the agent advises.
type Action struct {
	Name     string        `json:"name"`
	Role     string        `json:"role,omitempty"`
	Timeout  time.Duration `json:"timeout_ns,omitempty"`
	Interval time.Duration `json:"interval_ns,omitempty"`
	Depth    int           `json:"depth,omitempty"` // of a monitor, OCF_CHECK_LEVEL
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

// Supports says whether the agent names the action.
func (m *Metadata) Supports(action string) bool {
	return slices.ContainsFunc(m.Actions, func(a Action) bool { return a.Name == action })
}

// everywhere are parameters that the resource agents' shell functions read, whatever the agent.
var everywhere = []string{"OCF_CHECK_LEVEL", "trace_ra", "trace_file", "trace_dir"}

// Check compares parameters with the description and returns what is wrong, in
// words and sorted; nothing if all is well. An unknown name is reported too:
// it is most often a misspelling.
func (m *Metadata) Check(params map[string]string) []string {
	var texts []string
	for _, p := range m.Problems(params) {
		texts = append(texts, p.Text)
	}
	return texts
}

// Problem is one parameter that an agent could not work with.
type Problem struct {
	Param string // its name
	Text  string // what is wrong, naming it
}

// Problems is Check with the parameters' names apart, sorted by text.
func (m *Metadata) Problems(params map[string]string) []Problem {
	var problems []Problem
	report := func(param, format string, args ...any) {
		problems = append(problems, Problem{param, fmt.Sprintf(format, args...)})
	}
	for i := range m.Parameters {
		p := &m.Parameters[i]
		value, ok := params[p.Name]
		switch {
		case p.Required && value == "":
			report(p.Name, "parameter %s is required: %s", p.Name, p.summary())
		case ok && value != "":
			if what := p.check(value); what != "" {
				report(p.Name, "parameter %s=%q: %s", p.Name, value, what)
			}
		}
	}
	for name := range params {
		if m.Parameter(name) == nil && !slices.Contains(everywhere, name) && !strings.HasPrefix(name, "CRM_meta_") {
			report(name, "parameter %s is not known to %s%s", name, m.Name, m.similar(name))
		}
	}
	slices.SortFunc(problems, func(a, b Problem) int { return strings.Compare(a.Text, b.Text) })
	return problems
}

func (p *Parameter) summary() string {
	if p.ShortDesc != "" {
		return p.ShortDesc
	}
	return "set a value"
}

// check returns what is wrong with a value, "" if nothing is.
func (p *Parameter) check(value string) string {
	switch p.Type {
	case "integer":
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return "want an integer"
		}
	case "boolean":
		if _, ok := ParseBool(value); !ok {
			return "want true or false"
		}
	case "time":
		if _, err := ParseDuration(value); err != nil {
			return "want a time such as 20s"
		}
	case "select":
		if len(p.Options) > 0 && !slices.Contains(p.Options, value) {
			return "want one of " + strings.Join(p.Options, ", ")
		}
	}
	return ""
}

// similar names the known parameter that differs in case, - and _ alone, or by
// a missing or added tail.
func (m *Metadata) similar(name string) string {
	fold := func(s string) string { return strings.ToLower(strings.NewReplacer("-", "", "_", "").Replace(s)) }
	for i := range m.Parameters {
		a, b := fold(name), fold(m.Parameters[i].Name)
		if a == b || len(a) > 2 && len(b) > 2 && (strings.HasPrefix(a, b) || strings.HasPrefix(b, a)) {
			return "; did you mean " + m.Parameters[i].Name + "?"
		}
	}
	return ""
}

// ParseBool reads a boolean as the resource agents' shell functions do; ok is
// false for what is neither.
func ParseBool(s string) (value, ok bool) {
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "true", "yes", "1", "on", "y", "t", "ja":
		return true, true
	case "false", "no", "0", "off", "n", "f", "":
		return false, true
	}
	return false, false
}

// ParseDuration reads a time as the OCF meta-data and the CIB write it: a
// number with ms, s, sec, m, min, h, hr, or none for seconds. It refuses
// negative values and those beyond a century.
func ParseDuration(s string) (time.Duration, error) {
	s = strings.TrimSpace(s)
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit, ok := map[string]time.Duration{
		"": time.Second, "s": time.Second, "sec": time.Second, "ms": time.Millisecond, "msec": time.Millisecond,
		"us": time.Microsecond, "usec": time.Microsecond, "m": time.Minute, "min": time.Minute, "h": time.Hour, "hr": time.Hour,
	}[strings.ToLower(strings.TrimSpace(s[len(digits):]))]
	n, err := strconv.ParseFloat(digits, 64)
	const century = 100 * 365 * 24 * time.Hour
	if err != nil || !ok || !(n >= 0) || n*float64(unit) > float64(century) {
		return 0, fmt.Errorf("time %q: want a number with a unit, as in 20s, 500ms or 2min", s)
	}
	return time.Duration(n * float64(unit)), nil
}
