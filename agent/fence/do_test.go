package fence_test

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
)

const hosts = "pcmk_host_map=node1:1;node2:2"

func TestOffIsVerified(t *testing.T) {
	f := install(t, allActions, good)
	r := f.device(t, hosts).Do(t.Context(), fence.Off, "node2")
	if !r.OK || r.Proof != fence.ByStatus || r.Power != fence.PowerOff || r.Plug != "2" || len(r.Attempts) != 2 {
		t.Fatalf("got %+v", r)
	}
	if got := f.calls(t); got != "off 2, status 2" {
		t.Fatalf("calls: %s", got)
	}
}

// The agent exits with 0 and has done nothing.
func TestExitZeroWithoutEffectIsAFailure(t *testing.T) {
	f := install(t, allActions, `[ "$action" = off ] && exit 0`+good)
	for _, action := range []string{fence.Off, fence.Reboot} {
		r := f.device(t, hosts).Do(t.Context(), action, "node1")
		if r.OK || r.Proof != fence.NoProof || r.Power != fence.PowerOn || !strings.Contains(r.Reason, "status is on") {
			t.Fatalf("%s: got %+v", action, r)
		}
	}
	if strings.Contains(", "+f.calls(t)+",", ", on 1,") {
		t.Fatal("a machine that is not off was switched on")
	}
}

func TestStatusThatCannotBeHadIsAFailure(t *testing.T) {
	f := install(t, allActions, `[ "$action" = status ] && { echo "no route" >&2; exit 1; }`+good)
	r := f.device(t, hosts).Do(t.Context(), fence.Off, "node1")
	if r.OK || !strings.Contains(r.Reason, "cannot be had") || !strings.Contains(r.Reason, "no route") {
		t.Fatalf("got %+v", r)
	}
}

func TestStatusMayComeLate(t *testing.T) {
	f := install(t, allActions, `
[ "$action" = status ] && { n=$(grep -c status $dir/calls); [ $n -ge 3 ] && exit 2; exit 0; }`+good)
	registry := fence.NewRegistry(fence.Options{Folders: []string{f.dir}, Settings: fence.Settings{Verify: time.Minute, Poll: time.Millisecond}})
	d, _ := registry.Device(t.Context(), primitive("f", hosts), nil)
	if r := d.Do(t.Context(), fence.Off, "node1"); !r.OK || r.Proof != fence.ByStatus || len(r.Attempts) != 4 {
		t.Fatalf("got %+v", r)
	}
}

func TestWithoutStatusNothingIsProven(t *testing.T) {
	f := install(t, noStatus, good)
	for _, action := range []string{fence.Off, fence.Reboot} {
		r := f.device(t, hosts).Do(t.Context(), action, "node1")
		if !r.OK || r.Proof != fence.ByWord || !strings.Contains(r.Reason, "not verified") {
			t.Fatalf("%s: got %+v", action, r)
		}
	}
	if got := f.calls(t); got != "off 1, reboot 1" {
		t.Fatalf("calls: %s", got)
	}
}

// Success of an agent that only decides must never pass for a machine that is off.
func TestHeuristicsFenceNobody(t *testing.T) {
	f := install(t, noStatus, good)
	script, err := os.ReadFile(filepath.Join(f.dir, "fence_fake"))
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "fence_heuristics_fake", string(script), 0o755)
	p := primitive("h", "pcmk_host_list=node1 node2")
	p.Type = "fence_heuristics_fake"
	d, findings := f.registry.Device(t.Context(), p, []string{"node1", "node2"})
	if d == nil || len(findings) > 0 {
		t.Fatalf("%v", findings)
	}
	for _, action := range []string{fence.Off, fence.Reboot} {
		if r := d.Do(t.Context(), action, "node1"); !r.OK || r.Proof != fence.Condition || !strings.Contains(r.Reason, "switches nothing off") {
			t.Fatalf("%s: got %+v", action, r)
		}
	}
}

func TestVerificationCanBeSwitchedOff(t *testing.T) {
	f := install(t, allActions, good)
	if r := f.device(t, hosts, "takt_verify=false").Do(t.Context(), fence.Off, "node1"); !r.OK || r.Proof != fence.ByWord || f.calls(t) != "off 1" {
		t.Fatalf("got %+v, calls %s", r, f.calls(t))
	}
}

func TestReboot(t *testing.T) {
	for _, c := range []struct {
		name, actions, script, params, calls string
		proof                                fence.Proof
	}{
		{"off, proof, on", allActions, good, "", "off 1, status 1, on 1, status 1", fence.ByStatus},
		{"no on", "off status metadata", good, "", "off 1, status 1", fence.ByStatus},
		{"on fails", allActions, "[ $action = on ] && exit 1" + good, "pcmk_on_retries=1", "off 1, status 1, on 1", fence.ByStatus},
		{"off asked for", allActions, good, "pcmk_reboot_action=off", "off 1, status 1", fence.ByStatus},
		{"the agent's own", allActions, good, "pcmk_reboot_action=reboot", "reboot 1", fence.ByWord},
		{"no off", "reboot status metadata", good, "", "reboot 1", fence.ByWord},
		{"off is something else", allActions, good, "pcmk_off_action=monitor", "reboot 1", fence.ByWord},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := install(t, c.actions, c.script)
			params := []string{hosts}
			if c.params != "" {
				params = append(params, c.params)
			}
			r := f.device(t, params...).Do(t.Context(), fence.Reboot, "node1")
			if got := f.calls(t); !r.OK || r.Proof != c.proof || got != c.calls {
				t.Fatalf("got %+v, calls %s", r, got)
			}
		})
	}
}

func TestUnfencingIsNotPartOfReboot(t *testing.T) {
	f := install(t, allActions, good)
	data, err := os.ReadFile(filepath.Join(f.dir, "metadata.xml"))
	if err != nil {
		t.Fatal(err)
	}
	f.write(t, "metadata.xml", strings.Replace(string(data), `<action name="on"/>`, `<action name="on" on_target="1" automatic="1"/>`, 1), 0o644)
	r := f.device(t, hosts).Do(t.Context(), fence.Reboot, "node1")
	if !r.OK || f.calls(t) != "off 1, status 1" || !strings.Contains(r.Reason, "left off") {
		t.Fatalf("got %+v, calls %s", r, f.calls(t))
	}
}

func TestRetry(t *testing.T) {
	script := `[ "$action" = off ] && [ $(grep -c off $dir/calls) -lt 3 ] && { echo busy >&2; exit 1; }` + good
	f := install(t, allActions, script)
	if r := f.device(t, hosts, "pcmk_off_retries=3").Do(t.Context(), fence.Off, "node1"); !r.OK || len(r.Attempts) != 4 || r.Attempts[0].Reason != "busy" {
		t.Fatalf("got %+v", r)
	}
	f = install(t, allActions, script)
	if r := f.device(t, hosts).Do(t.Context(), fence.Off, "node1"); r.OK || len(r.Attempts) != 2 || !strings.Contains(r.Reason, "busy") {
		t.Fatalf("two tries are the default: %+v", r)
	}
}

// The agent hangs, with a child that has left its group.
func TestHangIsEnded(t *testing.T) {
	f := install(t, allActions, `sleep 600 & echo $! > $dir/child; trap "" TERM; echo waiting >&2; sleep 600; sleep 600`)
	for _, limit := range []string{"300ms", "2s", "20s"} { // a busy machine may need longer until it says a word
		r := f.device(t, hosts, "pcmk_off_timeout="+limit).Do(t.Context(), fence.Off, "node1")
		if r.OK || len(r.Attempts) != 1 || r.Attempts[0].Status != agent.TimedOut || limit == "20s" && !strings.Contains(r.Reason, "waiting") {
			t.Fatalf("got %+v", r)
		}
		if strings.Contains(r.Reason, "waiting") {
			break
		}
	}
	pid, err := os.ReadFile(filepath.Join(f.dir, "child"))
	if err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); ; <-tick.C {
		stat, err := os.ReadFile("/proc/" + strings.TrimSpace(string(pid)) + "/stat")
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the agent's child lives on")
		}
	}
}

// A child that keeps the output open does not hold the agent's end up.
func TestForkedChildDoesNotHoldUp(t *testing.T) {
	f := install(t, allActions, `[ "$action" = off ] && { sleep 600 & echo $! > $dir/child; }`+good)
	r := f.device(t, hosts).Do(t.Context(), fence.Off, "node1")
	if !r.OK || r.Duration > 15*time.Second {
		t.Fatalf("got %+v", r)
	}
	if pid, err := os.ReadFile(filepath.Join(f.dir, "child")); err == nil {
		var n int
		if json.Unmarshal([]byte(strings.TrimSpace(string(pid))), &n) == nil && n > 1 {
			syscall.Kill(n, syscall.SIGKILL) //nolint:errcheck // gone already is fine
		}
	}
}

func TestCancel(t *testing.T) {
	f := install(t, allActions, `sleep 600`)
	d := f.device(t, hosts)
	ctx, cancel := context.WithCancel(t.Context())
	ctx = agent.WithOnStart(ctx, func(int) { cancel() })
	if r := d.Do(ctx, fence.Off, "node1"); r.OK || len(r.Attempts) != 1 || r.Attempts[0].Status != agent.Cancelled {
		t.Fatalf("got %+v", r)
	}
}

func TestHugeOutputIsBounded(t *testing.T) {
	f := install(t, allActions, `head -c 20000000 /dev/zero | tr '\0' x; echo "the end" >&2; exit 1`)
	r := f.device(t, hosts, "pcmk_off_retries=1").Do(t.Context(), fence.Off, "node1")
	if r.OK || len(r.Attempts[0].Output) > agent.MaxOutput || !strings.Contains(r.Reason, "the end") {
		t.Fatalf("%d bytes, %s", len(r.Attempts[0].Output), r.Reason)
	}
}

// Nothing of a chatty agent's answer shows the secret, and neither do its
// arguments and its environment.
func TestSecretsStaySecret(t *testing.T) {
	const secret = `s3cr&t "pass'wörd`
	f := install(t, allActions, `
tr '\0' '\n' < /proc/$$/cmdline > $dir/seen; tr '\0' '\n' < /proc/$$/environ >> $dir/seen
echo "login with password=$password"; echo "DEBUG -P '$password'" >&2; printf 'root:%s' "$password" | base64 >&2
head -c 100000 /dev/zero | tr '\0' y; echo "$password failed" >&2; exit 1`)
	t.Setenv("TAKT_TEST_LEAK", "of the daemon")
	d := f.device(t, hosts, "username=root", "password="+secret)
	r := d.Do(t.Context(), fence.Off, "node1")
	shown, err := json.Marshal(r)
	if err != nil || r.OK {
		t.Fatalf("got %+v, %v", r, err)
	}
	for _, a := range r.Attempts {
		shown = append(append(shown, a.Output...), a.Reason...)
	}
	for _, leak := range []string{"s3cr", "wörd", "cm9vdDpzM2NyJn"} {
		if strings.Contains(string(shown), leak) {
			t.Errorf("%q in %s", leak, shown)
		}
	}
	if !strings.Contains(r.Reason, fence.Redacted+" failed") {
		t.Errorf("reason %q", r.Reason)
	}
	seen, err := os.ReadFile(filepath.Join(f.dir, "seen"))
	if err != nil || strings.Contains(string(seen), "s3cr") || strings.Contains(string(seen), "TAKT_TEST_LEAK") || !strings.Contains(string(seen), "LC_ALL=C") {
		t.Errorf("the agent saw %s, %v", seen, err)
	}
}

func TestDoRefuses(t *testing.T) {
	f := install(t, allActions, good)
	d := f.device(t, hosts)
	for _, c := range []struct{ action, node, want string }{
		{fence.Off, "node5", "neither pcmk_host_list nor pcmk_host_map"},
		{fence.Off, "", "invalid"},
		{"explode", "node1", "no action"},
		{fence.Off, "node1\naction=on", "invalid"},
	} {
		if r := d.Do(t.Context(), c.action, c.node); r.OK || !strings.Contains(r.Reason, c.want) {
			t.Errorf("%+v: got %+v", c, r)
		}
	}
	if r := d.Do(t.Context(), fence.Monitor, ""); !r.OK || f.calls(t) != "monitor" {
		t.Fatalf("got %+v, calls %q", r, f.calls(t))
	}
	if r := d.Do(t.Context(), fence.Status, "node1"); !r.OK || r.Power != fence.PowerOn {
		t.Fatalf("got %+v", r)
	}
}

// One action at a time is the default; the second waits for its turn, and no
// longer than its context.
func TestActionLimit(t *testing.T) {
	f := install(t, allActions, `[ "$plug" = 1 ] && [ $action = off ] && { echo > $dir/began; while [ ! -e $dir/go ]; do sleep 0.01; done; }`+good)
	d := f.device(t, hosts)
	first := make(chan fence.Result, 1)
	started := make(chan struct{}, 9)
	ctx := agent.WithOnStart(t.Context(), func(int) { started <- struct{}{} })
	go func() { first <- d.Do(ctx, fence.Off, "node1") }()
	<-started
	ended, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if r := d.Do(ended, fence.Off, "node2"); r.OK || !strings.Contains(r.Reason, "busy") {
		t.Fatalf("got %+v", r)
	}
	f.write(t, "go", "", 0o644)
	if r := <-first; !r.OK {
		t.Fatalf("got %+v", r)
	}
}

// What would read as another line never reaches an agent, and the error does
// not show it: it may be secret.
func TestLineBreaksAreRefused(t *testing.T) {
	f := install(t, allActions, good)
	a, err := f.registry.Lookup("fence_fake")
	if err != nil {
		t.Fatal(err)
	}
	for _, params := range []map[string]string{{"password": "s3cret\naction=off"}, {"a\nb": "1"}, {"": "1"}, {"#x": "1"}, {"a=b": "1"}, {"ip": "x\x00"}} {
		ans := a.Call(t.Context(), fence.Request{Action: fence.Status, Params: params, Timeout: time.Minute})
		if ans.OK() || ans.Status != agent.Errored || strings.Contains(ans.Reason, "s3cret") || ans.Power() != fence.PowerUnknown {
			t.Errorf("%q: %+v", params, ans)
		}
	}
	if _, err := os.Stat(filepath.Join(f.dir, "calls")); err == nil {
		t.Error("the agent was run")
	}
}

// An agent inside Takt gets the same device around it.
type native struct{ off bool }

func (*native) Name() string { return "fence_takt_test" }

func (*native) Metadata(context.Context) (*fence.Metadata, error) {
	return &fence.Metadata{Name: "fence_takt_test", Parameters: []fence.Parameter{{Name: "plug"}, {Name: "password"}}, Actions: []string{fence.Off, fence.Status}}, nil
}

func (n *native) Call(_ context.Context, req fence.Request) fence.Answer {
	var ans fence.Answer
	switch req.Action {
	case fence.Off:
		n.off = req.Params["password"] == "right"
		ans.Output = "the password was " + req.Params["password"]
	case fence.Status:
		if n.off {
			ans.Code = 2
		}
	}
	return ans
}

func TestNativeAgent(t *testing.T) {
	for password, want := range map[string]bool{"right": true, "wrong": false} {
		registry := fence.NewRegistry(fence.Options{Native: []fence.Agent{&native{}}, Folders: []string{t.TempDir()},
			Settings: fence.Settings{Verify: time.Millisecond, Poll: time.Millisecond, Pause: time.Millisecond}})
		params := map[string]string{"password": password, "pcmk_host_list": "node1"}
		d, findings := registry.Device(t.Context(), fence.Primitive{ID: "n", Type: "fence_takt_test", Params: params}, nil)
		if d == nil {
			t.Fatalf("%v", findings)
		}
		r := d.Do(t.Context(), fence.Off, "node1")
		if r.OK != want || strings.Contains(r.Attempts[0].Output, password) || len(registry.List()) != 1 {
			t.Errorf("%s: %+v", password, r)
		}
	}
}
