package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// Limits of a request's body, in bytes.
const (
	maxBody  = 64 << 10
	maxApply = 64 << 20
)

// ResourceVerbs returns what may be asked of a resource.
func ResourceVerbs() []string {
	return []string{"move", "ban", "clear", "cleanup", "start", "stop", "restart", "refresh", "manage", "unmanage"}
}

// NodeVerbs returns what may be asked of a node.
func NodeVerbs() []string { return []string{"standby", "online", "maintenance", "ready"} }

type server struct {
	backend Backend
	log     *slog.Logger
}

// NewServer returns the handler of docs/api.md. Who asks is taken from the
// request's context (WithCaller); Serve and app put it there.
func NewServer(b Backend, log *slog.Logger) http.Handler {
	s := &server{backend: b, log: log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", s.answer(s.status))
	mux.HandleFunc("GET /v1/cib", s.cib)
	mux.HandleFunc("POST /v1/cib/apply", s.answer(s.apply))
	mux.HandleFunc("POST /v1/resources/{id}/{verb}", s.answer(s.resource))
	mux.HandleFunc("POST /v1/nodes/{name}/{verb}", s.answer(s.node))
	mux.HandleFunc("GET /v1/events", s.events)
	mux.HandleFunc("GET /v1/fence", s.answer(s.fence))
	mux.HandleFunc("POST /v1/fence/{name}/{verb}", s.answer(s.fenceVerb))
	mux.HandleFunc("POST /v1/cluster/force", s.answer(s.force))
	mux.HandleFunc("POST /v1/cluster/acknowledge", s.answer(s.acknowledge))
	mux.HandleFunc("GET /v1/attributes", s.answer(s.attribute))
	mux.HandleFunc("POST /v1/attributes", s.answer(s.setAttribute))
	mux.HandleFunc("GET /v1/volumes/{name}/set", s.volumeSet)
	mux.HandleFunc("POST /v1/volumes/{name}/set", s.answer(s.changeVolumeSet))
	mux.HandleFunc("GET /v1/volumes/{name}/key", s.answer(s.volumeKey))
	mux.HandleFunc("POST /v1/tokens", s.answer(s.token))
	mux.HandleFunc("POST /v1/leave", s.answer(s.leave))
	mux.HandleFunc("POST /v1/shutdown", s.answer(s.shutdown))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		s.fail(w, r, errs.E("serve request", errs.NotFound, r.Method+" "+r.URL.Path,
			"The command line and the daemon may be of different versions: compare \"takt version\" and \"takt status\".", errors.New("no such request")))
	})
	return mux
}

// answer makes a handler of a function that returns what to encode.
func (s *server) answer(f func(w http.ResponseWriter, r *http.Request) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(w, r)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(v); err != nil {
			s.log.Debug("answer not delivered", "path", r.URL.Path, "err", err)
		}
	}
}

// fail writes an error as Failed.
func (s *server) fail(w http.ResponseWriter, r *http.Request, err error) {
	kind := errs.KindOf(err)
	if kind == errs.Other || kind == errs.Corrupt {
		s.log.Warn("request failed", "method", r.Method, "path", r.URL.Path, "caller", CallerOf(r.Context()).String(), "err", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(kind.HTTP())
	json.NewEncoder(w).Encode(failedOf(err))
}

func failedOf(err error) Failed {
	return Failed{Error: err.Error(), Kind: errs.KindOf(err).String(), Hint: errs.HintOf(err)}
}

func (s *server) status(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.backend.Status(r.Context())
}

func (s *server) cib(w http.ResponseWriter, r *http.Request) {
	q := CIBQuery{XPath: r.URL.Query().Get("xpath"), Secrets: r.URL.Query().Get("secrets") == "true"}
	if q.Secrets && !CallerOf(r.Context()).mayRead() {
		s.fail(w, r, errs.E("show passwords", errs.Permission, "", "Run it as root, or do without the passwords.", errors.New("only root may see them")))
		return
	}
	xml, err := s.backend.CIB(r.Context(), q)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/xml")
	io.WriteString(w, xml)
}

func (s *server) apply(w http.ResponseWriter, r *http.Request) (any, error) {
	var a Apply
	if err := decode(w, r, maxApply, &a); err != nil {
		return nil, err
	}
	if (a.XML == "") == (len(a.Ops) == 0) {
		return nil, errs.E("apply configuration", errs.Invalid, a.Source, "", errors.New("want either xml or ops"))
	}
	a.User = CallerOf(r.Context()).author(a.User)
	return s.backend.Apply(r.Context(), a)
}

func (s *server) resource(w http.ResponseWriter, r *http.Request) (any, error) {
	verb := r.PathValue("verb")
	if !slices.Contains(ResourceVerbs(), verb) {
		return nil, errs.E("change resource", errs.Invalid, r.PathValue("id"), "", fmt.Errorf("verb %q: want one of %v", verb, ResourceVerbs()))
	}
	v, err := decodeVerb(w, r)
	if err != nil {
		return nil, err
	}
	return s.backend.Resource(r.Context(), r.PathValue("id"), verb, v)
}

func (s *server) node(w http.ResponseWriter, r *http.Request) (any, error) {
	verb := r.PathValue("verb")
	if !slices.Contains(NodeVerbs(), verb) {
		return nil, errs.E("change node", errs.Invalid, r.PathValue("name"), "", fmt.Errorf("verb %q: want one of %v", verb, NodeVerbs()))
	}
	v, err := decodeVerb(w, r)
	if err != nil {
		return nil, err
	}
	return s.backend.Node(r.Context(), r.PathValue("name"), verb, v)
}

func (s *server) token(_ http.ResponseWriter, r *http.Request) (any, error) {
	return s.backend.Token(r.Context())
}

func (s *server) leave(w http.ResponseWriter, r *http.Request) (any, error) {
	v, err := decodeVerb(w, r)
	if err != nil {
		return nil, err
	}
	return s.backend.Leave(r.Context(), v)
}

// Stop is the body of POST /v1/shutdown.
type Stop struct {
	Keep bool `json:"keep"` // leave the resources running
}

func (s *server) shutdown(w http.ResponseWriter, r *http.Request) (any, error) {
	var stop Stop
	if err := decode(w, r, maxBody, &stop); err != nil {
		return nil, err
	}
	if err := s.backend.Shutdown(r.Context(), stop.Keep); err != nil {
		return nil, err
	}
	return Outcome{Text: "the daemon stops"}, nil
}

func decodeVerb(w http.ResponseWriter, r *http.Request) (Verb, error) {
	var v Verb
	if err := decode(w, r, maxBody, &v); err != nil {
		return v, err
	}
	if v.Wait < 0 || v.Wait > int64(24*time.Hour/time.Millisecond) {
		return v, errs.E("read request", errs.Invalid, "", "", fmt.Errorf("wait_ms %d: want 0 to one day", v.Wait))
	}
	v.User = CallerOf(r.Context()).author(v.User)
	return v, nil
}

// decode reads one JSON value, and nothing after it, of at most limit bytes. An
// empty body is the zero value.
func decode(w http.ResponseWriter, r *http.Request, limit int64, into any) error {
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, limit))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	if err == io.EOF {
		return nil
	}
	if err == nil {
		if _, err = dec.Token(); err == io.EOF {
			return nil
		}
		err = errors.New("something follows the JSON value")
	}
	var big *http.MaxBytesError
	if errors.As(err, &big) {
		err = fmt.Errorf("the body is larger than %d bytes", big.Limit)
	}
	return errs.E("read request", errs.Invalid, r.Method+" "+r.URL.Path, "", err)
}

// eventQuery reads the parameters of GET /v1/events.
func eventQuery(r *http.Request) (EventQuery, error) {
	q := r.URL.Query()
	out := EventQuery{Resource: q.Get("resource")}
	var err error
	if v := q.Get("after"); v != "" {
		if out.After, err = strconv.ParseUint(v, 10, 64); err != nil {
			return out, badParameter("after", v, "a sequence number")
		}
	}
	if v := q.Get("limit"); v != "" {
		if out.Limit, err = strconv.Atoi(v); err != nil || out.Limit < 0 {
			return out, badParameter("limit", v, "a number from 0")
		}
	}
	for name, into := range map[string]*bool{"follow": &out.Follow, "all": &out.AllNodes} {
		if v := q.Get(name); v != "" {
			if *into, err = strconv.ParseBool(v); err != nil {
				return out, badParameter(name, v, "true or false")
			}
		}
	}
	return out, nil
}

func badParameter(name, value, want string) error {
	return errs.E("read request", errs.Invalid, "", "", fmt.Errorf("parameter %s=%q: want %s", name, value, want))
}
