package router

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/internal/errs"
)

// A Child and its process talk in gobs: orders one way, answers the other. Both are of one binary, so there is no version.

// order is one thing to do. Those with an ID get an answer.
type order struct {
	ID     uint64
	Config *director.Config // the first of all, and every reload
	Track  *vrrp.Track
	Status bool
	Close  bool
}

// answer is one thing that is told.
type answer struct {
	ID     uint64 // of the order; 0: not asked for
	Err    string
	Hint   string // what to do about Err
	Status *Status
	Notify *vrrp.Notify
	Line   *line
}

// line is a record for the daemon's log.
type line struct {
	Level slog.Level
	Words string
	Keys  []string
	Vals  []string
}

// errAbandoned ends a Run as a crash would.
var errAbandoned = errors.New("abandoned")

// Serve is the body of the process that a Child starts: it takes orders from in, and tells out. It ends when it is told to, or when in
// ends: then its daemon has died, and it does as if it had died with it. The addresses stay for the daemon's successor; a rival takes
// them over.
func Serve(in io.Reader, out io.Writer, asked bool) error {
	t := newTeller(out)
	defer t.end()
	orders := gob.NewDecoder(in)
	var first order
	if err := orders.Decode(&first); err != nil || first.Config == nil {
		return fmt.Errorf("the first order is no configuration: %w", err)
	}
	r, err := New(Options{Config: first.Config, Log: slog.New(lines{t, nil}), Notify: func(n vrrp.Notify) { t.tell(answer{Notify: &n}) }, Realtime: asked})
	if err != nil {
		t.tell(answer{ID: first.ID, Err: strings.TrimPrefix(err.Error(), starting+": "), Hint: errs.HintOf(err)})
		return nil // who started it says so
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	t.tell(answer{ID: first.ID})
	closed := obey(r, orders, t)
	cause := errAbandoned
	if closed != 0 {
		cause = context.Canceled
	}
	cancel(cause)
	err = <-done
	if closed != 0 {
		t.tell(answer{ID: closed, Err: words(err)})
	}
	return err
}

func words(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// obey carries out orders until one says close, whose number it returns, or they end.
func obey(r *Router, orders *gob.Decoder, t *teller) (closed uint64) {
	for {
		var o order
		if orders.Decode(&o) != nil {
			return 0
		}
		switch {
		case o.Close:
			return o.ID
		case o.Track != nil:
			r.Track(*o.Track)
		case o.Config != nil:
			t.tell(answer{ID: o.ID, Err: words(r.Reload(o.Config))})
		case o.Status:
			st, err := r.Status()
			t.tell(answer{ID: o.ID, Status: &st, Err: words(err)})
		}
	}
}

// teller writes beside those who tell: a daemon that does not read must not keep adverts from going out. Lines for the log are
// dropped rather than kept without bound.
type teller struct {
	mu     sync.Mutex
	queue  []answer      // guarded by mu
	closed bool          // guarded by mu
	some   chan struct{} // there is something new
	ended  chan struct{}
}

// maxLines is how much waits before lines are dropped.
const maxLines = 4096

func newTeller(out io.Writer) *teller {
	t := &teller{some: make(chan struct{}, 1), ended: make(chan struct{})}
	go func() {
		defer close(t.ended)
		write := gob.NewEncoder(out)
		for range t.some {
			t.mu.Lock()
			queue, closed := t.queue, t.closed
			t.queue = nil
			t.mu.Unlock()
			for k := range queue {
				if write.Encode(&queue[k]) != nil {
					return
				}
			}
			if closed {
				return
			}
		}
	}()
	return t
}

func (t *teller) tell(a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.Line != nil && len(t.queue) >= maxLines {
		return
	}
	t.queue = append(t.queue, a)
	t.wakeLocked()
}

// wakeLocked wakes the writer; mu is held.
func (t *teller) wakeLocked() {
	select {
	case t.some <- struct{}{}:
	default:
	}
}

// end returns when all is written, or nobody reads any more.
func (t *teller) end() {
	t.mu.Lock()
	t.closed = true
	t.wakeLocked()
	t.mu.Unlock()
	<-t.ended
}

// lines is a slog.Handler that tells records to the daemon.
type lines struct {
	t    *teller
	with []slog.Attr
}

// Enabled lets everything but details through.
func (l lines) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle tells one record.
func (l lines) Handle(_ context.Context, r slog.Record) error {
	out := &line{Level: r.Level, Words: r.Message}
	note := func(a slog.Attr) bool {
		out.Keys, out.Vals = append(out.Keys, a.Key), append(out.Vals, a.Value.String())
		return true
	}
	for _, a := range l.with {
		note(a)
	}
	r.Attrs(note)
	l.t.tell(answer{Line: out})
	return nil
}

// WithAttrs adds attributes to every record.
func (l lines) WithAttrs(attrs []slog.Attr) slog.Handler {
	return lines{l.t, append(append([]slog.Attr(nil), l.with...), attrs...)}
}

// WithGroup leaves groups out: there are none here.
func (l lines) WithGroup(string) slog.Handler { return l }
