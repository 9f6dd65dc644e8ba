package native_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/agent/fence/native"
)

func run(name, stdin string, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = native.Main(native.Prefix+name, args, strings.NewReader(stdin), &out, &err)
	return code, out.String(), err.String()
}

func TestAgentName(t *testing.T) {
	for _, c := range []struct {
		argv string
		name string
		rest string
	}{
		{"/usr/sbin/fence_takt_lab -o off", "fence_takt_lab", "-o off"},
		{"takt fence-agent lab -o off", "fence_takt_lab", "-o off"},
		{"takt fence-agent fence_takt_lab", "fence_takt_lab", ""},
		{"takt fence-agent --help", "", ""}, {"takt fence-agent", "", ""}, {"takt status", "", ""}, {"/usr/sbin/fence_apc", "", ""},
	} {
		name, rest, ok := native.AgentName(strings.Fields(c.argv))
		if name != c.name || strings.Join(rest, " ") != c.rest || ok != (name != "") {
			t.Errorf("%s: %q %q %v", c.argv, name, rest, ok)
		}
	}
}

// The binary under an agent's name keeps the fence agent API.
func TestMain(t *testing.T) {
	s := newPowerStrip(t)
	socket := "socket=" + s.socket + "\n"
	for _, c := range []struct {
		name, stdin, args string
		code              int
		out, err, asked   string
	}{
		{"status on", "action=status\nplug=n1\n" + socket, "", 0, "Status: ON\n", "", "status n1"},
		{"off", "# a comment\n\naction = off\nport=n1\nverbose=1\n" + socket, "", 0, "", "", "off n1"},
		{"status off", "action=status\nnodename=n1\n" + socket, "", 2, "Status: OFF\n", "", "status n1"},
		{"reboot is the default", "plug=n1\n" + socket, "", 0, "", "", "off n1, status n1, on n1"},
		{"list", "action=list\n" + socket, "", 0, "n1,\nn2,\n", "", "list"},
		{"options", "", "--action=off --plug n1 --socket=" + s.socket, 0, "", "", "off n1"},
		{"short options", "", "-o status -n n1 -v --socket " + s.socket, 2, "Status: OFF\n", "", "status n1"},
		{"no plug", "action=off\n" + socket, "", 1, "", "needs plug", ""},
		{"unknown action", "action=explode\n" + socket, "", 1, "", "has no action", ""},
		{"unknown parameter", "action=monitor\nspeed=9\n" + socket, "", 0, "", "there is no parameter", "list"},
		{"unknown option", "", "--speed=9", 1, "", "there is no option --speed", ""},
		{"no value", "", "--action", 1, "", "needs a value", ""},
		{"no option", "", "off", 1, "", "is no option", ""},
	} {
		code, out, err := run("lab", c.stdin, strings.Fields(c.args)...)
		if asked := s.requests(); code != c.code || out != c.out || asked != c.asked || !strings.Contains(err, c.err) || c.err == "" && err != "" {
			t.Errorf("%s: exit status %d, %q, %q, asked %q", c.name, code, out, err, asked)
		}
	}
	if code, _, err := run("moon", "action=off\n"); code != 1 || !strings.Contains(err, "fence_takt_lab") {
		t.Errorf("an unknown agent: %d, %s", code, err)
	}
	if code, out, _ := run("lab", "", "-h"); code != 0 || !strings.Contains(out, "--socket") {
		t.Errorf("help: %d, %s", code, out)
	}
}

// What the agents print as metadata is what they use inside Takt.
func TestMetadata(t *testing.T) {
	for _, a := range native.All(native.Options{}) {
		want, err := a.Metadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, action := range []string{"metadata", "meta-data"} {
			code, out, _ := run(strings.TrimPrefix(a.Name(), native.Prefix), "action="+action+"\n")
			got, err := fence.ParseMetadata([]byte(out))
			if err != nil || code != 0 {
				t.Fatalf("%s: %d, %v\n%s", a.Name(), code, err, out)
			}
			got.Waits, got.Resets, got.Joins = want.Waits, want.Resets, want.Joins
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s:\ngot  %+v\nwant %+v", a.Name(), got, want)
			}
		}
	}
}
