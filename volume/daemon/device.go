package daemon

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/control"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/block"
	"github.com/takt-ha/takt/volume/front/fuse"
	"github.com/takt-ha/takt/volume/front/knbd"
	"github.com/takt-ha/takt/volume/front/ublk"
)

// fronts are the ways to a block device, the fastest first.
func fronts() []block.Front { return []block.Front{ublk.Front{}, fuse.Front{}, knbd.Front{}} }

// device is the volume's block device: it is there while the volume is primary.
//
//	          primary                    size changed
//	absent ─────────────▶ attached ◀──────────────────┐
//	   ▲   ◀─────────────    │  └────────────────────┘
//	   │    not in use and secondary, or down
//	   └──── the role was lost (forced): its users get errors
type device struct {
	volume block.Volume // mu
	folder string       // of links by name
	dev    front.Device
	mode   string // the configuration's front

	others atomic.Bool // another node was primary, or is, since this process began

	mu    sync.Mutex // held while a device comes or goes
	size  int64      // bytes, as the device has it
	data  string     // the generation that the device's users know
	now   block.Attached
	stays error  // why the device has not followed
	close func() // of front.Device.Open

	said struct {
		sync.Mutex
		path, front, why string
	}
}

func newDevice(o Options, dev front.Device, generation func() string) *device {
	d := &device{dev: dev, folder: o.Paths.ByName, mode: o.Config.Front}
	d.volume = block.Volume{Name: o.Config.Name, Run: o.Paths.Run, Socket: o.Paths.NBD, Log: o.Log, Generation: generation}
	d.say("", "nbd", "")
	return d
}

// clean removes what a killed process has left.
func (d *device) clean() {
	d.mu.Lock()
	defer d.mu.Unlock()
	f, _ := d.choiceLocked()
	d.volume.Resume = f != nil && f.Name() == "kernel-nbd"
	d.say("", "nbd", d.idleLocked())
	for _, f := range fronts() {
		if err := f.Clean(d.volume); err != nil {
			d.volume.Log.Warn("what an earlier process of the volume has left could not be removed", "front", f.Name(), "error", err)
		}
	}
	if err := block.Unlink(d.folder, d.volume.Name); err != nil {
		d.volume.Log.Warn("the link of an earlier process of the volume could not be removed", "error", err)
	}
}

// choiceLocked says what attach would try first, and why; d.mu is held.
func (d *device) choiceLocked() (block.Front, string) {
	return block.Choose(d.mode, fronts(), func(block.Front) error { return nil })
}

// idleLocked says why there is no device while the volume is not primary here; d.mu is held.
func (d *device) idleLocked() string {
	f, why := d.choiceLocked()
	switch {
	case f == nil:
		return why
	case why == "":
		return "it comes when the volume is primary here, by " + f.Name()
	}
	return "it comes when the volume is primary here, by " + f.Name() + " (" + why + ")"
}

// attach makes the device, by the best front end that works. Without one the volume is usable by
// its NBD socket; say tells why. before is the generation that the data had before this node became primary.
func (d *device) attach(before string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now != nil {
		return
	}
	d.volume.Before, d.volume.Resume = before, d.volume.Resume && !d.others.Load()
	var path string
	f, why := block.Choose(d.mode, fronts(), func(f block.Front) (err error) {
		path, err = d.attachLocked(f)
		return err
	})
	if f == nil {
		if d.say("", "nbd", why) {
			d.volume.Log.Warn("no block device", "why", why)
		}
		return
	}
	d.volume.Log.Info("the block device is there", "device", d.now.Path(), "link", path, "front", f.Name(), "why", why)
	d.say(path, f.Name(), why)
}

// attachLocked makes the device by one front end; d.mu is held.
func (d *device) attachLocked(f block.Front) (string, error) {
	size := d.dev.Size()
	if size == 0 {
		return "", errors.New("the size of the volume is not known yet")
	}
	done, err := d.dev.Open(true)
	if err != nil {
		return "", err
	}
	a, err := f.Attach(d.volume, d.dev)
	if err != nil {
		done()
		return "", err
	}
	path, err := block.Link(d.folder, d.volume.Name, a.Path())
	if err != nil {
		err = errors.Join(err, a.Detach())
		done()
		return "", err
	}
	d.stays = nil
	d.now, d.close, d.size, d.data = a, done, size, d.volume.Generation()
	return path, nil
}

const (
	// freeLimit is how long short-lived users (udev) are waited for.
	freeLimit = time.Second
	// writeLimit is how long the kernel may take to write back what it holds.
	writeLimit = 30 * time.Second
)

// detach takes the device away unless somebody uses it. by force: although; users get errors.
func (d *device) detach(op string, force bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.now == nil {
		return nil
	}
	if !force {
		if err := d.freeLocked(op); err != nil {
			return err
		}
	}
	err := errors.Join(block.Unlink(d.folder, d.volume.Name), d.now.Detach())
	d.close()
	d.now, d.close = nil, nil
	d.say("", "nbd", d.idleLocked())
	if err != nil {
		d.volume.Log.Warn("the block device did not go cleanly", "error", err)
	}
	return nil
}

// end takes the device away because the process ends: cleanly if nobody uses it.
func (d *device) end() {
	if err := d.detach("end", false); err != nil {
		d.volume.Log.Warn("the volume's process ends under users of its block device; they get errors", "error", err)
		_ = d.detach("end", true)
	}
}

// freeLocked returns when nobody uses the device and nothing of it is left in memory; d.mu is held.
func (d *device) freeLocked(op string) error {
	users, err := block.AwaitFree(d.now.Path(), freeLimit)
	if err != nil {
		return errs.E(op, errs.Other, d.volume.Name, "", err)
	}
	if len(users) > 0 {
		return errs.E(op, errs.Conflict, d.volume.Name, "Unmount it or stop what uses it, then try again.",
			errors.New(d.now.Path()+" is in use: "+strings.Join(users, "; ")))
	}
	if err := block.WriteBack(d.now.Path(), writeLimit); err != nil {
		return errs.E(op, errs.Timeout, d.volume.Name, "\"takt volume status\" says what it waits for.", err)
	}
	return nil
}

// follow adjusts the device to the volume's size and generation. What it returns has been logged.
func (d *device) follow() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	size, data := d.dev.Size(), d.volume.Generation()
	if d.now == nil || size == d.size && data == d.data {
		return d.stays
	}
	d.size, d.data = size, data
	if d.stays = d.now.Follow(); d.stays != nil {
		d.volume.Log.Warn("the block device does not follow the volume", "device", d.now.Path(), "error", d.stays)
	}
	return d.stays
}

// say notes what status tells, and whether that is news.
func (d *device) say(path, front, why string) (news bool) {
	d.said.Lock()
	defer d.said.Unlock()
	news = d.said.path != path || d.said.front != front || d.said.why != why
	d.said.path, d.said.front, d.said.why = path, front, why
	return news
}

// status fills in what there is and why; it never waits.
func (d *device) status(s *volume.Status) {
	d.said.Lock()
	defer d.said.Unlock()
	s.Device, s.Front, s.FrontWhy = d.said.path, d.said.front, d.said.why
}

// keep lets the device follow role and size, also where a change came by itself.
func (d *Daemon) keep(ctx context.Context) {
	for {
		select {
		case <-d.changed:
		case <-ctx.Done():
			return
		}
		if free, err := d.changing(ctx, "follow the role"); err == nil {
			d.followRole("")
			free()
		}
	}
}

func (d *Daemon) followRole(before string) {
	if d.replica.Status().Role == volume.Primary {
		d.device.attach(before)
		_ = d.device.follow() // nobody asked
		return
	}
	d.nbd.HangUp()                               // who could write before must not write later what it remembers
	_ = d.device.detach("follow the role", true) // by force nothing can fail
}

// changing makes the caller the only one who changes the role or the device, until free is called.
func (d *Daemon) changing(ctx context.Context, op string) (free func(), err error) {
	select {
	case d.turn <- struct{}{}:
		return func() { <-d.turn }, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(turnLimit):
		err = errors.New("another change of the role is under way")
	}
	return nil, errs.E(op, errs.Conflict, d.o.Config.Name, "Wait for it, then try again.", err)
}

// turnLimit is how long a change of the role waits for another one.
const turnLimit = 5 * time.Second

// askRole does a verb that changes the role: there is a block device when the volume is primary, and none before it is not.
func (d *Daemon) askRole(ctx context.Context, op string, a control.Ask, ask func() (string, error)) (string, error) {
	free, err := d.changing(ctx, op)
	if err != nil {
		return "", err
	}
	defer free()
	if a.Verb != "primary" {
		if err := d.device.detach(op, a.Force); err != nil {
			return "", err
		}
	}
	now := d.replica.Status()
	if a.Verb == "primary" && now.Role != volume.Primary {
		d.nbd.HangUp() // of an earlier time as primary, if its end was not seen
	}
	before := now.Current
	text, err := ask()
	d.followRole(before) // if the verb failed, the device comes back
	return text, naming(err, d.nbd.Clients)
}

// askResize returns when the block device has the new size, too, so that a file system can be grown next.
func (d *Daemon) askResize(ask func() (string, error)) (string, error) {
	text, err := ask()
	if err != nil {
		return text, err
	}
	if err := d.device.follow(); err != nil {
		text += ", but not its block device: " + err.Error()
	}
	return text, nil
}

// poke makes keep look; it never blocks.
func (d *Daemon) poke() {
	select {
	case d.changed <- struct{}{}:
	default:
	}
}
