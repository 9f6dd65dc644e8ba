package agent

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

const sample = `<?xml version="1.0"?>
<!DOCTYPE resource-agent SYSTEM "ra-api-1.dtd">
<resource-agent name="demo" version="2.0">
<version>1.0</version>
<longdesc lang="en">Long &amp; wide.</longdesc><longdesc lang="de">Lang.</longdesc>
<shortdesc lang="en">short</shortdesc>
<parameters>
<parameter name="ip" unique="1" required="true"><shortdesc lang="en">the address</shortdesc><content type="string" default=""/></parameter>
<parameter name="count"><content type="integer" default="5"/></parameter>
<parameter name="mode"><content type="select" default="a"><option value="a"/><option value="b"/></content></parameter>
</parameters>
<actions><action name="start" timeout="20s"/><action name="monitor" timeout="500ms" interval="2min" depth="10"/></actions>
</resource-agent>`

func TestMetadataRoundTrip(t *testing.T) {
	m, err := ParseMetadata([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if m.LongDesc != "Long & wide." || !m.Parameter("ip").Required || !m.Parameter("ip").Unique || m.Parameter("count").Required {
		t.Fatalf("got %+v", m)
	}
	if want := (Action{Name: "monitor", Timeout: 500 * time.Millisecond, Interval: 2 * time.Minute, Depth: 10}); m.Actions[1] != want {
		t.Fatalf("got %+v", m.Actions[1])
	}
	again, err := ParseMetadata(m.XML())
	if err != nil || !reflect.DeepEqual(m, again) {
		t.Fatalf("%v\n%+v\n%+v\n%s", err, m, again, m.XML())
	}
}

func TestCheck(t *testing.T) {
	m, err := ParseMetadata([]byte(sample))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Check(map[string]string{"ip": "10.0.0.1", "count": "3", "mode": "b"}); len(got) != 0 {
		t.Fatalf("got %q", got)
	}
	got := strings.Join(m.Check(map[string]string{"count": "many", "mode": "c", "IP": "x"}), "\n")
	for _, want := range []string{"parameter ip is required: the address", `count="many": want an integer`, "want one of a, b", "IP is not known to demo; did you mean ip?"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func TestSeverity(t *testing.T) {
	for code, want := range map[Code]Severity{OK: None, ErrGeneric: Soft, ErrArgs: Hard, ErrUnimplement: Hard, ErrPerm: Hard, ErrInstalled: Hard, ErrConfigured: Fatal, NotRunning: None, FailedPromoted: Soft, 42: Soft} {
		if got := code.Severity(); got != want {
			t.Errorf("%d: %s, want %s", code, got, want)
		}
	}
}

func TestEnvironment(t *testing.T) {
	inv := Invocation{Resource: "r1", Agent: ID{"ocf", "heartbeat", "Dummy"}, Action: Monitor, Interval: 10 * time.Second, Timeout: 20 * time.Second,
		Params: map[string]string{"fake": "a b", "OCF_CHECK_LEVEL": "10", "bad=name": "x"}, Meta: map[string]string{"clone-max": "2"}}
	env := Environment(inv, "/opt/ocf")
	for _, want := range []string{"OCF_ROOT=/opt/ocf", "OCF_RESOURCE_INSTANCE=r1", "OCF_RESOURCE_TYPE=Dummy", "OCF_RESOURCE_PROVIDER=heartbeat", "OCF_RESKEY_fake=a b",
		"OCF_CHECK_LEVEL=10", "OCF_RESKEY_CRM_meta_clone_max=2", "OCF_RESKEY_CRM_meta_interval=10000", "OCF_RESKEY_CRM_meta_timeout=20000", "OCF_RA_VERSION_MAJOR=1", "OCF_RA_VERSION_MINOR=1"} {
		if !slices.Contains(env, want) {
			t.Errorf("%s is missing", want)
		}
	}
	if !slices.IsSorted(env) || strings.Contains(strings.Join(env, "\n"), "bad") {
		t.Errorf("got %q", env)
	}
	back := FromEnvironment(append(env, "OCF_RESKEY_crm_feature_set="+FeatureSet), Monitor)
	if _, is := back.Params["crm_feature_set"]; is {
		t.Error("the cluster manager's own word is taken for a parameter")
	}
	if back.Resource != inv.Resource || back.Agent != inv.Agent || back.Interval != inv.Interval || back.Timeout != inv.Timeout || back.Params["fake"] != "a b" {
		t.Errorf("read back as %+v", back)
	}
}

func FuzzParseMetadata(f *testing.F) {
	f.Add([]byte(sample))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := ParseMetadata(data)
		if err != nil {
			return
		}
		if _, err := ParseMetadata(m.XML()); err != nil {
			t.Fatalf("own document is not read back: %v\n%s", err, m.XML())
		}
	})
}

func FuzzParseDuration(f *testing.F) {
	for _, s := range []string{"20s", "500ms", "2min", "1e9h", "-1", "NaN", "inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if d, err := ParseDuration(s); err == nil && d < 0 {
			t.Fatalf("%q gave %s", s, d)
		}
	})
}
