package realserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/netif"
	"github.com/takt-ha/takt/internal/osfs"
)

// Host is this machine as a real server: the network namespace of the calling thread, and the record of what was changed in it.
type Host struct {
	path  string // of the record
	boot  string
	lock  *os.File
	state State
}

// Open reads the record in a folder, which a reboot should empty: /run/takt. Each network namespace has its own. It waits for whoever
// else has it open; with change it is made.
func Open(dir string, change bool) (*Host, error) {
	fail := func(err error) (*Host, error) {
		kind, hint := errs.Other, ""
		if errors.Is(err, fs.ErrPermission) {
			kind, hint = errs.Permission, "Be root."
		}
		return nil, errs.E("open record", kind, dir, hint, err)
	}
	space, err := netif.Namespace()
	if err != nil {
		return fail(err)
	}
	boot, err := osfs.Boot()
	if err != nil {
		return fail(err)
	}
	name := "realserver.json"
	if space != 1 {
		name = fmt.Sprintf("realserver-%d.json", space)
	}
	h := &Host{path: filepath.Join(dir, name), boot: boot}
	if change {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // sockets in it have their own permissions
			return fail(err)
		}
		if h.lock, err = os.OpenFile(filepath.Join(dir, "realserver.lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600); err != nil {
			return fail(err)
		}
		if err := unix.Flock(int(h.lock.Fd()), unix.LOCK_EX); err != nil {
			h.Close()
			return fail(err)
		}
	}
	if err := h.read(); err != nil {
		h.Close()
		return fail(err)
	}
	return h, nil
}

// Close lets others at the record.
func (h *Host) Close() {
	if h.lock != nil {
		_ = h.lock.Close()
	}
}

// read takes the record; one of an earlier boot says nothing about this one.
func (h *Host) read() error {
	h.state = State{Version: 1, Boot: h.boot}
	data, err := os.ReadFile(h.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var s State
	switch err := json.Unmarshal(data, &s); {
	case err != nil:
		return errs.E("read record", errs.Corrupt, h.path, "Remove the file; what an earlier apply made has to be taken away by hand then.", err)
	case s.Version != 1:
		return errs.E("read record", errs.Stale, h.path, "Use the program that wrote it to take away what it made, then this one.", fmt.Errorf("its version is %d, not 1", s.Version))
	case s.Boot == h.boot:
		h.state = s
	}
	return nil
}

// write keeps the record; without anything in it there is none.
func (h *Host) write() error {
	if len(h.state.Steps) == 0 && len(h.state.Wants) == 0 {
		if err := os.Remove(h.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.MarshalIndent(h.state, "", "\t")
	if err != nil {
		return err
	}
	return osfs.WriteFile(osfs.OS{}, "realserver", h.path, append(data, '\n'), 0o644)
}

// Wants returns what was asked for by Apply and not taken back by Remove.
func (h *Host) Wants() []Want { return h.state.Wants }

// Show says how what is wanted stands.
func (h *Host) Show(wants []Want) ([]Item, error) {
	f, err := look(Keys(wants))
	if err != nil {
		return nil, err
	}
	return Plan(wants, f, h.state), nil
}

// Apply brings about what is wanted, beside what earlier calls have. It returns how all of that stands, and the names of what it changed.
// At the first failure it stops: a machine that is not silent about an address does not get it.
func (h *Host) Apply(wants []Want) (items []Item, changed []string, err error) {
	before, made := h.state, 0
	defer func() {
		if err != nil && made == 0 { // nothing was changed, so nothing is asked for
			h.state = before
			err = errors.Join(err, h.write())
		}
	}()
	if err := quiet(wants); err != nil {
		return nil, nil, err
	}
	h.state.Wants = merge(h.state.Wants, wants)
	for _, kind := range []string{"interface", "setting", "address"} {
		if items, err = h.Show(h.state.Wants); err != nil {
			return items, changed, err
		}
		var steps []Step
		for _, i := range items {
			if i.Kind == kind && len(i.steps) > 0 {
				steps, changed = append(steps, i.steps...), append(changed, i.Name)
			}
		}
		h.state = h.state.noted(steps)
		if err := h.write(); err != nil {
			return items, changed, errs.E("keep record", errs.Other, h.path, "Nothing more was changed.", err)
		}
		for _, s := range steps {
			if err := carryOut(s); err != nil {
				return items, changed, explain("apply", s, err)
			}
			made++
		}
	}
	items, err = h.Show(h.state.Wants)
	return items, changed, err
}

// quiet refuses links where neighbours would be told of the address.
func quiet(wants []Want) error {
	f, err := look(nil)
	if err != nil {
		return err
	}
	for _, w := range wants {
		if l, there := f.link(w.Link); there && !l.Quiet {
			return errs.E("apply", errs.Invalid, w.Link, "", errors.New(loud))
		}
	}
	return nil
}

// Remove undoes what was made for wants that drop accepts, and is needed for no other. It returns all that it looked at; what could
// not be undone stays in the record, as an error.
func (h *Host) Remove(drop func(Want) bool) ([]Undoing, error) {
	keep := slices.DeleteFunc(slices.Clone(h.state.Wants), drop)
	var keys []string
	for _, s := range h.state.Steps {
		if s.Do == Set {
			keys = append(keys, s.Key)
		}
	}
	f, err := look(keys)
	if err != nil {
		return nil, err
	}
	list := Undo(h.state, f, keep)
	var failed error
	h.state.Wants = keep
	for _, u := range list {
		if u.Leave == "" && !u.Gone {
			if err := takeBack(u.Step); err != nil {
				failed = errors.Join(failed, explain("remove", u.Step, err))
				continue
			}
		}
		h.state.Steps = slices.DeleteFunc(slices.Clone(h.state.Steps), u.Step.is)
	}
	return list, errors.Join(failed, h.write())
}

func explain(op string, s Step, err error) error {
	kind, hint := errs.Other, "What was changed before stays; the same command goes on from there."
	switch {
	case errors.Is(err, unix.EACCES) && s.Do == Add && s.Prefix.Addr().Is6():
		hint = "IPv6 is switched off there: sysctl net.ipv6.conf." + s.Link + ".disable_ipv6=0."
	case errors.Is(err, unix.EROFS):
		kind, hint = errs.Permission, "The kernel's settings cannot be written in here: do it where they can, on the container's host."
	case errors.Is(err, fs.ErrPermission):
		kind, hint = errs.Permission, "Be root."
	}
	return errs.E(op, kind, s.String(), hint, err)
}

// Own returns the interfaces of the addresses of this machine.
func Own() (func(netip.Addr) string, error) {
	f, err := look(nil)
	if err != nil {
		return nil, err
	}
	own := map[netip.Addr]string{}
	for _, a := range f.Addresses {
		own[a.Prefix.Addr()] = a.Link
	}
	return func(a netip.Addr) string { return own[a.WithZone("")] }, nil
}

// Facing guesses where neighbours ask for an address: where its network is, or else where the default route leads. "" is nobody's guess.
func Facing(vip netip.Addr) string {
	index, _, err := netif.Home(vip)
	if err != nil {
		if index, err = netif.DefaultLink(vip.Is6()); err != nil || index == 0 {
			return ""
		}
	}
	l, err := netif.LinkByIndex(index)
	if err != nil || l.Loopback {
		return ""
	}
	return l.Name
}
