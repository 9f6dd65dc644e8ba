package fence_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/takt-ha/takt/agent/fence"
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
