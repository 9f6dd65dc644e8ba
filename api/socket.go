package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/internal/errs"
)

// DefaultSocket is where the daemon listens unless said otherwise; Group may
// use it beside root.
const (
	DefaultSocket = "/run/takt/takt.sock"
	Group         = "takt"
)

const (
	headerTimeout = 10 * time.Second
	drainTimeout  = 2 * time.Second
	maxPath       = 107 // of a unix socket, bytes (unix(7))
)

// Serve serves h on a unix socket until ctx ends. The socket is for root, for
// the daemon's own user and for the group takt, by its mode (0660) and, because
// a mode can be loosened by mistake, by what the kernel says about each caller.
func Serve(ctx context.Context, path string, h http.Handler, log *slog.Logger) error {
	l, err := listen(path)
	if err != nil {
		return err
	}
	return serve(ctx, l, h, log)
}

// Listen makes the socket for ServeOn: who has called it can be spoken to, as soon as ServeOn runs.
func Listen(path string) (net.Listener, error) { return listen(path) }

// ServeOn is Serve on a socket that Listen has made; it closes it.
func ServeOn(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	return serve(ctx, l, h, log)
}

// serve owns the listener.
func serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	allow := allowed(log)
	srv := &http.Server{
		Handler:           refuseStrangers(h),
		ReadHeaderTimeout: headerTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		// Requests end with the daemon: an event stream has no end of its own.
		BaseContext: func(net.Listener) context.Context { return ctx },
		ConnContext: func(c context.Context, conn net.Conn) context.Context { return admit(c, conn, allow, log) },
	}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(l) }()
	select {
	case err := <-done:
		return errs.E("serve api", errs.Other, l.Addr().String(), "", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		srv.Close()
	}
	<-done
	return nil
}

// listen makes the socket; it takes the place of one that nobody serves.
func listen(path string) (net.Listener, error) {
	fail := func(kind errs.Kind, hint string, err error) (net.Listener, error) {
		return nil, errs.E("listen on socket", kind, path, hint, err)
	}
	if len(path) > maxPath {
		return fail(errs.Invalid, "Choose a shorter path with --socket.", fmt.Errorf("the path is longer than %d bytes", maxPath))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fail(errs.Other, "", err)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return fail(errs.Exists, "Stop that one first, or choose another --socket.", errors.New("a daemon is serving it already"))
	}
	if fi, err := os.Lstat(path); err == nil {
		if fi.Mode().Type() != os.ModeSocket {
			return fail(errs.Exists, "", errors.New("something that is no socket is in the way"))
		}
		if err := os.Remove(path); err != nil {
			return fail(errs.Other, "", err)
		}
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return fail(errs.Other, "", err)
	}
	if err := restrict(path); err != nil {
		l.Close()
		return fail(errs.Other, "", err)
	}
	return l, nil
}

// restrict gives the socket its owner and mode. Without the group takt, or
// without the right to give files away, it is for the daemon's user alone.
func restrict(path string) error {
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	g, err := user.LookupGroup(Group)
	if err != nil {
		return nil
	}
	gid, err := strconv.Atoi(g.Gid)
	if err != nil || os.Chown(path, -1, gid) != nil {
		return nil
	}
	return os.Chmod(path, 0o660)
}

// allowed returns the rule for callers.
func allowed(log *slog.Logger) func(*unix.Ucred) bool {
	self := uint32(os.Geteuid())
	gid := ""
	if g, err := user.LookupGroup(Group); err == nil {
		gid = g.Gid
	} else {
		log.Debug("no group for the socket: root alone may use it", "group", Group)
	}
	return func(c *unix.Ucred) bool {
		return c.Uid == 0 || c.Uid == self || gid != "" && inGroup(c, gid)
	}
}

// inGroup reports whether a caller's user is in a group, by the group that the
// process runs with or by the user's memberships.
func inGroup(c *unix.Ucred, gid string) bool {
	if strconv.FormatUint(uint64(c.Gid), 10) == gid {
		return true
	}
	u, err := user.LookupId(strconv.FormatUint(uint64(c.Uid), 10))
	if err != nil {
		return false
	}
	gids, err := u.GroupIds()
	return err == nil && slices.Contains(gids, gid)
}

type strangerKey struct{}

// admit puts the caller of a connection into its context, or marks it refused.
func admit(ctx context.Context, conn net.Conn, allow func(*unix.Ucred) bool, log *slog.Logger) context.Context {
	cred, err := credentials(conn)
	if err != nil || !allow(cred) {
		log.Warn("caller refused on the local socket", "cred", cred, "err", err)
		return context.WithValue(ctx, strangerKey{}, true)
	}
	return WithCaller(ctx, localCaller(cred.Uid))
}

// credentials asks the kernel who is on the other end (SO_PEERCRED, unix(7)).
func credentials(conn net.Conn) (*unix.Ucred, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.New("not a unix socket")
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var sockErr error
	err = raw.Control(func(fd uintptr) {
		cred, sockErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	return cred, errors.Join(err, sockErr)
}

func refuseStrangers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Context().Value(strangerKey{}) == nil {
			h.ServeHTTP(w, r)
			return
		}
		s := &server{log: slog.New(slog.DiscardHandler)}
		s.fail(w, r, errs.E("use the daemon's socket", errs.Permission, "", "Run it as root, or become a member of the group takt.",
			errors.New("only root and the group takt may")))
	})
}

// ServeConn serves h on one connection that is open already, such as one that
// the mesh has accepted, until either side closes it or ctx ends. The handler
// sees ctx's values (WithCaller).
func ServeConn(ctx context.Context, conn net.Conn, h http.Handler) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	l := &single{closed: make(chan struct{}), addr: conn.LocalAddr()}
	l.conn = &watched{Conn: conn, onClose: l.Close}
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { srv.Close(); conn.Close() })
	defer stop()
	srv.Serve(l)
	srv.Close()
}

// single is a listener with one connection to give.
type single struct {
	mu     sync.Mutex
	conn   net.Conn // guarded by mu; nil once given
	once   sync.Once
	closed chan struct{}
	addr   net.Addr
}

// Accept gives the connection once, then waits until it is closed.
func (l *single) Accept() (net.Conn, error) {
	l.mu.Lock()
	c := l.conn
	l.conn = nil
	l.mu.Unlock()
	if c != nil {
		return c, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

// Close ends Accept.
func (l *single) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr is the connection's own address.
func (l *single) Addr() net.Addr { return l.addr }

type watched struct {
	net.Conn
	onClose func() error
}

// Close closes the connection and ends the listener that gave it.
func (w *watched) Close() error {
	w.onClose()
	return w.Conn.Close()
}
