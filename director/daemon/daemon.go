// Package daemon is the process of one director: it reads the configuration, and wires VRRP, checks, tracking, the table of servers and the
// kernel's forwarding to each other.
//
//	keepalived.conf ─▶ Load ─▶ Daemon ─┬─▶ Router (VRRP) ◀── track
//	                                   ├─▶ check ─▶ pool ─▶ forwarding ─▶ IPVS or nftables
//	                                   └─▶ programs, pipes, mail, status
//
// A reload takes a new configuration as a whole, or refuses it and goes on with the old one. When the process is killed, addresses and
// forwarding stay as they are; the next one takes them over.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/check"
	"github.com/takt-ha/takt/director/pool"
	"github.com/takt-ha/takt/director/track"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/director/vrrp/router"
	"github.com/takt-ha/takt/internal/errs"
)

// Options say what a director is made of.
type Options struct {
	Name string                              // of this director on this machine: letters, digits and dashes
	Dir  string                              // for the socket and the lock: /run/takt, or below another folder
	Load func() (*director.Config, error)    // reads the configuration; an error refuses all of it
	Ways []Named                             // of forwarding, the best first
	VRRP func(RouterOptions) (Router, error) // nil: RunRouter
	Log  *slog.Logger
}

// Router is VRRP: who holds the addresses.
type Router interface {
	// Reload takes a configuration; instances that stay keep their state.
	Reload(*director.Config) error
	// Track tells how something is that priorities depend on.
	Track(vrrp.Track)
	// Status is how the instances stand.
	Status() (router.Status, error)
	// Close gives up in order: the other routers take over at once.
	Close() error
}

// RouterOptions are what a router is made with.
type RouterOptions struct {
	Config *director.Config
	Notify func(vrrp.Notify) // is told of changes, in order; it does not block
	Log    *slog.Logger
}

// RunRouter is VRRP on this machine's interfaces, in a small real-time process of its own: nothing that the director does
// makes adverts late.
func RunRouter(o RouterOptions) (Router, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, errs.E("start VRRP", errs.Other, "", "", err)
	}
	return router.Spawn(router.Options{Config: o.Config, Log: o.Log, Notify: o.Notify}, exe, "director", "vrrp")
}

// Socket is where a director listens.
func Socket(dir, name string) string { return filepath.Join(dir, "director-"+name+".sock") }

// Daemon is a director that runs.
type Daemon struct {
	o       Options
	begun   time.Time
	checks  *check.Runner
	watcher *track.Watcher
	router  Router
	forward *forwarding
	run     *programs
	pipes   *pipes
	readers *readers
	mail    *mailer
	stop    func()        // ends it in order
	ended   chan struct{} // closed when all is given up
	read    chan struct{} // a configuration was read: much memory is free again

	reloading sync.Mutex // one after the other
	over      bool       // guarded by reloading: no more of them

	mu     sync.Mutex
	static *router.Static               // guarded by mu; nil: nothing static was ever asked for
	conf   *director.Config             // guarded by mu
	pool   *pool.Machine                // guarded by mu
	loaded time.Time                    // guarded by mu
	roles  map[string]director.SyncRole // guarded by mu; of instances, as VRRP said last
}

// Run runs a director until ctx ends; then it gives everything up in order. ready is called once it works. signals is asked for a
// reload by each value.
func Run(ctx context.Context, o Options, reload <-chan os.Signal, ready func()) error {
	unlock, err := lock(o)
	if err != nil {
		return err
	}
	defer unlock()
	c, err := o.Load()
	if err != nil {
		return err
	}
	l, err := listen(o) // before anything is touched: what an earlier process left must not suffer from a full disk
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d := &Daemon{o: o, begun: time.Now(), stop: stop, ended: make(chan struct{}), read: make(chan struct{}, 1), conf: c, pool: pool.New(), roles: map[string]director.SyncRole{}, run: newPrograms(o.Log), pipes: newPipes(o.Log), readers: newReaders(o.Log), mail: newMailer(o.Log)}
	if !c.Global.Startup.None() {
		if err := runOne(ctx, &c.Global, c.Global.Startup, orDefault(c.Global.StartupLimit, 10*time.Second)); err != nil {
			o.Log.Error("the startup script failed", "program", c.Global.Startup.Args[0], "error", err)
		}
	}
	if err := d.begin(c); err != nil {
		return errors.Join(err, l.Close(), d.end(false))
	}
	failed := make(chan error, 1)
	var work sync.WaitGroup
	serving, silent := context.WithCancel(context.WithoutCancel(ctx))
	defer silent()
	work.Go(func() { failed <- serve(serving, l, d, o.Log) })
	work.Go(func() { d.followAddresses(ctx) })
	ready()
	d.tidy()
	err = d.wait(ctx, reload, failed)
	stop()
	err = errors.Join(err, d.end(true))
	close(d.ended)
	silent()
	work.Wait()
	return err
}

func orDefault(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}

// lock keeps a second process of the same director away: both would take the other's rules for leftovers.
func lock(o Options) (unlock func(), err error) {
	err = os.MkdirAll(o.Dir, 0o755) //nolint:gosec // sockets in it have their own permissions
	var f *os.File
	if err == nil {
		f, err = os.OpenFile(filepath.Join(o.Dir, "director-"+o.Name+".lock"), os.O_CREATE|os.O_RDWR, 0o600)
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, errs.E("start", errs.Permission, "director "+o.Name, "Be root, or name a folder of your own: --dir.", err)
	case err != nil:
		return nil, errs.E("start", errs.Other, "director "+o.Name, "Its lock and its socket need a folder with room for them: --dir.", err)
	}
	for try := 0; ; try++ { // one that was stopped may be about to end
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			break
		}
		if try < 25 {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		f.Close()
		return nil, errs.E("start", errs.Exists, "director "+o.Name, "See takt director status; for a second one give --name.", errors.New("it runs already"))
	}
	return func() { f.Close() }, nil
}

// begin starts all parts with the first configuration.
func (d *Daemon) begin(c *director.Config) error {
	if err := d.openPipes(c); err != nil {
		return err
	}
	d.readers.set(&c.Global)
	if err := d.setStatic(c.Static); err != nil {
		return err
	}
	d.forward = newForwarding(d.o.Ways, d.o.Log)
	d.checks = check.NewRunner(func(r pool.Checked) { d.feed(r) }, d.o.Log)
	d.watcher = track.New(d.onTrack, d.o.Log)
	if err := d.takeServers(c); err != nil {
		return err
	}
	if len(c.Instances) > 0 {
		if err := d.startRouter(c); err != nil {
			return err
		}
	}
	d.watcher.Set(c)
	return nil
}

func (d *Daemon) startRouter(c *director.Config) error {
	start := d.o.VRRP
	if start == nil {
		start = RunRouter
	}
	r, err := start(RouterOptions{Config: c, Notify: d.onVRRP, Log: d.o.Log})
	if err != nil {
		return err
	}
	d.mu.Lock()
	d.router = r
	d.mu.Unlock()
	return nil
}

// takeServers gives checks and pool a configuration. Results of new checks wait until the pool knows them.
func (d *Daemon) takeServers(c *director.Config) error {
	warnings := NotRouted(c) // before the lock: it asks the kernel
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.checks.Set(c); err != nil {
		return err
	}
	d.conf, d.loaded = c, time.Now()
	d.forward.tune(d.tuning())
	d.do(d.pool.Step(pool.Reload{Servers: c.Servers}))
	for _, u := range warnings {
		d.o.Log.Warn(u.Words, "at", u.Pos.String())
	}
	return nil
}

// incomplete is a reload whose configuration is in force, but for what the error says.
type incomplete struct{ error }

func (i incomplete) Unwrap() error { return i.error }

// Reload reads the configuration again and takes it over, or refuses it as a whole. What the machine does not do of a configuration
// that was taken over is told, as incomplete.
func (d *Daemon) Reload() error {
	d.reloading.Lock()
	defer d.reloading.Unlock()
	if d.over {
		return errs.E("reload", errs.Unavailable, "director "+d.o.Name, "", errors.New("it is about to end"))
	}
	c, err := d.o.Load()
	if err != nil {
		return err
	}
	if idle(c) && !idle(d.conf) { // only takeServers changes it, below
		return errs.E("reload", errs.Invalid, "", "Is the file whole? To give everything up: takt director stop.",
			errors.New("the new configuration has no vrrp_instance, no virtual_server and nothing static"))
	}
	if err := d.openPipes(c); err != nil {
		return err
	}
	if err := d.takeServers(c); err != nil {
		return err
	}
	failed := d.setStatic(c.Static)
	d.mu.Lock()
	router := d.router
	d.mu.Unlock()
	switch {
	case router != nil:
		err = router.Reload(c)
	case len(c.Instances) > 0:
		err = d.startRouter(c)
	}
	if err != nil {
		failed = errors.Join(failed, fmt.Errorf("VRRP does not follow: %w", err))
	}
	d.watcher.Set(c)
	d.readers.set(&c.Global)
	d.pipes.keep(pipePaths(c)...)
	if c.Global.ReloadLines && router != nil {
		d.tellStates(&c.Global, router)
	}
	d.tidy()
	if failed != nil {
		return incomplete{errs.E("reload", errs.Other, "director "+d.o.Name, "The rest of the new configuration is in force. Reload again once this is mended.", failed)}
	}
	d.o.Log.Info("a new configuration is in force")
	return nil
}

// idle says whether a configuration asks for nothing: a file that is being written often looks so.
func idle(c *director.Config) bool {
	return len(c.Instances)+len(c.Servers)+len(c.Static.Addresses)+len(c.Static.Routes)+len(c.Static.Rules) == 0
}

// tidy asks for memory to be given back, a moment later: to read a large configuration takes several times of what is kept of it.
func (d *Daemon) tidy() {
	select {
	case d.read <- struct{}{}:
	default:
	}
}

// wait reloads until the end.
func (d *Daemon) wait(ctx context.Context, reload <-chan os.Signal, failed <-chan error) error {
	for {
		select {
		case <-reload:
			switch err := d.Reload(); {
			case errors.As(err, new(incomplete)):
				d.o.Log.Error("the new configuration is in force in part", "error", err)
			case err != nil:
				d.o.Log.Error("the new configuration is refused; the old one stays in force", "error", err)
			}
		case <-d.read:
			debug.FreeOSMemory()
		case err := <-failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// endLimit is how long programs of the end may take.
const endLimit = 10 * time.Second

// mailLimit is how long the end waits for mails after that. A mail server behind an address of this director cannot be reached any more.
const mailLimit = time.Second

// end gives everything up: first the addresses, so that the others take over at once.
func (d *Daemon) end(remove bool) error {
	d.reloading.Lock()
	d.over = true
	d.reloading.Unlock()
	var failed error
	if d.router != nil {
		failed = d.router.Close()
	}
	if d.watcher != nil {
		d.watcher.Close()
	}
	if d.checks != nil {
		d.checks.Close()
		d.feed(pool.Stop{})
	}
	if d.forward != nil {
		failed = errors.Join(failed, d.forward.close(remove))
	}
	ctx, stop := context.WithTimeout(context.Background(), endLimit)
	defer stop()
	d.run.close(ctx)
	ctx, stop = context.WithTimeout(context.Background(), mailLimit)
	defer stop()
	d.mail.close(ctx)
	d.readers.close()
	d.pipes.keep()
	if d.static != nil {
		d.static.Close()
	}
	if g := &d.conf.Global; remove && !g.Shutdown.None() {
		if err := runOne(context.Background(), g, g.Shutdown, orDefault(g.ShutdownLimit, 10*time.Second)); err != nil {
			d.o.Log.Error("the shutdown script failed", "program", g.Shutdown.Args[0], "error", err)
		}
	}
	return failed
}

// setStatic holds what is held whatever VRRP decides.
func (d *Daemon) setStatic(want director.Routing) error {
	d.mu.Lock()
	static := d.static
	d.mu.Unlock()
	if static == nil {
		if len(want.Addresses)+len(want.Routes)+len(want.Rules) == 0 {
			return nil
		}
		var err error
		if static, err = router.OpenStatic(d.o.Log); err != nil {
			return err
		}
		d.mu.Lock()
		d.static = static
		d.mu.Unlock()
	}
	static.Set(want)
	return nil
}

// tellStates writes how all instances stand into the pipes (fifo_write_vrrp_states_on_reload).
func (d *Daemon) tellStates(g *director.Global, from Router) {
	status, err := from.Status()
	if err != nil {
		d.o.Log.Warn("the states cannot be told to the notify pipes", "error", err)
		return
	}
	for _, i := range status.Instances {
		d.pipes.write(fmt.Sprintf("INSTANCE %q %s %d", i.Name, i.State, i.Status.Priority), g.NotifyFIFO, g.VRRPFIFO)
	}
}

func (d *Daemon) openPipes(c *director.Config) error {
	for _, path := range pipePaths(c) {
		if err := d.pipes.open(path); err != nil {
			return fmt.Errorf("notify_fifo: %w", err)
		}
	}
	return nil
}

func pipePaths(c *director.Config) (list []string) {
	for _, p := range []string{c.Global.NotifyFIFO, c.Global.VRRPFIFO, c.Global.ServersFIFO} {
		if p != "" {
			list = append(list, p)
		}
	}
	return list
}
