package fence_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/takt-ha/takt/agent/fence"
)

const fakeMetadata = `<?xml version="1.0" ?>
<resource-agent name="fence_fake" shortdesc="Fake">
<parameters>
 <parameter name="action" required="1"><content type="string" default="reboot"/></parameter>
 <parameter name="ip" required="1" obsoletes="ipaddr"><content type="string"/><shortdesc lang="en">Address</shortdesc></parameter>
 <parameter name="ipaddr" required="1" deprecated="1"><content type="string"/></parameter>
 <parameter name="plug" required="1" obsoletes="port"><content type="string"/></parameter>
 <parameter name="port" required="1" deprecated="1"><content type="string"/></parameter>
 <parameter name="password"><content type="string"/></parameter>
 <parameter name="username"><content type="string"/></parameter>
 <parameter name="power_timeout"><content type="second" default="20"/></parameter>
 <parameter name="method"><content type="select" default="onoff"><option value="onoff"/><option value="cycle"/></content></parameter>
 <parameter name="ssl"><content type="boolean"/></parameter>
</parameters>
<actions>ACTIONS</actions>
</resource-agent>`

const (
	allActions = "on off reboot status monitor list metadata validate-all"
	noStatus   = "on off reboot monitor metadata"
)

// preamble reads standard input as agents do, keeps the calls in the file
// calls, and answers metadata. The state of plug P is the file power.P, on if missing.
const preamble = `#!/bin/sh
dir=DIR
while IFS= read -r line; do
  case $line in
  action=*) action=${line#*=};; plug=*) plug=${line#*=};; nodename=*) nodename=${line#*=};; password=*) password=${line#*=};;
  esac
done
echo "$action $plug" >> $dir/calls
power() { cat $dir/power.$plug 2>/dev/null || echo on; }
set_power() { echo $1 > $dir/power.$plug; }
if [ "$action" = metadata ]; then cat $dir/metadata.xml; exit 0; fi
`

// good is what an agent that works does after the preamble.
const good = `
case $action in
on|off) set_power $action;;
reboot) set_power on;;
status) [ "$(power)" = on ] || exit 2;;
list) printf '1,node1\n2,node2\n3,twin\n4,twin\nnode5,\n';;
esac
exit 0
`

type fake struct {
	dir      string
	registry *fence.Registry
}

// install makes the agent fence_fake of a script that goes on after the preamble.
func install(t *testing.T, actions, script string) fake {
	t.Helper()
	f := fake{dir: t.TempDir()}
	var b strings.Builder
	for _, a := range strings.Fields(actions) {
		b.WriteString(`<action name="` + a + `"/>`)
	}
	f.write(t, "metadata.xml", strings.Replace(fakeMetadata, "ACTIONS", b.String(), 1), 0o644)
	f.write(t, "fence_fake", strings.Replace(preamble, "DIR", f.dir, 1)+script, 0o755)
	f.registry = fence.NewRegistry(fence.Options{Folders: []string{f.dir}, Settings: fence.Settings{
		Timeout: 20 * time.Second, Verify: 50 * time.Millisecond, Poll: 10 * time.Millisecond, Pause: time.Millisecond}})
	return f
}

func (f fake) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// calls are the actions that the agent was asked for, without metadata.
func (f fake) calls(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(f.dir, "calls"))
	if err != nil {
		t.Fatal(err)
	}
	var calls []string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if !strings.HasPrefix(line, "metadata") {
			calls = append(calls, strings.TrimSpace(line))
		}
	}
	return strings.Join(calls, ", ")
}

// device makes a device that must be free of errors; params are name=value.
func (f fake) device(t *testing.T, params ...string) *fence.Device {
	t.Helper()
	d, findings := f.registry.Device(t.Context(), primitive("f", params...), []string{"node1", "node2", "node5", "twin"})
	if d == nil {
		t.Fatalf("no device: %v", findings)
	}
	return d
}

func primitive(id string, params ...string) fence.Primitive {
	p := fence.Primitive{ID: id, Type: "fence_fake", Params: map[string]string{"ip": "192.0.2.1"}}
	for _, pair := range params {
		name, value, _ := strings.Cut(pair, "=")
		p.Params[name] = value
	}
	return p
}
