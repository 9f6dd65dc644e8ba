package api

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/takt-ha/takt/internal/errs"
)

// record is one line of the event stream: an event, or at its end the error
// that ended it. A stream without an error ends after the last event.
type record struct {
	Event  *Event  `json:"event,omitempty"`
	Failed *Failed `json:"failed,omitempty"`
}

// maxLine bounds one line of the stream: an agent's words are bounded by
// agent.MaxOutput, and JSON may escape each byte into six.
const maxLine = 256 << 10

// events streams newline-delimited JSON, each line flushed at once.
func (s *server) events(w http.ResponseWriter, r *http.Request) {
	q, err := eventQuery(r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	flush := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	begun := false
	begin := func() {
		if !begun {
			w.Header().Set("Content-Type", "application/x-ndjson")
			begun = true
		}
	}
	if q.Follow {
		// The client learns that the stream stands before the first event.
		begin()
		flush.Flush()
	}
	err = s.backend.Events(r.Context(), q, func(e Event) error {
		begin()
		if err := enc.Encode(record{Event: &e}); err != nil {
			return err
		}
		if q.Follow {
			return flush.Flush()
		}
		return nil
	})
	switch {
	case err == nil || r.Context().Err() != nil:
	case !begun:
		s.fail(w, r, err)
	default:
		f := failedOf(err)
		enc.Encode(record{Failed: &f})
	}
}

// readEvents is the client's side of events.
func readEvents(body io.Reader, yield func(Event) error) error {
	lines := bufio.NewScanner(body)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var rec record
		if err := json.Unmarshal(lines.Bytes(), &rec); err != nil {
			return errs.E("read events", errs.Corrupt, "", "", err)
		}
		switch {
		case rec.Failed != nil:
			return errorOf(*rec.Failed)
		case rec.Event == nil:
			return errs.E("read events", errs.Corrupt, "", "", errors.New("a line is neither an event nor an error"))
		}
		if err := yield(*rec.Event); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return errs.E("read events", errs.Unavailable, "", "The daemon may have stopped: see \"takt status\".", err)
	}
	return nil
}

// errorOf rebuilds an error as *errs.Error. What it says is the server's text.
func errorOf(f Failed) error { return &remote{failed: f} }

// remote is an error that came over the wire. As unwraps it to *errs.Error, so
// that Kind and Hint are found, while its text stays what the server wrote.
type remote struct{ failed Failed }

func (e *remote) Error() string { return e.failed.Error }

// As gives errors.As an *errs.Error.
func (e *remote) As(target any) bool {
	t, ok := target.(**errs.Error)
	if ok {
		*t = &errs.Error{Op: e.failed.Error, Kind: errs.ParseKind(e.failed.Kind), Hint: e.failed.Hint}
	}
	return ok
}
