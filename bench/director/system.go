package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// system is who holds the address.
type system struct {
	name string
	argv []string // without the configuration
	conf string   // what begins it
}

func (b *bench) takt() system {
	return system{name: "takt", argv: []string{b.o.takt, "director", "run"}}
}

// keepalived runs its processes for VRRP ("-P") or for checks ("-C"), its configuration begun with conf. It is false where it is not installed.
func keepalived(part, conf string) (system, bool) {
	path, err := exec.LookPath("keepalived")
	return system{"keepalived", []string{path, "-n", part, "-l"}, conf}, err == nil
}

// start runs a director with a configuration on a machine, its files in dir.
func (s system) start(m *machine, dir, text string) (*exec.Cmd, error) {
	conf := filepath.Join(dir, s.name+"-"+m.name+".conf")
	if err := os.WriteFile(conf, []byte(s.conf+text), 0o600); err != nil {
		return nil, err
	}
	argv := append([]string(nil), s.argv...)
	if s.name == "takt" {
		argv = append(argv, "--name", m.name, "--dir", dir, conf)
	} else {
		argv = append(argv, "-f", conf, "-p", conf+".pid", "-r", conf+".vrrp.pid", "-c", conf+".check.pid")
	}
	cmd := command(argv...)
	log, err := os.Create(conf + ".log")
	if err != nil {
		return nil, err
	}
	defer log.Close()
	cmd.Stdout, cmd.Stderr = log, log
	return cmd, m.do(cmd.Start)
}

// instance is the configuration of one address.
func instance(priority int, advert time.Duration) string {
	return fmt.Sprintf("vrrp_instance v {\n state BACKUP\n interface eth0\n version 3\n virtual_router_id 51\n priority %d\n advert_int %g\n virtual_ipaddress {\n %s/24\n }\n}\n",
		priority, advert.Seconds(), virtual)
}
