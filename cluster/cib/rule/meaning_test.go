package rule

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// tuesday is 2023-11-14 22:13:20 UTC, day 318, Tuesday of week 46.
var tuesday = time.Unix(1700000000, 0).UTC()

func parse(t testing.TB, text string) (*cib.View, *cib.Node) {
	t.Helper()
	root, err := cib.Parse([]byte("<cib><configuration>" + text + "</configuration></cib>"))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	for e := range root.Child("configuration").Elements {
		return cib.NewView(root), e
	}
	return cib.NewView(root), nil
}

// meanings are verified with Pacemaker 2.1.5; what is asked has the attributes
// a=5, b=1.10, c=Abc, #uname=n1, no role, ocf:heartbeat:Dummy, monitor every 10 s.
var meanings = []struct {
	why, expressions string
	holds            bool
}{
	{"no expression holds", ``, true},
	{"an unknown element does not", `<thing/>`, false},
	{"equality ignores case", `<expression attribute="c" operation="eq" value="aBC"/>`, true},
	{"a reference to no rule is a rule without expressions", `<rule id-ref="none"/>`, true},
	{"unset equals unset", `<expression attribute="z" operation="eq"/>`, true},
	{"unset differs from a value", `<expression attribute="z" operation="ne" value="1"/>`, true},
	{"unset is in no order", `<expression attribute="z" operation="lt" value="1"/>`, false},
	{"defined", `<expression attribute="a" operation="defined"/>`, true},
	{"not_defined", `<expression attribute="a" operation="not_defined"/>`, false},
	{"order is of integers by default", `<expression attribute="a" operation="lt" value="10"/>`, true},
	{"of numbers if there is a point", `<expression attribute="b" operation="lt" value="1.9"/>`, true},
	{"of versions on demand", `<expression attribute="b" operation="gt" value="1.9" type="version"/>`, true},
	{"as text on demand", `<expression attribute="a" operation="gt" value="10" type="string"/>`, true},
	{"what is no number is compared as text", `<expression attribute="c" operation="gt" value="10" type="integer"/>`, true},
	{"all values of an unknown type are equal", `<expression attribute="a" operation="eq" value="6" type="colour"/>`, true},
	{"an unknown operation never holds", `<expression attribute="a" operation="like" value="5"/>`, false},
	{"operations ignore case", `<expression attribute="a" operation="EQ" value="5"/>`, true},
	{"value-source is literal outside of constraints", `<expression attribute="a" operation="eq" value="5" value-source="meta"/>`, true},
	{"without a role nothing is said of it", `<expression attribute="#role" operation="not_defined"/>`, false},
	{"an agent with a provider needs it named", `<rsc_expression class="ocf" type="Dummy"/>`, false},
	{"the whole agent", `<rsc_expression class="ocf" provider="heartbeat" type="Dummy"/>`, true},
	{"an operation needs a name", `<op_expression interval="10s"/>`, false},
	{"interval as time", `<op_expression name="monitor" interval="PT10S"/>`, true},
	{"both ends are in the range", `<date_expression operation="in_range" start="2023-11-14 22:13:20Z" end="2023-11-14 22:13:20Z"/>`, true},
	{"gt is strict", `<date_expression operation="gt" start="2023-11-14 22:13:20Z"/>`, false},
	{"no operation is in_range", `<date_expression end="2023-11-14"/>`, false},
	{"a date that is none is absent", `<date_expression operation="in_range" start="2023-13-01" end="2024-01-01"/>`, true},
	{"a range needs one end", `<date_expression operation="in_range" start="x"/>`, false},
	{"a duration makes the end", `<date_expression start="2023-11-14"><duration hours="22"/></date_expression>`, false},
	{"years keep the day of the year: 60 is 29 February next", `<date_expression start="2022-11-15"><duration years="1"/></date_expression>`, true},
	{"working hours are over", `<date_expression operation="date_spec"><date_spec hours="9-17" weekdays="1-5"/></date_expression>`, false},
	{"every field of date_spec", `<date_expression operation="date_spec"><date_spec seconds="20" minutes="13" hours="22" monthdays="14" weekdays="2" yeardays="318" months="11" weeks="46" years="2023" weekyears="2023"/></date_expression>`, true},
	{"open ranges", `<date_expression operation="date_spec"><date_spec years="2020-" hours="-23"/></date_expression>`, true},
	{"a range that is none limits nothing", `<date_expression operation="date_spec"><date_spec hours="night"/></date_expression>`, true},
	{"after 2038", `<date_expression operation="lt" end="2120-01-01"/>`, true},
}

func TestMeaning(t *testing.T) {
	attrs := lookupIn(map[string]string{"a": "5", "b": "1.10", "c": "Abc", "#uname": "n1"})
	for _, m := range meanings {
		view, rule := parse(t, `<rule id="r">`+m.expressions+`</rule>`)
		c := Context{View: view, Now: tuesday, Attr: attrs, Agent: &Agent{"ocf", "heartbeat", "Dummy"}, Op: &Operation{"monitor", 10 * time.Second}}
		if c.Holds(rule) != m.holds {
			t.Errorf("%s: %s: %v", m.why, m.expressions, !m.holds)
		}
	}
}

// TestNoNode: without a node no expression on one holds, not even not_defined.
func TestNoNode(t *testing.T) {
	view, rule := parse(t, `<rule id="r"><expression attribute="a" operation="not_defined"/></rule>`)
	if c := (Context{View: view, Now: tuesday}); c.Holds(rule) {
		t.Error("holds")
	}
}

func TestMatch(t *testing.T) {
	c := Context{Now: tuesday, Attr: lookupIn(map[string]string{"loc-db": "7"}), Match: &Match{Groups: []string{"db-2", "db"}, Meta: lookupIn(map[string]string{"want": "7"})}}
	_, rule := parse(t, `<rule id="r"><expression attribute="loc-%1" operation="eq" value="want" value-source="meta"/></rule>`)
	if !c.Holds(rule) {
		t.Error("the pattern's group and the meta attribute do not count")
	}
	if c.Match.Meta = nil; c.Holds(rule) {
		t.Error("holds without the meta attribute")
	}
}

// TestChange: the next moment at which an answer may differ, the earliest of all that were asked.
func TestChange(t *testing.T) {
	for text, want := range map[string]string{
		`<date_expression operation="gt" start="2024-01-01"/>`:                                                      "2024-01-01T00:00:01Z",
		`<date_expression operation="lt" end="2024-01-01"/>`:                                                        "2024-01-01T00:00:00Z",
		`<date_expression start="2024-01-01"/>`:                                                                     "2024-01-01T00:00:00Z",
		`<date_expression end="2024-01-01"/>`:                                                                       "2024-01-01T00:00:01Z",
		`<date_expression end="2025-01-01"/><date_expression end="2024-01-01"/><date_expression end="2026-01-01"/>`: "2024-01-01T00:00:01Z",
		`<date_expression end="2023-01-01"/>`:                                                                       "",
		`<date_expression operation="date_spec"><date_spec hours="1"/></date_expression>`:                           "",
		`<date_expression start="2050-02-01 12:00:00 +02:00"/>`:                                                     "2050-02-01T10:00:00Z",
	} {
		_, rule := parse(t, `<rule id="r">`+text+`</rule>`)
		c := Context{Now: tuesday}
		c.Holds(rule)
		got := ""
		if !c.Change.IsZero() {
			got = c.Change.Format(time.RFC3339)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestLocalTime: date_spec and times without a zone are in the zone of now.
func TestLocalTime(t *testing.T) {
	c := Context{Now: tuesday.In(time.FixedZone("east", 2*3600))} // 00:13 on Wednesday
	_, rule := parse(t, `<rule id="r"><date_expression operation="date_spec"><date_spec hours="0" weekdays="3"/></date_expression><date_expression operation="gt" start="2023-11-15 00:13:19"/></rule>`)
	if !c.Holds(rule) {
		t.Error("the zone of now is not that of the rule")
	}
}

func TestDepends(t *testing.T) {
	view, owner := parse(t, `<o><s id="plain"/><t id="r1"><rule id="r"><expression attribute="#uname" operation="eq" value="a"/><rule id="q"><date_expression/></rule></rule></t>
		<u id="r2"><rule id="p"><op_expression name="x"/><rsc_expression/><expression attribute="#role" operation="defined"/></rule></u><v id-ref="r1"/></o>`)
	for tag, want := range map[string]Dependence{"s": 0, "t": OnNode | OnTime, "u": OnOp | OnAgent | OnRole, "v": 0} {
		if got := Depends(view, owner, tag); got != want {
			t.Errorf("%s: %b, want %b", tag, got, want)
		}
	}
}

// TestMergeNothing: what has no set costs nothing.
func TestMergeNothing(t *testing.T) {
	view, owner := parse(t, `<primitive id="p"><operations/></primitive>`)
	c := Context{View: view, Now: tuesday}
	if n := testing.AllocsPerRun(100, func() { c.Merge(nil, owner, "meta_attributes", Options{}) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// TestMilliseconds holds what Pacemaker takes for a time-out.
func TestMilliseconds(t *testing.T) {
	for text, want := range map[string]int64{"10": 10_000, "10 Seconds": 10_000, "1.9": 1_000, "2min": 120_000, "5000us": 5, "1hour": 3_600_000, "7ms": 7, "1d": -1, "-5": -1, "": -1, "PT1S": -1} {
		got, ok := ParseMilliseconds(text)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}

func TestParseMoment(t *testing.T) {
	for text, want := range map[string]int64{"1700000000": 1700000000, "20231114": 1699920000, "2023-11-14T22:13:20Z": 1700000000, "2023-11-15T00:13:20+02:00": 1700000000, "2023-11-14 22:13:20": 1700000000} {
		if got, err := ParseMoment(text); err != nil || got.Unix() != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	for _, text := range []string{"", "noon", "12:00", "T12"} {
		if got, err := ParseMoment(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

// TestCheck: each slip is found, and what is right is not.
func TestCheck(t *testing.T) {
	for text, want := range map[string]string{
		`<rule id="r"/>`: "has no expression",
		`<rule id="r" boolean-op="xor"><expression attribute="a" operation="defined"/></rule>`: "taken as and",
		`<rule id-ref="none"/>`:                                                                                  `no rule "none"`,
		`<rule id="r"><thing/></rule>`:                                                                           "no expression",
		`<rule id="r"><expression operation="defined"/></rule>`:                                                  "names no attribute",
		`<rule id="r"><expression attribute="a"/></rule>`:                                                        "has no operation",
		`<rule id="r"><expression attribute="a" operation="is"/></rule>`:                                         `"is" is not known`,
		`<rule id="r"><expression attribute="a" operation="lt" value="x" type="integer"/></rule>`:                "not of type integer",
		`<rule id="r"><expression attribute="a" operation="eq" value="x" type="text"/></rule>`:                   `type "text" is not known`,
		`<rule id="r"><expression attribute="a" operation="eq"/></rule>`:                                         "no value",
		`<rule id="r"><op_expression interval="10s"/></rule>`:                                                    "names no operation",
		`<rule id="r"><op_expression name="start" interval="soon"/></rule>`:                                      "no interval",
		`<rule id="r"><date_expression operation="between" start="2024-01-01"/></rule>`:                          `"between" is not known`,
		`<rule id="r"><date_expression start="2024-02-30"/></rule>`:                                              "no date",
		`<rule id="r"><date_expression start="2024-02-20T10:00:00+02:00"/></rule>`:                               "not seen without a space",
		`<rule id="r"><date_expression/></rule>`:                                                                 "neither start nor end",
		`<rule id="r"><date_expression operation="gt" end="2024-01-01"/></rule>`:                                 "no start",
		`<rule id="r"><date_expression operation="lt" start="2024-01-01"/></rule>`:                               "no end",
		`<rule id="r"><date_expression operation="date_spec"/></rule>`:                                           "always holds",
		`<rule id="r"><date_expression operation="date_spec"><date_spec hours="17-9"/></date_expression></rule>`: "ends before it starts",
		`<rule id="r"><date_expression operation="date_spec"><date_spec hours="x"/></date_expression></rule>`:    "is no range",
		`<rule id="r"><date_expression start="2024-01-01"><duration days="1x"/></date_expression></rule>`:        "taken as 1",
		`<rule id="r"><date_expression start="2024-01-01"><duration day="1"/></date_expression></rule>`:          "no part of a duration",
		`<rule id="r"><rule id="s" boolean-op="or"><expression attribute="#uname" operation="eq" value="a"/><date_expression start="2024-01-01 10:00:00 +02:00"><duration days="1"/></date_expression></rule><op_expression name="start" interval="10s"/></rule>`: "",
	} {
		view, rule := parse(t, text)
		problems := Check(view, rule)
		found := slices.ContainsFunc(problems, func(p Problem) bool { return strings.Contains(p.Message, want) && p.Remedy != "" && p.Element != nil })
		if want == "" && len(problems) > 0 || want != "" && !found {
			t.Errorf("%s: %+v, want %q", text, problems, want)
		}
	}
}

// TestEndless: references in a circle end, and deep rules neither crash nor hang.
func TestEndless(t *testing.T) {
	view, rule := parse(t, `<rule id="a"><rule id-ref="b"/></rule><rule id="b"><rule id-ref="a"/><rule id-ref="a"/></rule>`)
	c := Context{View: view, Now: tuesday}
	if c.Holds(rule) {
		t.Error("an endless rule holds")
	}
	DependsRule(view, rule)
}

func FuzzParseTime(f *testing.F) {
	for _, text := range []string{"2024-01-31", "20240131T101112Z", "2024-W05-3 10:11 +02:00", "2024-366", "epoch", "T12"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ParseTime(text, tuesday)
		if again, err2 := ParseTime(text, tuesday); !again.Equal(got) || (err == nil) != (err2 == nil) {
			t.Errorf("%q: %v then %v", text, got, again)
		}
		ParseInterval(text)
		ParseMilliseconds(text)
		scanFloat(text)
		compareVersions(text, "1."+text)
	})
}

func FuzzHolds(f *testing.F) {
	for _, m := range meanings {
		f.Add(m.expressions)
	}
	f.Fuzz(func(t *testing.T, text string) {
		root, err := cib.Parse([]byte("<cib><configuration><rule id='r'>" + text + "</rule></configuration></cib>"))
		if err != nil {
			return
		}
		view := cib.NewView(root)
		rule := root.Path("configuration", "rule")
		c := Context{View: view, Now: tuesday, Attr: lookupIn(map[string]string{"a": "1"})}
		if first := c.Holds(rule); first != c.Holds(rule) {
			t.Error("two answers")
		}
		Check(view, rule)
		DependsRule(view, rule)
	})
}
