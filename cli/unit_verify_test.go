package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// systemd itself finds nothing wrong with the units that are written.
func TestUnitsVerified(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	dir := t.TempDir()
	self := filepath.Join(dir, "with space", "100%", "takt") // must be there, and run
	if err := os.MkdirAll(filepath.Dir(self), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/bin/true", self); err != nil {
		t.Fatal(err)
	}
	paths := Paths{Dir: "/etc/takt", State: "/srv/with space/100%", Run: "/run/takt", Socket: "/run/takt/takt.sock"}
	for name, text := range map[string]string{"takt.service": unit(self, paths), volumeUnitName("r0"): volumeUnit(self)} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("systemd-analyze", "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("%s: %v: %s\n%s", name, err, out, text)
		}
	}
}
