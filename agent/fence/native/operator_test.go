package native_test

import (
	"bytes"
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/agent/fence/native"
)

// teller is a program that keeps how it was called.
func teller(t *testing.T, exit string) (path, kept string) {
	t.Helper()
	dir := t.TempDir()
	path, kept = filepath.Join(dir, "tell"), filepath.Join(dir, "kept")
	script := "#!/bin/sh\n{ echo \"called $*\"; cat; } >> " + kept + "\nexit " + exit + "\n"
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return path, kept
}

func TestOperator(t *testing.T) {
	var journal bytes.Buffer
	r := registry(t, native.Options{Node: "n1", Log: slog.New(slog.NewTextHandler(&journal, nil))})
	program, told := teller(t, "0")
	sendmail, mailed := teller(t, "0")
	d := device(t, r, "operator", "command="+program, "mail=ops@example.com, night@example.com", "sendmail="+sendmail, "pcmk_off_timeout=3s", "pcmk_off_retries=1")
	for range 2 { // the second time nobody is called anew
		res := d.Do(t.Context(), fence.Off, "n2")
		if res.OK || res.Proof != fence.NoProof || !strings.Contains(res.Reason, "takt fence confirm n2") || res.Attempts[0].Status != agent.TimedOut || res.Duration < 2*time.Second {
			t.Fatalf("%+v", res)
		}
	}
	words, err := os.ReadFile(told)
	if text := string(words); err != nil || strings.Count(text, "called n2\n") != 1 || !strings.Contains(text, "takt fence confirm n2") {
		t.Errorf("told %q, %v", text, err)
	}
	mail, err := os.ReadFile(mailed)
	if text := string(mail); err != nil || !strings.Contains(text, "called -i -- ops@example.com night@example.com\nTo: ops@example.com, night@example.com\nSubject: switch off n2 (asked by n1)\n\n") {
		t.Errorf("mailed %q, %v", text, err)
	}
	if strings.Count(journal.String(), "takt fence confirm") != 2 {
		t.Errorf("the journal: %s", journal.String())
	}
	if res := d.Do(t.Context(), fence.Monitor, ""); !res.OK {
		t.Errorf("%+v", res)
	}
}

// A confirmation reaches the fencer, which takes the command back: the agent ends at
// once, and never with success.
func TestOperatorIsTakenBack(t *testing.T) {
	d := device(t, registry(t, native.Options{}), "operator")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if res := d.Do(ctx, fence.Reboot, "n2"); res.OK || res.Proof != fence.NoProof || res.Duration > 3*time.Second {
		t.Errorf("%+v", res)
	}
}

func TestOperatorFindings(t *testing.T) {
	r := registry(t, native.Options{})
	failing, _ := teller(t, "7")
	for _, c := range []struct {
		params   string
		severity fence.Severity
		want     string
	}{
		{"", fence.Warning, "nobody is told but the journal"}, {"", fence.Warning, "by a person's word alone"},
		{"mail=-bad", fence.Error, "is no address"}, {"again=soon", fence.Error, "number of seconds"},
	} {
		_, findings := r.Device(t.Context(), primitive("operator", c.params), []string{"n1", "n2"})
		found := false
		for _, f := range findings {
			found = found || f.Severity == c.severity && strings.Contains(f.Text, c.want)
		}
		if !found {
			t.Errorf("%s: nothing with %q: %v", c.params, c.want, findings)
		}
	}
	d := device(t, r, "operator", "command=/nowhere/tell")
	if found := d.Inspect(t.Context()); fence.Usable(found) || d.Do(t.Context(), fence.Monitor, "").OK {
		t.Errorf("a missing program: %v", found)
	}
	d = device(t, r, "operator", "command="+failing, "pcmk_off_timeout=3s", "pcmk_off_retries=1")
	if res := d.Do(t.Context(), fence.Off, "n2"); res.OK || !strings.Contains(res.Reason, "the alert has failed") || !strings.Contains(res.Reason, "exit status 7") {
		t.Errorf("%+v", res)
	}
}
