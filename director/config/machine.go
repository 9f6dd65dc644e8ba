package config

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/importer/keepalived"
)

// thisMachine answers what only this machine knows. Interfaces, addresses and table names are those of now.
func thisMachine() keepalived.Machine {
	m := keepalived.Machine{Program: program, Secret: secret, Table: tableNames("/usr/share/iproute2", "/etc/iproute2")}
	m.User = func(name string) bool { _, err := user.Lookup(name); return err == nil }
	m.Group = func(name string) bool { _, err := user.LookupGroup(name); return err == nil }
	if list, err := net.Interfaces(); err == nil {
		names := map[string]bool{}
		for _, i := range list {
			names[i.Name] = true
		}
		m.Interface = func(name string) bool { return names[name] }
	}
	if list, err := net.InterfaceAddrs(); err == nil {
		own := map[netip.Addr]bool{}
		for _, a := range list {
			if p, err := netip.ParsePrefix(a.String()); err == nil {
				own[p.Addr()] = true
			}
		}
		m.Own = func(a netip.Addr) bool { return own[a] }
	}
	return m
}

// secret reads a key. One that everybody may read is none.
func secret(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) //nolint:gosec // the configuration names it; a pipe must not hold it up
	if err != nil {
		return "", cause(err)
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", cause(err)
	case !info.Mode().IsRegular():
		return "", errors.New("it is no file")
	case info.Mode()&0o007 != 0:
		return "", errors.New("everybody may get at it (chmod o= it)")
	}
	data, err := io.ReadAll(io.LimitReader(f, 4096))
	return string(data), err
}

// program finds a program as a shell does, and looks whether it can be run.
func program(name string) (string, error) {
	if !strings.Contains(name, "/") {
		path, err := exec.LookPath(name)
		if err != nil {
			return "", errors.New("no folder of PATH has it")
		}
		return path, nil
	}
	info, err := os.Stat(name)
	switch {
	case err != nil:
		return "", cause(err)
	case info.IsDir():
		return "", errors.New("it is a folder")
	case info.Mode()&0o111 == 0:
		return "", errors.New("nobody may execute it (chmod +x)")
	}
	return filepath.Abs(name)
}

// tableNames reads the names of routing tables as ip(8) does; later folders win.
func tableNames(dirs ...string) func(string) (int, bool) {
	names := map[string]int{}
	for _, dir := range dirs {
		more, _ := filepath.Glob(filepath.Join(dir, "rt_tables.d", "*.conf")) // the pattern is a good one
		for _, name := range append([]string{filepath.Join(dir, "rt_tables")}, more...) {
			text, err := os.ReadFile(name)
			if err != nil {
				continue // most machines have only one of these files
			}
			for line := range strings.Lines(string(text)) {
				line, _, _ = strings.Cut(line, "#")
				if f := strings.Fields(line); len(f) == 2 {
					if n, err := strconv.ParseUint(f[0], 0, 32); err == nil {
						names[f[1]] = int(n)
					}
				}
			}
		}
	}
	return func(name string) (int, bool) { n, is := names[name]; return n, is }
}
