package app

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/fencer"
)

// fakeAgent is a fence agent that keeps what it was asked.
type fakeAgent struct {
	name    string
	actions []string
	joins   bool
	call    func(ctx context.Context, r fence.Request) fence.Answer // nil: all succeeds, and status is off

	mu    sync.Mutex
	asked []string
}

func (f *fakeAgent) Name() string { return f.name }

func (f *fakeAgent) Metadata(context.Context) (*fence.Metadata, error) {
	return &fence.Metadata{Name: f.name, Actions: f.actions, Joins: f.joins, Parameters: []fence.Parameter{{Name: "ip"}, {Name: "username"}, {Name: "plug"}}}, nil
}

func (f *fakeAgent) Call(ctx context.Context, r fence.Request) fence.Answer {
	f.mu.Lock()
	f.asked = append(f.asked, r.Action+" "+r.Params["plug"])
	f.mu.Unlock()
	if f.call != nil {
		return f.call(ctx, r)
	}
	if r.Action == fence.Status {
		return exit(2)
	}
	return exit(0)
}

func (f *fakeAgent) calls() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.asked)
}

func exit(code agent.Code) fence.Answer { return fence.Answer{Result: agent.Result{Code: code}} }

func fake() *fakeAgent {
	return &fakeAgent{name: "fence_fake", actions: []string{"on", "off", "reboot", "status", "monitor", "metadata"}}
}

// watched returns devices as a daemon has them for a CIB.
func watched(t *testing.T, root *cib.Node, agents ...fence.Agent) *fencing {
	t.Helper()
	f := newFencing("n1", fence.NewRegistry(fence.Options{Folders: []string{}, Native: agents}), slog.New(slog.DiscardHandler), func(*fencer.Setup) {})
	f.update(t.Context(), root, false)
	return f
}

func tryNames(f *fencing, node string) string {
	var list []string
	for _, try := range f.tries(node) {
		var ids []string
		for _, id := range try.Devices {
			ids = append(ids, string(id))
		}
		list = append(list, strings.Join(ids, "+"))
	}
	return strings.Join(list, " ")
}

// TestLevelWithAStoppedDeviceFailsWhole: a machine with two supplies is not off
// when one of them is, so what is left of a level is never used alone.
func TestLevelWithAStoppedDeviceFailsWhole(t *testing.T) {
	f := watched(t, fenceCIB(t, `<fencing-level id="f2" target-pattern="^n" index="1" devices="ilo"/>`, "", `target-value="r1"`, `target-value="r9"`), fake())
	if got := tryNames(f, "n2"); got != "ilo+pdu" {
		t.Errorf("tries: %s", got)
	}
	v := f.view()
	if _, ok := v.setup.Fenceable(fencer.Member{Node: "n2"}, func(fencer.Node) bool { return true }); ok {
		t.Error("n2 counts as fenceable although a device of its only level is stopped")
	}
	f.update(t.Context(), fenceCIB(t, `<meta_attributes id="m"><nvpair id="m1" name="target-role" value="Stopped"/></meta_attributes>`, "",
		`<nvpair id="p1"`, `<nvpair id="p9" name="pcmk_host_list" value="n2 n3"/><nvpair id="p1"`), false)
	v = f.view()
	if _, ok := v.setup.Fenceable(fencer.Member{Node: "n2"}, func(fencer.Node) bool { return true }); !ok {
		t.Errorf("with both devices it is fenceable: %v", v.found)
	}
}

// TestHeuristicAloneFencesNobody: it says that others may, and proves nothing.
func TestHeuristicAloneFencesNobody(t *testing.T) {
	h := &fakeAgent{name: "fence_heuristics_fake", actions: []string{"on", "off", "monitor", "metadata"}}
	to := []string{`id="pdu" class="stonith" type="fence_fake"`, `id="pdu" class="stonith" type="fence_heuristics_fake"`, `name="target-role" value="Stopped"`, `name="target-role" value="Started"`}
	root := fenceCIB(t, append(to, `<fencing-level id="f2" target-pattern="^n" index="1" devices="ilo"/>`, "")...)
	f := watched(t, root, fake(), h)
	if got := tryNames(f, "n1"); got != "" {
		t.Errorf("n1 is fenced by a heuristic: %s", got)
	}
	if got := tryNames(f, "n2"); got != "ilo+pdu" {
		t.Errorf("tries: %s", got)
	}
	if text := findingsText(f); !strings.Contains(text, "they only say whether others may") {
		t.Errorf("a level of heuristics alone is no finding:\n%s", text)
	}
}

func findingsText(f *fencing) string {
	v := f.view()
	return strings.Join(v.findings(nil, time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)), "\n")
}

// TestFindings: what cannot work is said before it is needed.
func TestFindings(t *testing.T) {
	f := watched(t, fenceCIB(t, `devices="ilo,pdu"`, `devices="ilo,gone"`, `<nvpair id="i2" name="pcmk_host_list" value="n2"/>`, `<nvpair id="i2" name="pcmk_host_list" value="n2 n8"/>`), fake())
	text := findingsText(f)
	rehearsed := strings.Join(f.rehearse(t.Context(), fenceCIB(t), fenceCIB(t, `value="n2"`, `value="n2 n8"`)), "\n")
	if !strings.Contains(rehearsed, "there is no node n8") || f.rehearse(t.Context(), fenceCIB(t), fenceCIB(t, `rack`, `row`)) != nil {
		t.Errorf("before a change is made it says %q", rehearsed)
	}
	for _, want := range []string{"there is no node n8", "it names gone, and there is no such device"} {
		if !strings.Contains(text, want) {
			t.Errorf("no word of %q in\n%s", want, text)
		}
	}
}

// TestOldSetupGoesOnWhileADeviceIsAsked: reading devices is slow, fencing must not wait.
func TestOldSetupGoesOnWhileADeviceIsAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow time.Duration
		a := fake()
		a.call = func(ctx context.Context, r fence.Request) fence.Answer {
			select {
			case <-time.After(slow):
			case <-ctx.Done():
				return fence.Answer{Result: agent.Result{Status: agent.TimedOut}}
			}
			return exit(0)
		}
		free := []string{`<nvpair id="i2" name="pcmk_host_list" value="n2"/>`, `<nvpair id="i2" name="pcmk_host_check" value="status"/>`, `devices="ilo,pdu"`, `devices="ilo"`}
		f := watched(t, fenceCIB(t, free...), a)
		fenceable := func() bool {
			v := f.view()
			_, ok := v.setup.Fenceable(fencer.Member{Node: "n2"}, func(fencer.Node) bool { return true })
			return ok
		}
		if !fenceable() {
			t.Fatalf("n2 is not fenceable: %s", findingsText(f))
		}
		slow = time.Hour
		done := make(chan bool)
		go func() { done <- f.update(t.Context(), fenceCIB(t, free...), true) }()
		synctest.Wait()
		if !fenceable() || !f.view().reading {
			t.Error("while the device is asked nothing is fenced")
		}
		if <-done {
			t.Error("an unanswered question counts as answered")
		}
		if !fenceable() || !strings.Contains(findingsText(f), "what it said before holds") {
			t.Errorf("a device that does not answer loses whom it fenced: %s", findingsText(f))
		}
	})
}

// TestNodeJoinsTheList: a node that is not on the list of a device to which nodes add themselves
// is asked for again, and a person can read that it is not there yet.
func TestNodeJoinsTheList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := "n1,\nn3,\n"
		a := fake()
		a.actions, a.joins = append(a.actions, fence.List), true
		a.call = func(context.Context, fence.Request) fence.Answer {
			ans := exit(0)
			ans.Stdout = list
			return ans
		}
		root := fenceCIB(t, `<nvpair id="i2" name="pcmk_host_list" value="n2"/>`, "", `devices="ilo,pdu"`, `devices="ilo"`)
		f := watched(t, root, a)
		defer f.find.Close()
		if got := strings.Join(f.doubts("n2"), "; "); !strings.Contains(got, "ilo: whether it can fence n2 is not known: the device lists no plug n2 yet") || len(f.doubts("n3")) > 0 {
			t.Errorf("n2: %s; n3: %v", got, f.doubts("n3"))
		}
		list += "n2,\n"
		if !f.update(t.Context(), root, true) || len(f.doubts("n2")) > 0 {
			t.Errorf("n2 is on the list, and is not seen there: %v", f.doubts("n2"))
		}
	})
}

// blocked is a fence agent that something stands in the way of on this node.
type blocked struct {
	*fakeAgent
	why string
}

func (b *blocked) Inspect(context.Context, fence.Config) (list []fence.Finding) {
	if b.why != "" {
		list = append(list, fence.Finding{Severity: fence.Error, Device: "ilo", Text: b.why})
	}
	return list
}

// TestWhatStandsInTheWayIsSeenLater: a disk that is lost, or a watchdog that is taken, after the
// device was configured.
func TestWhatStandsInTheWayIsSeenLater(t *testing.T) {
	a := &blocked{fakeAgent: fake()}
	f := watched(t, fenceCIB(t), a)
	defer f.find.Close()
	usable := func() bool {
		v := f.view()
		d := v.device(primitiveIn(v.kit.plan, "ilo"))
		return d.Usable && len(d.Findings) == 0
	}
	f.inspect(t.Context())
	if !usable() {
		t.Fatalf("it begins with findings: %s", findingsText(f))
	}
	a.why = "the disk is lost"
	f.inspect(t.Context())
	if usable() || !strings.Contains(findingsText(f), "the disk is lost") {
		t.Errorf("nobody sees that the disk is lost: %s", findingsText(f))
	}
	a.why = ""
	f.inspect(t.Context())
	if !usable() {
		t.Errorf("the disk is back, and findings are still %s", findingsText(f))
	}
}
