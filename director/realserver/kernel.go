package realserver

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/netif"
)

// look asks the kernel.
func look(keys []string) (f Facts, err error) {
	links, err := netif.Links()
	if err != nil {
		return f, err
	}
	names := map[int]string{}
	for _, l := range links {
		names[l.Index] = l.Name
		f.Links = append(f.Links, Link{Name: l.Name, Up: l.Up, Quiet: l.Loopback || l.NoARP})
	}
	addresses, err := netif.Addresses()
	if err != nil {
		return f, err
	}
	for _, a := range addresses {
		f.Addresses = append(f.Addresses, Held{Prefix: a.Prefix, Link: names[a.Index], Label: a.Label})
	}
	f.Settings = map[string]int{}
	for _, k := range keys {
		n, err := netif.Sysctl(k)
		if err == nil {
			f.Settings[k] = n
		} else if !errors.Is(err, fs.ErrNotExist) {
			return f, err
		}
	}
	return f, nil
}

// carryOut makes a step. One that is made already is no error.
func carryOut(s Step) error {
	switch s.Do {
	case Make:
		return netif.AddLink(s.Link, s.Kind)
	case Set:
		return netif.SetSysctl(s.Key, s.Value)
	}
	l, err := netif.LinkByName(s.Link)
	if err != nil {
		return err
	}
	if s.Do == Up {
		return netif.SetUp(l.Index)
	}
	return netif.Add(s.address(l.Index))
}

// address is what Add puts on a link. Its own traffic does not come from there: an IPv4 address has the scope of this host, an
// IPv6 address is deprecated, and so the last choice (RFC 6724, section 5).
func (s Step) address(index int) netif.Address {
	a := netif.Address{Index: index, Prefix: s.Prefix, Label: s.Label, Scope: unix.RT_SCOPE_HOST, NoDAD: true, Preferred: -1}
	if s.Prefix.Addr().Is6() {
		a.Scope, a.Preferred = unix.RT_SCOPE_UNIVERSE, 0
	}
	return a
}

// takeBack undoes a step. What is gone already is no error.
func takeBack(s Step) error {
	if s.Do == Set {
		err := netif.SetSysctl(s.Key, s.Before)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	links, err := netif.Links()
	if err != nil {
		return err
	}
	for _, l := range links {
		switch {
		case l.Name != s.Link:
		case s.Do == Add:
			return netif.Remove(s.address(l.Index))
		case s.Do == Up:
			return netif.SetDown(l.Index)
		default: // the end of a tunnel that a module brought along goes with the module
			if err := netif.SetDown(l.Index); err != nil {
				return err
			}
			return netif.RemoveLink(l.Index)
		}
	}
	return nil
}

// String is a step in words.
func (s Step) String() string {
	switch s.Do {
	case Make:
		return "interface " + s.Link + " (" + s.Kind + ")"
	case Up:
		return "interface " + s.Link
	case Set:
		return sysctlName(s.Key)
	}
	return fmt.Sprintf("%s on %s", s.Prefix, s.Link)
}
