package fence_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence"
)

func TestTargets(t *testing.T) {
	for _, c := range []struct {
		name, params, node string
		want               fence.Target
	}{
		{"map", hosts, "node2", fence.Target{Plug: "2", Can: true, How: fence.StaticList}},
		{"case does not matter", hosts, "NODE2", fence.Target{Plug: "2", Can: true, How: fence.StaticList}},
		{"list", "pcmk_host_list=node1 node2", "node2", fence.Target{Plug: "node2", Can: true, How: fence.StaticList}},
		{"not listed", "pcmk_host_list=node1", "node2", fence.Target{Plug: "node2", How: fence.StaticList}},
		{"the switch's name", "", "node2", fence.Target{Plug: "2", Can: true, How: fence.DynamicList}},
		{"the switch's plug", "", "node5", fence.Target{Plug: "node5", Can: true, How: fence.DynamicList}},
		{"unknown to the switch", "", "node9", fence.Target{Plug: "node9", How: fence.DynamicList}},
		{"two of that name", "", "twin", fence.Target{Plug: "twin", How: fence.DynamicList}},
		{"map and dynamic list", hosts + "\npcmk_host_check=dynamic-list", "node1", fence.Target{Plug: "1", Can: true, How: fence.DynamicList}},
		{"status, on", "pcmk_host_check=status", "node1", fence.Target{Plug: "node1", Can: true, How: fence.StatusCheck}},
		{"status, off", "pcmk_host_check=status", "dark", fence.Target{Plug: "dark", Can: true, How: fence.StatusCheck}},
		{"status, error", "pcmk_host_check=status", "bad", fence.Target{Plug: "bad", How: fence.StatusCheck}},
		{"none", "pcmk_host_check=none", "any", fence.Target{Plug: "any", Can: true, How: fence.NoCheck}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := install(t, allActions, `[ "$action $plug" = "status bad" ] && exit 1; [ "$action $plug" = "status dark" ] && exit 2`+good)
			var params []string
			if c.params != "" {
				params = strings.Split(c.params, "\n")
			}
			got, err := f.device(t, params...).Targets(t.Context(), c.node)
			if got.Why == "" {
				t.Error("no reason")
			}
			got.Why, c.want.Node = "", c.node
			if err != nil || got != c.want {
				t.Fatalf("got %+v, %v, want %+v", got, err, c.want)
			}
		})
	}
}

func TestTargetsOfADeadSwitch(t *testing.T) {
	f := install(t, allActions, `echo "no route" >&2; exit 1`)
	got, err := f.device(t).Targets(t.Context(), "node1")
	if err == nil || got.Can || !strings.Contains(err.Error(), "no route") {
		t.Fatalf("got %+v, %v", got, err)
	}
	f = install(t, allActions, `sleep 600`)
	if got, err = f.device(t, "pcmk_host_check=status", "pcmk_status_timeout=200ms").Targets(t.Context(), "node1"); err == nil || got.Can {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestHostArgument(t *testing.T) {
	script := `[ $action = off ] && echo "$nodename" > $dir/nodename` + good
	for _, c := range []struct{ params, calls string }{
		{"plug=7", "off 7, status 7"}, {"plug=dynamic", "off node1, status node1"}, {"pcmk_host_argument=username", "off, status"},
	} {
		f := install(t, allActions, script)
		metadata, err := os.ReadFile(filepath.Join(f.dir, "metadata.xml"))
		if err != nil {
			t.Fatal(err)
		}
		f.write(t, "metadata.xml", strings.ReplaceAll(string(metadata), `"plug" required="1"`, `"plug"`), 0o644)
		if r := f.device(t, "pcmk_host_list=node1", c.params).Do(t.Context(), fence.Off, "node1"); f.calls(t) != c.calls {
			t.Errorf("%s: calls %s, %+v", c.params, f.calls(t), r)
		}
		if name, err := os.ReadFile(filepath.Join(f.dir, "nodename")); err != nil || string(name) != "node1\n" {
			t.Errorf("nodename %q, %v", name, err)
		}
	}
}

func TestDelay(t *testing.T) {
	most := func(n int64) int64 { return n - 1 }
	for _, c := range []struct {
		base, max, node string
		want            time.Duration
	}{
		{"5s", "", "a", 5 * time.Second}, {"5", "10s", "a", 10*time.Second - 1}, {"a:1s;b:2", "", "B", 2 * time.Second},
		{"a:1s;b:2", "", "c", 0}, {"", "3s", "a", 3*time.Second - 1}, {"9s", "3s", "a", 3 * time.Second},
	} {
		params := []string{}
		if c.base != "" {
			params = append(params, "pcmk_delay_base="+c.base)
		}
		if c.max != "" {
			params = append(params, "pcmk_delay_max="+c.max)
		}
		cfg, findings := fence.ParseConfig(primitive("f", params...))
		if got := cfg.Delay(c.node, most); got != c.want || !fence.Usable(findings) {
			t.Errorf("%+v: got %s, %v", c, got, findings)
		}
	}
}
