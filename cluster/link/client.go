package link

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// ClientOptions says how a daemon reaches its pulse.
type ClientOptions struct {
	Socket string // path of the pulse's control socket
	Exe    string // binary that is started as "Exe pulse --socket Socket" if none answers; "" means os.Executable
	Log    *slog.Logger
	// Start starts a pulse in another way than by Exe: for tests and labs. It
	// may return before the socket is there.
	Start func(socket string) error
	// Healthy is asked from time to time whether the daemon does its work: whether
	// its loops still turn. While it answers false, or does not answer, the
	// pulse gets no sign of life from here: it calls the daemon down, and stops
	// petting the watchdog. nil: that this process runs is enough.
	Healthy func() bool
}

// eventBacklog is how many events may wait for the daemon before the pulse is no longer read.
const eventBacklog = 1024

// Client is the daemon's end of the control socket. Its methods may be called
// from any goroutine. A pulse that dies is started again with the last
// configuration and view, and a PulseBack event says so.
type Client struct {
	opt    ClientOptions
	events chan Event
	ctx    context.Context
	cancel context.CancelFunc
	seen   chan Event // from keep to deliver

	once       sync.Once
	configured chan struct{} // closed once the pulse has been configured for the first time

	done  chan struct{} // closed when keep and deliver have ended
	hurry chan struct{} // beatEvery may have become shorter

	mu     sync.Mutex
	conn   *conn   // nil while there is none
	config *Config // last given
	view   *View
	armed  int // time-out in ms of the watchdog that the pulse, or an earlier life of it, has armed; 0: none
}

// Attach connects to the pulse on a socket, and starts one if none answers. The
// pulse's present state comes first on Events. ctx bounds the attaching alone.
func Attach(ctx context.Context, opt ClientOptions) (*Client, error) {
	if opt.Log == nil {
		opt.Log = slog.New(slog.DiscardHandler)
	}
	c := &Client{opt: opt, events: make(chan Event, eventBacklog), seen: make(chan Event), configured: make(chan struct{}), done: make(chan struct{}), hurry: make(chan struct{}, 1)}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	conn, err := c.connect(ctx)
	if err != nil {
		c.cancel()
		return nil, err
	}
	c.conn = conn
	go c.keep(conn)
	go c.deliver()
	go c.beat() // Healthy may be stuck for good: nothing waits for it
	return c, nil
}

// Events returns what happens, in order, until Close or Stop closes the
// channel. It must be read: a daemon that does not read is detached by the
// pulse, and given the whole state anew when it reads on.
func (c *Client) Events() <-chan Event { return c.events }

// Configure gives the pulse its configuration; it returns when the pulse follows it.
func (c *Client) Configure(ctx context.Context, cfg Config) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	c.note(func() { c.config = &cfg })
	_, err := c.ask(ctx, request{Type: askConfigure, Config: &cfg})
	if err == nil {
		c.once.Do(func() { close(c.configured) })
	}
	return err
}

// SetView tells the pulse about the cluster; heartbeats carry it at once.
func (c *Client) SetView(ctx context.Context, v View) error {
	c.mu.Lock()
	c.view = &v
	c.mu.Unlock()
	_, err := c.ask(ctx, request{Type: askView, View: &v})
	return err
}

// Status asks for everything the pulse knows.
func (c *Client) Status(ctx context.Context) (Status, error) {
	m, err := c.ask(ctx, request{Type: askStatus})
	if err != nil || m.Status == nil {
		return Status{}, err
	}
	return *m.Status, nil
}

// Reset resets this machine at once by its watchdog, without stopping anything.
// It fails with Unavailable if none is armed: the machine then runs on.
func (c *Client) Reset(ctx context.Context, why string) error {
	_, err := c.ask(ctx, request{Type: askReset, Why: why})
	return err
}

// Sent returns when n more rounds of heartbeats went out (n ≤ 1000). After
// SetView with ManagerLeaving it makes sure that peers could hear of it.
func (c *Client) Sent(ctx context.Context, n int) error {
	_, err := c.ask(ctx, request{Type: askSent, Rounds: uint64(max(n, 0))})
	return err
}

// Stop ends the pulse and the client. Without SetView(ManagerLeaving) and Sent
// before it, peers take it for a crash, and an armed watchdog counts on.
func (c *Client) Stop(ctx context.Context) error {
	_, err := c.ask(ctx, request{Type: askStop})
	c.Close()
	return err
}

// Close detaches from the pulse, which goes on and says that the daemon is down.
func (c *Client) Close() {
	c.cancel()
	c.mu.Lock()
	if c.conn != nil {
		c.conn.close()
	}
	c.mu.Unlock()
	<-c.done
}

// ask sends a request on the present connection and waits for its answer.
func (c *Client) ask(ctx context.Context, r request) (message, error) {
	c.mu.Lock()
	conn := c.conn
	c.mu.Unlock()
	if conn == nil {
		return message{}, unavailable(c.opt.Socket, errors.New("the pulse is being started again"))
	}
	return conn.ask(ctx, r)
}

// keep reads events, and brings the pulse back whenever it is gone.
func (c *Client) keep(conn *conn) {
	defer close(c.seen)
	for {
		err := conn.read(c.ctx, c.seen)
		conn.close()
		c.set(nil)
		if c.ctx.Err() != nil {
			return
		}
		c.opt.Log.Warn("pulse is gone", "err", err)
		lost := time.Now()
		c.pass(c.seen, Event{Kind: pulseGone})
		if conn = c.again(); conn == nil {
			return
		}
		back := Event{Kind: PulseBack, At: time.Now().UnixNano(), Silent: time.Since(lost).Milliseconds(),
			Reason: fmt.Sprintf("the pulse was gone (%v) and is attached again", err)}
		c.pass(c.seen, back)
	}
}

func (c *Client) set(conn *conn) {
	c.mu.Lock()
	c.conn = conn
	c.mu.Unlock()
}

// again connects until it works or the client is closed; nil in that case.
func (c *Client) again() *conn {
	pause := 10 * time.Millisecond
	for {
		conn, err := c.connect(c.ctx)
		if err == nil && c.restore(conn) {
			return conn
		}
		if err != nil {
			c.opt.Log.Error("cannot bring the pulse back", "err", err, "hint", errs.HintOf(err))
		}
		select {
		case <-c.ctx.Done():
			return nil
		case <-time.After(pause):
		}
		pause = min(2*pause, time.Second)
	}
}

// restore sends the last configuration and view on a new connection. Nobody
// reads it yet, so the answers are left to the reader.
func (c *Client) restore(conn *conn) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	ok := c.ctx.Err() == nil
	if c.config != nil {
		ok = ok && conn.send(request{ID: conn.id(), Type: askConfigure, Config: c.config}) == nil
	}
	if c.view != nil {
		ok = ok && conn.send(request{ID: conn.id(), Type: askView, View: c.view, Before: c.armed > 0}) == nil
	}
	if !ok {
		conn.close()
		return false
	}
	c.conn = conn
	return true
}

// connect dials the pulse; if none answers it starts one and dials until it does.
func (c *Client) connect(ctx context.Context) (*conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, err := dial(ctx, c.opt.Socket)
	if err == nil || errs.KindOf(err) != errs.Unavailable {
		return conn, err
	}
	if err := c.start(); err != nil {
		return nil, errs.E("start pulse", errs.Unavailable, c.opt.Socket, "Check that the takt binary can be run.", err)
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := dial(ctx, c.opt.Socket)
		if err == nil || errs.KindOf(err) != errs.Unavailable {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, err
		case <-tick.C:
		}
	}
}

// start starts a pulse of its own session, which outlives this daemon.
func (c *Client) start() error {
	if c.opt.Start != nil {
		return c.opt.Start(c.opt.Socket)
	}
	exe := c.opt.Exe
	if exe == "" {
		var err error
		if exe, err = os.Executable(); err != nil {
			return fmt.Errorf("find the own binary: %w", err)
		}
	}
	cmd := exec.Command(exe, "pulse", "--socket", c.opt.Socket)
	cmd.Dir = "/"
	// The thread that beats waits where the runtime cannot see it (see loop.poll);
	// it must not be poked each 10 ms for that.
	cmd.Env = append(os.Environ(), "GODEBUG=asyncpreemptoff=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	// Wait only reaps: the pulse is to outlive this process, so nothing waits for this goroutine.
	go func() { _ = cmd.Wait() }()
	return nil
}

func unavailable(socket string, err error) error {
	return errs.E("reach pulse", errs.Unavailable, socket, "It is started again by the daemon; try once more.", err)
}
