package keepalived

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// safe keeps keepalived from complaining about scripts as such.
const safe = "global_defs {\nscript_user root\nenable_script_security\n}\n"

// frames are what the pieces of testdata/verdicts are put into.
var frames = map[string]string{
	"whole":  safe + "%s",
	"global": "global_defs {\n%s\n}\n",
	"instance": safe + "vrrp_script good {\nscript /bin/true\n}\nvrrp_instance x {\ninterface eth0\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.0.1\n}\n%s\n}\n" +
		"vrrp_instance y {\ninterface eth1\nvirtual_router_id 7\nvirtual_ipaddress {\n10.0.1.1\n}\n}\n",
	"server": safe + "virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\n%s\nreal_server 10.0.0.2 80 {\n}\n}\n",
	"real":   safe + "virtual_server 192.0.2.1 80 {\nlb_algo rr\nlb_kind NAT\nprotocol TCP\nreal_server 10.0.0.2 80 {\n%s\n}\n}\n",
}

// TestVerdicts says what Takt and what keepalived 2.2.7 (-t) think of pieces of configurations. What keepalived says is
// asked where it is installed and a network namespace can be had, and taken from the file elsewhere.
func TestVerdicts(t *testing.T) {
	datadriven.Walk(t, "testdata/verdicts", func(t *testing.T, file string) {
		asked := askKeepalived(t, file)
		if asked == nil {
			t.Log("keepalived's verdicts are those of the file: -short, no root, no keepalived 2.2.7, or no network namespaces")
		}
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			text := fmt.Sprintf(frames[d.Cmd], d.Input)
			r := Load(Source{"keepalived.conf", text}, Options{Machine: machine(), Read: memory(nil)})
			ours := "fine"
			switch {
			case r.Config == nil:
				ours = "error"
			case r.Count(Warning) > 0:
				ours = "warning"
			}
			theirs, known := asked[text]
			if !known {
				if _, recorded, is := strings.Cut(d.Expected, "keepalived: "); is {
					theirs = strings.TrimSpace(recorded)
				}
			}
			if ours == "fine" && theirs == "complains" && d.Input != "include_check readable" { // which it forgets at a second reading
				t.Errorf("keepalived complains of what is fine here:\n%s", d.Input)
			}
			return fmt.Sprintf("takt: %s, keepalived: %s\n", ours, theirs)
		})
	})
}

// askKeepalived runs keepalived -t on all pieces of a file.
func askKeepalived(t *testing.T, file string) map[string]string {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if testing.Short() {
		return nil
	}
	if v, err := exec.Command("keepalived", "--version").CombinedOutput(); err != nil || !strings.Contains(string(v), "v2.2.7") || os.Geteuid() != 0 {
		return nil
	}
	dir := t.TempDir()
	texts := []string{}
	for _, part := range strings.Split(string(raw), "\n\n") {
		part = strings.TrimSpace(part)
		for strings.HasPrefix(part, "#") {
			_, part, _ = strings.Cut(part, "\n")
		}
		cmd, rest, _ := strings.Cut(part, "\n")
		input, _, is := strings.Cut("\n"+rest+"\n", "\n----\n")
		if frame := frames[cmd]; is && frame != "" {
			text := fmt.Sprintf(frame, strings.TrimPrefix(input, "\n"))
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(len(texts))), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			texts = append(texts, text)
		}
	}
	script := `ip link add eth0 type veth peer name eth1 && ip link add eth2 type veth peer name eth3 || exit 1
for i in 0 1 2 3; do ip link set eth$i up; ip addr add 10.9.$i.1/24 dev eth$i; done
cd "$0"; ls | xargs -P 16 -I F sh -c 'timeout 20 keepalived -t -f F >F.out 2>&1; echo $? >F.rc'`
	if out, err := exec.Command("unshare", "-n", "sh", "-c", script, dir).CombinedOutput(); err != nil {
		t.Logf("no network namespace: %v: %s", err, out)
		return nil
	}
	asked := map[string]string{}
	for i, text := range texts {
		rc, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(i)+".rc"))
		if err != nil {
			t.Fatal(err)
		}
		asked[text] = map[string]string{"0": "fine"}[strings.TrimSpace(string(rc))]
		if asked[text] == "" {
			asked[text] = "complains"
		}
		if os.Getenv("SHOW") != "" {
			out, _ := os.ReadFile(filepath.Join(dir, fmt.Sprint(i)+".out"))
			t.Logf("%s\n%s", text, out)
		}
	}
	return asked
}
