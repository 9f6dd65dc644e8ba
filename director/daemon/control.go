package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/pool"
	"github.com/takt-ha/takt/director/vrrp"
	"github.com/takt-ha/takt/director/vrrp/router"
	"github.com/takt-ha/takt/internal/errs"
)

// Status is how a director stands.
type Status struct {
	Name       string            `json:"name"`
	Since      time.Time         `json:"since"`
	Loaded     time.Time         `json:"configuration_since"`
	Priority   string            `json:"process_priority,omitempty"` // what the heartbeats of VRRP run with
	Instances  []Instance        `json:"instances"`
	VRRP       string            `json:"vrrp_error,omitempty"` // why nothing is known of the instances
	Servers    []VirtualStatus   `json:"virtual_servers"`
	Forwarding string            `json:"forwarding_error,omitempty"`   // why the kernel does not forward as it should
	Warnings   []string          `json:"warnings,omitempty"`           // what on this machine keeps it from working
	Missing    []ForwarderStatus `json:"forwarders_missing,omitempty"` // ways of forwarding that this machine does not have
}

// Instance is a virtual router as it stands.
type Instance struct {
	Name      string            `json:"name"`
	Group     string            `json:"group,omitempty"`
	Interface string            `json:"interface"`
	VRID      int               `json:"virtual_router_id"`
	Version   int               `json:"version"`
	State     string            `json:"state"` // INIT, BACKUP, MASTER or FAULT
	Since     time.Time         `json:"since"`
	Reason    string            `json:"reason,omitempty"`
	Base      int               `json:"base_priority"`
	Priority  int               `json:"priority"` // with what is tracked
	Advert    float64           `json:"advert_ms"`
	Listening bool              `json:"listening,omitempty"` // a master that was paused, and says nothing before it has listened
	Rival     string            `json:"rival,omitempty"`     // the last other master that was heard
	RivalPrio int               `json:"rival_priority,omitempty"`
	RivalAt   *time.Time        `json:"rival_heard,omitempty"`
	Sent      uint64            `json:"adverts_sent"`
	Heard     uint64            `json:"adverts_heard"`
	Refused   map[string]uint64 `json:"adverts_refused,omitempty"` // by reason
	Addresses []netip.Prefix    `json:"addresses"`
}

func instances(all []router.Instance) []Instance {
	list := []Instance{}
	for _, i := range all {
		s := Instance{Name: i.Name, Group: i.Group, Interface: i.Interface, VRID: i.VRID, Version: i.Version, State: i.State.String(), Since: i.SinceTime, Reason: i.Reason,
			Base: i.Base, Priority: i.Priority, Advert: float64(i.Advert) / 1e6, Listening: i.Listening, Sent: i.Sent, Heard: i.Heard, Addresses: i.Addresses}
		if i.Rival.IsValid() {
			s.Rival, s.RivalPrio, s.RivalAt = i.Rival.String(), i.RivalPrio, &i.HeardTime
		}
		for reason, n := range i.Refused {
			if n > 0 {
				if s.Refused == nil {
					s.Refused = map[string]uint64{}
				}
				s.Refused[vrrp.Reason(reason).String()] = n
			}
		}
		list = append(list, s)
	}
	return list
}

// VirtualStatus is a virtual server: its servers, and how each of its addresses is forwarded.
type VirtualStatus struct {
	pool.Status
	Scheduler string       `json:"scheduler"`
	Faces     []FaceStatus `json:"addresses"`
}

// FaceStatus is one address, or mark, of a virtual server.
type FaceStatus struct {
	Address string `json:"address,omitempty"`
	Mark    uint32 `json:"mark,omitempty"`
	Way
	Connections uint64         `json:"connections"`      // so far
	Active      map[string]int `json:"active,omitempty"` // now, by real server
}

// Status returns how the director stands.
func (d *Daemon) Status() Status {
	counts := d.forward.counts()
	ways, failed := d.forward.how()
	d.mu.Lock()
	r, conf := d.router, d.conf
	d.mu.Unlock()
	s := Status{Missing: d.forward.missing, Name: d.o.Name, Since: d.begun, Instances: []Instance{}, Servers: []VirtualStatus{}}
	if r != nil { // not under the lock, for it may be telling us something
		if st, err := r.Status(); err == nil {
			s.Instances, s.Priority = instances(st.Instances), st.Priority
		} else {
			s.VRRP = err.Error()
		}
	}
	if failed != nil {
		s.Forwarding = failed.Error()
	}
	for _, u := range NotRouted(conf) { // it asks the kernel, for which nobody should wait
		s.Warnings = append(s.Warnings, u.Words)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	s.Loaded = d.loaded
	for i, p := range d.pool.Status() {
		v := &d.conf.Servers[i]
		vs := VirtualStatus{Status: p, Scheduler: v.Scheduler}
		for _, id := range pool.IDs(v) {
			vs.Faces = append(vs.Faces, face(id, ways[id], counts[id]))
		}
		s.Servers = append(s.Servers, vs)
	}
	return s
}

func face(id director.ID, w Way, n director.Counts) FaceStatus {
	f := FaceStatus{Way: w, Connections: n.Connections, Mark: id.Key.Mark}
	if id.Key.Addr.IsValid() {
		f.Address = id.Key.Addr.String()
	}
	for at, k := range n.Servers {
		if f.Active == nil {
			f.Active = map[string]int{}
		}
		f.Active[at.String()] = k.Active
	}
	return f
}

func listen(o Options) (net.Listener, error) { return api.Listen(Socket(o.Dir, o.Name)) }

func serve(ctx context.Context, l net.Listener, d *Daemon, log *slog.Logger) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d.Status()) // the client has gone
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		switch err := d.Reload(); {
		case errors.As(err, new(incomplete)):
			http.Error(w, err.Error(), http.StatusInternalServerError)
		case err != nil:
			http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		}
	})
	mux.HandleFunc("POST /v1/stop", func(w http.ResponseWriter, r *http.Request) {
		d.stop()
		w.(http.Flusher).Flush() // the client knows that it was heard, and waits for the end of the connection
		<-d.ended
	})
	return api.ServeOn(ctx, l, mux, log)
}

// Client speaks to a director of this machine.
type Client struct {
	name string
	http *http.Client
}

// NewClient returns a client of the director called name.
func NewClient(dir, name string) *Client {
	return &Client{name: name, http: &http.Client{Transport: &http.Transport{DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", Socket(dir, name))
		}}}}
}

// Status asks how it stands.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	resp, err := c.do(ctx, http.MethodGet, "/v1/status")
	if err != nil {
		return s, err
	}
	defer resp.Body.Close()
	return s, json.NewDecoder(resp.Body).Decode(&s)
}

// Stop makes it give everything up in order, and waits until that is done. One that does not run is no error.
func (c *Client) Stop(ctx context.Context) error {
	resp, err := c.do(ctx, http.MethodPost, "/v1/stop")
	if errs.KindOf(err) == errs.Unavailable {
		return nil
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return err
}

// Reload makes it read its configuration again.
func (c *Client) Reload(ctx context.Context) error {
	resp, err := c.do(ctx, http.MethodPost, "/v1/reload")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var b bytes.Buffer
	_, _ = b.ReadFrom(resp.Body) // what came is told
	err = errors.New(string(bytes.TrimSpace(b.Bytes())))
	if resp.StatusCode == http.StatusInternalServerError {
		return errs.E("reload", errs.Other, "director "+c.name, "", err)
	}
	return errs.E("reload", errs.Invalid, "director "+c.name, "The old configuration stays in force. Mend the new one: takt director check.", err)
}

func (c *Client) do(ctx context.Context, method, path string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://takt"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, errs.E("ask", errs.Permission, "director "+c.name, "Be root.", nil)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return nil, errs.E("ask", errs.Unavailable, "director "+c.name, "Start it: takt director start.", errors.New("it does not run"))
	}
	return resp, err
}
