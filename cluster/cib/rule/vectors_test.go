package rule

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// vector is a question with the answer that Pacemaker 2.1.5 gives.
type vector struct {
	Kind  string            `json:"k"`
	Text  string            `json:"s,omitempty"`
	A     string            `json:"a,omitempty"`
	B     string            `json:"b,omitempty"`
	XML   string            `json:"xml,omitempty"`
	Now   int64             `json:"now,omitempty"`
	Attrs map[string]string `json:"attrs"`
	Role  Role              `json:"role,omitempty"`
	Match *struct {
		Groups []string          `json:"groups"`
		Params map[string]string `json:"params"`
		Meta   map[string]string `json:"meta"`
	} `json:"match"`
	Agent     []string          `json:"agent"`
	Op        []any             `json:"op"`
	Tag       string            `json:"tag,omitempty"`
	First     string            `json:"first,omitempty"`
	Overwrite bool              `json:"overwrite,omitempty"`
	Dst       map[string]string `json:"dst,omitempty"`
	Want      json.RawMessage   `json:"want"`
}

func lookupIn(m map[string]string) func(string) (string, bool) {
	if m == nil {
		return nil
	}
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func (v vector) context(t *testing.T) (*Context, *cib.Node) {
	root, err := cib.Parse([]byte("<cib><configuration>" + v.XML + "</configuration></cib>"))
	if err != nil {
		t.Fatalf("%s: %v", v.XML, err)
	}
	c := &Context{View: cib.NewView(root), Now: time.Unix(v.Now, 0).UTC(), Attr: lookupIn(v.Attrs), Role: v.Role}
	if m := v.Match; m != nil {
		c.Match = &Match{Groups: m.Groups, Params: lookupIn(m.Params), Meta: lookupIn(m.Meta)}
	}
	if len(v.Agent) == 3 {
		c.Agent = &Agent{v.Agent[0], v.Agent[1], v.Agent[2]}
	}
	if len(v.Op) == 2 {
		c.Op = &Operation{v.Op[0].(string), time.Duration(v.Op[1].(float64)) * time.Millisecond}
	}
	for e := range root.Child("configuration").Elements {
		return c, e
	}
	return c, nil
}

// answer asks what the vector asks, in the form of its answer.
func (v vector) answer(t *testing.T) any {
	switch v.Kind {
	case "time":
		m, ok := parseMoment(v.Text, time.Unix(v.Now, 0).UTC())
		if !ok {
			return nil
		}
		return []int{m.year, m.day, m.second, m.offset}
	case "interval":
		d, _ := ParseInterval(v.Text)
		return d.Milliseconds()
	case "version":
		return compareVersions(v.A, v.B)
	case "plus":
		c, d := v.context(t)
		m, _ := parseMoment(v.Text, c.Now)
		m = m.add(d)
		return []int{m.year, m.day, m.second, m.offset}
	}
	c, e := v.context(t)
	var held any
	switch v.Kind {
	case "rule":
		held = c.Holds(e)
	case "set":
		held = c.Applies(e)
	case "pairs":
		var dst Pairs
		for name, value := range v.Dst {
			dst = dst.Set(name, value)
		}
		merged := map[string]string{}
		for _, p := range c.Merge(dst, e, v.Tag, Options{v.First, v.Overwrite}) {
			merged[p.Name] = p.Value
		}
		held = merged
	}
	change := int64(0)
	if !c.Change.IsZero() {
		change = c.Change.Unix()
	}
	return map[string]any{"v": held, "change": change}
}

// TestVectors compares with answers that Pacemaker's own library gave, a
// question a line.
func TestVectors(t *testing.T) {
	path := "testdata/vectors.jsonl"
	if p := os.Getenv("VECTORS"); p != "" {
		path = p
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, bad := bufio.NewScanner(f), 0
	count := 0
	for ; lines.Scan(); count++ {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatalf("%s: %v", lines.Text(), err)
		}
		got, err := json.Marshal(v.answer(t))
		if err != nil {
			t.Fatal(err)
		}
		if want := canonical(t, v.Want); string(got) != want {
			t.Errorf("%s\n\tgot %s", strings.TrimSpace(lines.Text()), got)
			if bad++; bad > 25 {
				t.FailNow()
			}
		}
	}
	if lines.Err() != nil || count < 100 {
		t.Errorf("%d questions, %v", count, lines.Err())
	}
}

func canonical(t *testing.T, raw json.RawMessage) string {
	var v any
	if err := json.Unmarshal(raw, &v); err != nil {
		t.Fatalf("%s: %v", raw, err)
	}
	if n, ok := v.(float64); ok {
		return fmt.Sprint(int64(n))
	}
	if m, ok := v.(map[string]any); ok {
		if f, ok := m["change"].(float64); ok {
			m["change"] = int64(f)
		}
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
