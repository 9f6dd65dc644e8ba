// Package control is how programs speak to the process of a volume: HTTP and
// JSON on a unix socket for root and the group takt. Errors carry kind, text and hint.
//
//	GET  /v1/status   volume.Status
//	POST /v1/ask      Ask → Answer; waits for the end of what was asked
//	GET  /v1/events   volume.Event, one JSON object a line, until the client goes
package control

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
)

// Ask is a verb with its arguments; volume/state says what they mean.
type Ask struct {
	Verb    string `json:"verb"`
	Peer    string `json:"peer,omitempty"` // name of a node; empty: all
	Force   bool   `json:"force,omitempty"`
	Discard bool   `json:"discard_my_data,omitempty"`
	Clear   bool   `json:"clear_bitmap,omitempty"`
	Size    int64  `json:"size,omitempty"`  // bytes
	Start   int64  `json:"start,omitempty"` // bytes
	Stop    int64  `json:"stop,omitempty"`
}

// Answer is what came of it.
type Answer struct {
	Text string `json:"text,omitempty"`
}

// Failed is an error on its way.
type Failed struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
	Hint string `json:"hint,omitempty"`
}

// Backend is a volume's process.
type Backend interface {
	Status() volume.Status
	Ask(ctx context.Context, a Ask) (string, error)
	// Events calls yield for each event from now on, until ctx ends or yield fails.
	Events(ctx context.Context, yield func(volume.Event) error) error
}

// Listen makes the socket for Serve.
func Listen(socket string) (net.Listener, error) { return api.Listen(socket) }

// Serve serves b on a unix socket until ctx ends, and closes it.
func Serve(ctx context.Context, l net.Listener, b Backend, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, b.Status(), nil) })
	mux.HandleFunc("POST /v1/ask", func(w http.ResponseWriter, r *http.Request) {
		var a Ask
		if err := decode(r, &a); err != nil {
			answer(w, nil, err)
			return
		}
		text, err := b.Ask(r.Context(), a)
		answer(w, Answer{text}, err)
	})
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) { events(w, r, b) })
	return api.ServeOn(ctx, l, mux, log)
}

// maxRequest bounds what is read of a request, in bytes.
const maxRequest = 64 << 10

func decode(r *http.Request, into any) error {
	d := json.NewDecoder(io.LimitReader(r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return errs.E("read the request", errs.Invalid, r.URL.Path, "", err)
	}
	return nil
}

func answer(w http.ResponseWriter, v any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		kind := errs.KindOf(err)
		w.WriteHeader(kind.HTTP())
		v = Failed{Kind: kind.String(), Text: err.Error(), Hint: errs.HintOf(err)}
	}
	_ = json.NewEncoder(w).Encode(v) // the client has gone: nobody to tell
}

func events(w http.ResponseWriter, r *http.Request, b Backend) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	enc := json.NewEncoder(w)
	_ = b.Events(r.Context(), func(e volume.Event) error {
		if err := enc.Encode(e); err != nil {
			return err
		}
		return flush.Flush()
	})
}
