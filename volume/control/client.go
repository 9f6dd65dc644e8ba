package control

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
)

// Client speaks to the process of one volume.
type Client struct {
	name string
	http *http.Client
}

// NewClient returns a client for the volume called name behind a socket. It connects when it is used.
func NewClient(name, socket string) *Client {
	return &Client{name: name, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
		DisableCompression: true,
	}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for the volume's status.
func (c *Client) Status(ctx context.Context) (volume.Status, error) {
	var s volume.Status
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Ask asks for a verb, and waits until it is done.
func (c *Client) Ask(ctx context.Context, a Ask) (string, error) {
	var ans Answer
	err := c.call(ctx, http.MethodPost, "/v1/ask", a, &ans)
	return ans.Text, err
}

// Events calls yield for each event until ctx ends, which is no error, or the volume's process does.
func (c *Client) Events(ctx context.Context, yield func(volume.Event) error) error {
	resp, err := c.do(ctx, http.MethodGet, "/v1/events", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var e volume.Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return c.broken(err)
		}
		if err := yield(e); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	return c.broken(errors.Join(lines.Err(), io.ErrUnexpectedEOF))
}

func (c *Client) call(ctx context.Context, method, path string, send, into any) error {
	resp, err := c.do(ctx, method, path, send)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if into == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return c.broken(err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, path string, send any) (*http.Response, error) {
	var body io.Reader
	if send != nil {
		raw, err := json.Marshal(send)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://takt"+path, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.broken(err)
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	var f Failed
	if err := json.NewDecoder(resp.Body).Decode(&f); err != nil {
		return nil, c.broken(err)
	}
	return nil, &remote{f}
}

// ErrNotUp says that a volume has no process here.
var ErrNotUp = errors.New("it is not up here")

// broken is the error of a volume that cannot be spoken to.
func (c *Client) broken(err error) error {
	var inner *url.Error // its text begins with a method and an address that mean nothing to people
	if errors.As(err, &inner) {
		err = inner.Err
	}
	const op = "ask volume"
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return errs.E(op, errs.Timeout, c.name, "", err)
	case errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNREFUSED):
		return errs.E(op, errs.Unavailable, c.name, "\"takt volume up "+c.name+"\" starts it.", ErrNotUp)
	case errors.Is(err, fs.ErrPermission):
		return errs.E(op, errs.Permission, c.name, "Run it as root, or as a member of the group takt.", err)
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET):
		return errs.E(op, errs.Unavailable, c.name, "\"takt volume status "+c.name+"\" shows it; its log says why.", errors.New("its process ended before it answered"))
	}
	return errs.E(op, errs.Unavailable, c.name, "", err)
}

// remote is an error of the volume's process. As unwraps it to *errs.Error, so that kind and
// hint are found, while its text stays as it was written there.
type remote struct{ failed Failed }

// Error returns the text.
func (e *remote) Error() string { return e.failed.Text }

// As gives errors.As an *errs.Error.
func (e *remote) As(target any) bool {
	t, ok := target.(**errs.Error)
	if ok {
		*t = &errs.Error{Op: e.failed.Text, Kind: errs.ParseKind(e.failed.Kind), Hint: e.failed.Hint}
	}
	return ok
}
