package fence_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/internal/errs"
)

// The agents of Debian's package fence-agents.
func TestInstalledAgents(t *testing.T) {
	registry := fence.NewRegistry(fence.Options{})
	if _, err := registry.Lookup("fence_dummy"); err != nil {
		t.Skip("the package fence-agents is not installed")
	}
	for _, name := range []string{"fence_dummy", "fence_ipmilan", "fence_scsi", "fence_apc", "fence_virsh", "fence_kdump"} {
		a, err := registry.Lookup(name)
		if err != nil {
			t.Logf("%v", err)
			continue
		}
		m, err := a.Metadata(t.Context())
		if err != nil || !m.Supports(fence.Off) || m.Parameter("action") == nil || m.Unfencing != (name == "fence_scsi") {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if err == nil && name == "fence_apc" && (m.PlugParameter() != "plug" || m.Alias("ipaddr") != "ip" || !m.Parameter("port").Deprecated) {
			t.Errorf("%s: %+v", name, m.Parameters)
		}
	}
}

func TestInstalledDummy(t *testing.T) {
	registry := fence.NewRegistry(fence.Options{})
	if _, err := registry.Lookup("fence_dummy"); err != nil {
		t.Skip("the package fence-agents is not installed")
	}
	status := filepath.Join(t.TempDir(), "status")
	if err := os.WriteFile(status, []byte("on"), 0o644); err != nil {
		t.Fatal(err)
	}
	params := map[string]string{"status_file": status, "pcmk_host_list": "node1"}
	d, findings := registry.Device(t.Context(), fence.Primitive{ID: "f", Type: "fence_dummy", Params: params}, []string{"node1", "node2"})
	if d == nil || len(findings) > 0 {
		t.Fatalf("%v", findings)
	}
	for _, action := range []string{fence.Monitor, fence.ValidateAll} {
		if r := d.Do(t.Context(), action, ""); !r.OK {
			t.Errorf("%s: %+v", action, r)
		}
	}
	for _, c := range []struct {
		action string
		power  fence.Power
	}{{fence.Off, fence.PowerOff}, {fence.Status, fence.PowerOff}, {fence.On, fence.PowerOn}, {fence.Reboot, fence.PowerOn}} {
		if r := d.Do(t.Context(), c.action, "node1"); !r.OK || r.Power != c.power || c.action != fence.Status && r.Proof != fence.ByStatus {
			t.Errorf("%s: %+v", c.action, r)
		}
	}
	// It has no plug: for two nodes it would hit the same one.
	params["pcmk_host_list"] = "node1 node2"
	if d, findings := registry.Device(t.Context(), fence.Primitive{ID: "f", Type: "fence_dummy", Params: params}, nil); d != nil || !strings.Contains(findings[0].Text, "on one plug") {
		t.Errorf("%v", findings)
	}
	if data, err := os.ReadFile(status); err != nil || string(data) != "on" {
		t.Errorf("the dummy's state is %q, %v", data, err)
	}
}

// Every installed agent describes itself so that a device could be made of it.
func TestInstalledMetadata(t *testing.T) {
	registry := fence.NewRegistry(fence.Options{})
	if _, err := registry.Lookup("fence_dummy"); err != nil {
		t.Skip("the package fence-agents is not installed")
	}
	names := registry.List()
	if testing.Short() {
		names = names[:min(5, len(names))]
	}
	var (
		all    sync.WaitGroup
		places = make(chan struct{}, 2)
		good   atomic.Int32
	)
	for _, name := range names {
		all.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			a, err := registry.Lookup(name)
			if err != nil {
				t.Errorf("%v", err)
				return
			}
			m, err := a.Metadata(t.Context())
			switch {
			case err == nil && m.Parameter("action") == nil:
				t.Errorf("%s has no parameter action", name)
			case err == nil:
				good.Add(1)
			case errs.KindOf(err) == errs.Invalid:
				t.Errorf("%s: what it says of itself cannot be read: %v", name, err)
			default: // it lacks a library of its own, which only that agent's users need
				t.Logf("%s: %v", name, err)
			}
		})
	}
	all.Wait()
	if int(good.Load()) < len(names)*3/4 {
		t.Errorf("only %d of %d agents describe themselves", good.Load(), len(names))
	}
}

// The ways in which fence_dummy can be told to fail.
func TestInstalledDummyFails(t *testing.T) {
	registry := fence.NewRegistry(fence.Options{Settings: fence.Settings{Verify: time.Millisecond, Poll: time.Millisecond, Pause: time.Millisecond}})
	defer registry.Close()
	if _, err := registry.Lookup("fence_dummy"); err != nil {
		t.Skip("the package fence-agents is not installed")
	}
	status := filepath.Join(t.TempDir(), "status")
	for _, c := range []struct {
		kind   string
		action string
		ok     bool
	}{{"fail", fence.Monitor, true}, {"fail", fence.Off, false}, {"fail", fence.Reboot, false}, {"file", fence.Monitor, true}, {"file", fence.Off, true}} {
		if err := os.WriteFile(status, []byte("on"), 0o644); err != nil {
			t.Fatal(err)
		}
		params := map[string]string{"type": c.kind, "status_file": status, "pcmk_host_list": "node1", "plug": "node1", "power_timeout": "1",
			"pcmk_off_retries": "1", "pcmk_reboot_retries": "1"}
		d, findings := registry.Device(t.Context(), fence.Primitive{ID: "f", Type: "fence_dummy", Params: params}, []string{"node1"})
		if d == nil {
			t.Fatalf("%s: %v", c.kind, findings)
		}
		node := "node1"
		if c.action == fence.Monitor {
			node = ""
		}
		if r := d.Do(t.Context(), c.action, node); r.OK != c.ok || !r.OK && r.Reason == "" {
			t.Errorf("%s %s: %+v", c.kind, c.action, r)
		}
	}
}

// Agents whose device is not there, or not theirs: a failure with a reason, in time.
func TestInstalledAgentsWithoutDevice(t *testing.T) {
	registry := fence.NewRegistry(fence.Options{Settings: fence.Settings{Pause: time.Millisecond}})
	defer registry.Close()
	if _, err := registry.Lookup("fence_ipmilan"); err != nil {
		t.Skip("the package fence-agents is not installed")
	}
	tested := 0
	for _, p := range []fence.Primitive{
		{ID: "i", Type: "fence_ipmilan", Params: fence.Params{"ip": "127.0.0.1", "username": "takt", "password": "s3cret", "lanplus": "1", "pcmk_host_list": "node1"}},
		{ID: "v", Type: "fence_virt", Params: fence.Params{"ipaddr": "127.0.0.1", "ipport": "1", "timeout": "2", "pcmk_host_list": "node1"}},
		{ID: "s", Type: "fence_virsh", Params: fence.Params{"ip": "127.0.0.1", "ipport": "1", "username": "takt", "password": "s3cret", "pcmk_host_list": "node1"}},
		{ID: "a", Type: "fence_apc", Params: fence.Params{"ip": "127.0.0.1", "ipport": "1", "username": "takt", "password": "s3cret", "pcmk_host_map": "node1:1"}},
	} {
		if _, err := registry.Lookup(p.Type); err != nil {
			t.Logf("%s is not installed", p.Type)
			continue
		}
		for _, action := range []string{"off", "status"} {
			p.Params["pcmk_"+action+"_timeout"], p.Params["pcmk_"+action+"_retries"] = "5s", "1"
		}
		d, findings := registry.Device(t.Context(), p, []string{"node1"})
		if d == nil {
			t.Errorf("%s: %v", p.Type, findings)
			continue
		}
		tested++
		r := d.Do(t.Context(), fence.Off, "node1")
		if r.OK || r.Proof != fence.NoProof || r.Reason == "" || r.Duration > 10*time.Second || strings.Contains(r.Reason+r.Attempts[0].Output, "s3cret") {
			t.Errorf("%s: %+v", p.Type, r)
		}
		if p.Type == "fence_virt" && !strings.Contains(r.Reason, "fence_virtd") {
			t.Errorf("its reason says nothing: %s", r.Reason)
		}
		t.Logf("%s after %s: %s", p.Type, r.Duration.Round(time.Millisecond), r.Reason)
	}
	if tested == 0 {
		t.Error("no agent was tested")
	}
}
