package fence_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
)

func TestFindings(t *testing.T) {
	f := install(t, allActions, good)
	for _, c := range []struct {
		name, params string
		severity     fence.Severity
		param, text  string
	}{
		{"unknown parameter", "pasword=x", fence.Warning, "pasword", "did you mean password?"},
		{"unknown option", "pcmk_hostmap=a:1", fence.Warning, "pcmk_hostmap", "did you mean pcmk_host_map?"},
		{"missing", "ip=", fence.Error, "ip", "fence_fake requires it: Address"},
		{"select", "method=foo", fence.Error, "method", "want one of onoff, cycle"},
		{"boolean", "ssl=perhaps", fence.Error, "ssl", "want true or false"},
		{"second", "power_timeout=soon", fence.Error, "power_timeout", "want a number of seconds"},
		{"old and new name", "ipaddr=192.0.2.2", fence.Error, "ipaddr", "old name of ip"},
		{"line break", "username=a\nplug=9", fence.Error, "username", "line break"},
		{"one plug", "pcmk_host_map=node1:1;node2:2,1", fence.Error, "pcmk_host_map", "node1 and node2 are both on plug 1"},
		{"no such node in the map", "pcmk_host_map=node1:1;ndoe2:2", fence.Error, "pcmk_host_map", "no node ndoe2; did you mean node2?"},
		{"no such node in the list", "pcmk_host_list=node1,other", fence.Error, "pcmk_host_list", "no node other"},
		{"commas in the map", "pcmk_host_map=node1:1,node2:2", fence.Error, "pcmk_host_map", "separated by ;"},
		{"no plug", "pcmk_host_map=node1", fence.Error, "pcmk_host_map", "has no plug"},
		{"empty plug", "pcmk_host_map=node1:;node2:2", fence.Error, "pcmk_host_map", "lacks a side"},
		{"twice", "pcmk_host_map=node1:1;node1:2", fence.Error, "pcmk_host_map", "twice"},
		{"dangling", `pcmk_host_map=node1:1\`, fence.Error, "pcmk_host_map", "at the end"},
		{"check", "pcmk_host_check=dynamic", fence.Error, "pcmk_host_check", "want static-list"},
		{"static without list", "pcmk_host_check=static-list", fence.Error, "pcmk_host_check", "fences nobody"},
		{"delay", "pcmk_delay_base=node1:x", fence.Error, "pcmk_delay_base", "node1"},
		{"delay of nobody", "pcmk_delay_base=node7:1", fence.Warning, "pcmk_delay_base", "no node node7"},
		{"limit", "pcmk_action_limit=many", fence.Error, "pcmk_action_limit", "-1 for any number"},
		{"time-out", "pcmk_off_timeout=0", fence.Error, "pcmk_off_timeout", "no time"},
		{"ten minutes", "pcmk_off_timeout=600s", fence.Warning, "pcmk_off_timeout", "longer than the 5m0s after which the cluster gives up"},
		{"tries", "pcmk_off_retries=-1", fence.Error, "pcmk_off_retries", "1 to 1000"},
		{"action of the agent", "pcmk_reboot_action=rebot", fence.Error, "pcmk_reboot_action", "did you mean reboot?"},
		{"no parameter for a required plug", "pcmk_host_argument=none\npcmk_host_list=node1", fence.Error, "plug", "requires it"},
		{"action", "action=off", fence.Warning, "action", "remove it"},
		{"verify", "takt_verify=maybe", fence.Error, "takt_verify", "true or false"},
		{"fixed plug for two nodes", "plug=3\npcmk_host_list=node1 node2", fence.Error, "pcmk_host_list", "on one plug"},
		{"fixed plug for nobody", "plug=3", fence.Error, "pcmk_host_list", "nothing says which node"},
		{"fixed plug for all", "plug=3\npcmk_host_check=none", fence.Warning, "pcmk_host_check", "the same one for every node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			pairs := strings.Split(c.params, "\n")
			if c.name == "line break" {
				pairs = []string{c.params}
			}
			d, findings := f.registry.Device(t.Context(), primitive("f", pairs...), []string{"node1", "node2"})
			if (d == nil) != (c.severity == fence.Error) {
				t.Errorf("device %v", d)
			}
			for _, got := range findings {
				if got.Severity == c.severity && got.Param == c.param && strings.Contains(got.Text, c.text) {
					return
				}
			}
			t.Errorf("got %v", findings)
		})
	}
}

func TestGoodConfigurationsHaveNoFindings(t *testing.T) {
	f := install(t, allActions, good)
	for _, params := range []string{"", hosts, "pcmk_host_list=node1,node2", "pcmk_off_timeout=90s", "pcmk_action_limit=-1", "priority=5", "pcmk_off_retries=4",
		"password=x", "power_timeout=5", `pcmk_host_map=node1=a:b\ c node2=d`, "pcmk_delay_base=node1:1s;node2:0"} {
		var pairs []string
		if params != "" {
			pairs = []string{params}
		}
		if _, findings := f.registry.Device(t.Context(), primitive("f", pairs...), []string{"node1", "node2"}); len(findings) > 0 {
			t.Errorf("%s: %v", params, findings)
		}
	}
	p := primitive("f")
	delete(p.Params, "ip")
	p.Params["ipaddr"] = "192.0.2.1"
	if d, findings := f.registry.Device(t.Context(), p, nil); d == nil || len(findings) > 0 {
		t.Errorf("the old name of a required parameter: %v", findings)
	}
}

func TestTwoDevicesOnOnePlug(t *testing.T) {
	f := install(t, allActions, good)
	all := []fence.Primitive{primitive("f1", "pcmk_host_map=node1:1"), primitive("f2", "pcmk_host_map=node2:1", "password=x"),
		primitive("f1b", "pcmk_host_map=node9:9"), primitive("f1c", "pcmk_host_map=node9:9", "pcmk_off_timeout=9"),
		primitive("f3", "pcmk_host_map=node2:1", "ip=192.0.2.9"), primitive("f4", "pcmk_host_map=node2:2")}
	devices, findings := f.registry.Devices(t.Context(), all, nil)
	if len(devices) != 4 || devices[0].ID() != "f1b" || devices[2].ID() != "f3" || devices[3].ID() != "f4" || len(findings) != 2 || !strings.Contains(findings[0].Text, "same plug (1)") {
		t.Fatalf("got %d devices, %v", len(devices), findings)
	}
}

func TestUnknownAgent(t *testing.T) {
	f := install(t, allActions, good)
	for typ, want := range map[string]string{"fence_fak": "did you mean fence_fake?", "../../bin/sh": "a fence agent is called", "external/ssh": "a fence agent is called",
		"fence_": "a fence agent is called", "fence_../sh": "a fence agent is called"} {
		d, findings := f.registry.Device(t.Context(), fence.Primitive{ID: "f", Type: typ}, nil)
		if d != nil || len(findings) != 1 || !strings.Contains(findings[0].Text, want) {
			t.Errorf("%s: %v", typ, findings)
		}
	}
	f.write(t, "fence_open", "#!/bin/sh\n", 0o755)
	if err := os.Chmod(f.dir+"/fence_open", 0o777); err != nil {
		t.Fatal(err)
	}
	if _, err := f.registry.Lookup("fence_open"); err == nil || !strings.Contains(err.Error(), "changed by every user") {
		t.Errorf("got %v", err)
	}
	if got := strings.Join(f.registry.List(), " "); got != "fence_fake" {
		t.Errorf("list: %s", got)
	}
}

func TestRubbishMetadata(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"no XML":     {"hello\n", "not a resource-agent document"},
		"empty":      {"", "not a resource-agent document"},
		"other XML":  {"<html/>", "not a resource-agent document"},
		"torn":       {fakeMetadata[:300], "not a resource-agent document"},
		"nameless":   {"<resource-agent/>", "no name"},
		"no action":  {`<resource-agent name="x"/>`, "fences nobody"},
		"bad name":   {`<resource-agent name="x"><parameters><parameter name="a=b"/></parameters><actions><action name="off"/></actions></resource-agent>`, "name=value"},
		"twice":      {`<resource-agent name="x"><parameters><parameter name="a"/><parameter name="a"/></parameters></resource-agent>`, "twice"},
		"very large": {`<resource-agent name="x"><longdesc>` + strings.Repeat("x", 2<<20), ""},
	} {
		f := install(t, allActions, good)
		f.write(t, "metadata.xml", c.text, 0o644)
		d, findings := f.registry.Device(t.Context(), primitive("f"), nil)
		if d != nil || len(findings) != 1 || !strings.Contains(findings[0].Text, c.want) {
			t.Errorf("%s: %v", name, findings)
		}
	}
}

func TestResource(t *testing.T) {
	f := install(t, allActions, `[ $action = monitor ] && [ -e $dir/dead ] && { echo "no route" >&2; exit 1; }`+good)
	a := f.registry.Resource("fence_fake")
	run := func(action string) agent.Code {
		r := a.Run(t.Context(), agent.Invocation{Resource: "f", Action: action, Params: map[string]string{"ip": "192.0.2.1"}})
		return r.Code
	}
	for i, want := range []struct {
		action string
		code   agent.Code
	}{{agent.Monitor, agent.NotRunning}, {agent.Start, agent.OK}, {agent.Monitor, agent.OK}, {agent.ValidateAll, agent.OK}, {agent.Promote, agent.ErrUnimplement},
		{agent.Stop, agent.OK}, {agent.Stop, agent.OK}, {agent.Monitor, agent.NotRunning}, {agent.Start, agent.OK}} {
		if got := run(want.action); got != want.code {
			t.Fatalf("step %d, %s: %v", i, want.action, got)
		}
	}
	f.write(t, "dead", "", 0o644)
	if got := run(agent.Monitor); got != agent.ErrGeneric {
		t.Fatalf("dead device: %v", got)
	}
	if r := a.Run(t.Context(), agent.Invocation{Resource: "g", Action: agent.Start}); r.Code != agent.ErrConfigured || !strings.Contains(r.Reason, "ip") {
		t.Fatalf("got %+v", r)
	}
	if r := f.registry.Resource("fence_none").Run(t.Context(), agent.Invocation{Resource: "g", Action: agent.Start}); r.Status != agent.NotInstalled {
		t.Fatalf("got %+v", r)
	}
	if m, err := a.Metadata(t.Context()); err != nil || m.Parameter("pcmk_host_map") == nil || len(m.Check(map[string]string{"ip": "x", "pcmk_host_list": "a"})) > 0 {
		t.Fatalf("got %+v, %v", m, err)
	}
}

func TestPrintedConfigurationShowsNoSecret(t *testing.T) {
	f := install(t, allActions, good)
	cfg := f.device(t, "password=s3cret", "username=root").Config()
	data, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("device", "params", cfg.Params)
	for _, text := range []string{string(data), logged.String(), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg.Params)} {
		if strings.Contains(text, "s3cret") || !strings.Contains(text, "root") {
			t.Errorf("%s", text)
		}
	}
	if cfg.Params["password"] != "s3cret" {
		t.Error("the configuration has lost the password")
	}
}
