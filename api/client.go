package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"syscall"

	"github.com/takt-ha/takt/internal/errs"
)

// maxResponse bounds an answer that is read as a whole, in bytes.
const maxResponse = 256 << 20

// Client speaks to one daemon. Its errors carry the daemon's kind, text and hint.
type Client struct {
	where string // for messages
	http  *http.Client
}

// NewClient returns a client of the daemon behind a unix socket ("":
// DefaultSocket). It connects when it is used.
func NewClient(socket string) *Client {
	if socket == "" {
		socket = DefaultSocket
	}
	return NewClientDial(socket, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	})
}

// NewClientDial returns a client that connects by dial, as through the mesh;
// where names the other end in messages.
func NewClientDial(where string, dial func(ctx context.Context) (net.Conn, error)) *Client {
	return &Client{where: where, http: &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		DisableCompression: true,
		MaxIdleConns:       1,
	}}}
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status asks for the cluster as the node sees it.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	return get[Status](ctx, c, "/v1/status")
}

// CIB returns the configuration, or what an XPath selects of it. Who asks for
// Secrets and is not root gets errs.Permission.
func (c *Client) CIB(ctx context.Context, q CIBQuery) (string, error) {
	values := url.Values{}
	if q.XPath != "" {
		values.Set("xpath", q.XPath)
	}
	if q.Secrets {
		values.Set("secrets", "true")
	}
	path := "/v1/cib"
	if len(values) > 0 {
		path += "?" + values.Encode()
	}
	resp, err := c.do(ctx, http.MethodGet, path, nil)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxResponse))
	if err != nil {
		return "", c.broken(err)
	}
	return string(raw), nil
}

// Apply changes the configuration, or says what it would do.
func (c *Client) Apply(ctx context.Context, a Apply) (*Outcome, error) {
	return post[Outcome](ctx, c, "/v1/cib/apply", a)
}

// Resource does one of ResourceVerbs to a resource.
func (c *Client) Resource(ctx context.Context, id, verb string, v Verb) (*Outcome, error) {
	return post[Outcome](ctx, c, "/v1/resources/"+url.PathEscape(id)+"/"+url.PathEscape(verb), v)
}

// Node does one of NodeVerbs to a node.
func (c *Client) Node(ctx context.Context, name, verb string, v Verb) (*Outcome, error) {
	return post[Outcome](ctx, c, "/v1/nodes/"+url.PathEscape(name)+"/"+url.PathEscape(verb), v)
}

// Fence asks what the node knows about fencing.
func (c *Client) Fence(ctx context.Context) (*Fence, error) {
	return get[Fence](ctx, c, "/v1/fence")
}

// FenceNode does one of FenceVerbs to a node.
func (c *Client) FenceNode(ctx context.Context, name, verb string, v FenceVerb) (*Outcome, error) {
	return post[Outcome](ctx, c, "/v1/fence/"+url.PathEscape(name)+"/"+url.PathEscape(verb), v)
}

// Force makes the node's half the cluster, or says what that could cost.
func (c *Client) Force(ctx context.Context, f Force) (*Forcing, error) {
	return post[Forcing](ctx, c, "/v1/cluster/force", f)
}

// Acknowledge ends the warning about a superseded history.
func (c *Client) Acknowledge(ctx context.Context, v Verb) (*Outcome, error) {
	return post[Outcome](ctx, c, "/v1/cluster/acknowledge", v)
}

// Token asks for a join token.
func (c *Client) Token(ctx context.Context) (*Token, error) {
	return post[Token](ctx, c, "/v1/tokens", struct{}{})
}

// Leave takes the node out of the cluster.
func (c *Client) Leave(ctx context.Context, v Verb) (*Outcome, error) {
	return post[Outcome](ctx, c, "/v1/leave", v)
}

// Shutdown stops the daemon.
func (c *Client) Shutdown(ctx context.Context, keep bool) error {
	_, err := post[Outcome](ctx, c, "/v1/shutdown", Stop{Keep: keep})
	return err
}

// Events calls yield for each event; with q.Follow until ctx ends, which is no error.
func (c *Client) Events(ctx context.Context, q EventQuery, yield func(Event) error) error {
	v := url.Values{}
	if q.After > 0 {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Follow {
		v.Set("follow", "true")
	}
	if q.AllNodes {
		v.Set("all", "true")
	}
	if q.Resource != "" {
		v.Set("resource", q.Resource)
	}
	resp, err := c.do(ctx, http.MethodGet, "/v1/events?"+v.Encode(), nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	err = readEvents(resp.Body, yield)
	if ctx.Err() != nil {
		return nil
	}
	return err
}

func get[T any](ctx context.Context, c *Client, path string) (*T, error) {
	return receive[T](c)(c.do(ctx, http.MethodGet, path, nil))
}

func post[T any](ctx context.Context, c *Client, path string, body any) (*T, error) {
	raw, err := json.Marshal(body)
	if err != nil {
		return nil, errs.E("ask the daemon", errs.Invalid, "", "", err)
	}
	return receive[T](c)(c.do(ctx, http.MethodPost, path, raw))
}

func receive[T any](c *Client) func(*http.Response, error) (*T, error) {
	return func(resp *http.Response, err error) (*T, error) {
		if err != nil {
			return nil, err
		}
		defer resp.Body.Close()
		v := new(T)
		if err := json.NewDecoder(io.LimitReader(resp.Body, maxResponse)).Decode(v); err != nil {
			return nil, c.broken(err)
		}
		return v, nil
	}
}

// do sends a request and returns the response of a success.
func (c *Client) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://takt"+path, bytes.NewReader(body))
	if err != nil {
		return nil, errs.E("ask the daemon", errs.Invalid, path, "", err)
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	var f Failed
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxBody)).Decode(&f); err != nil || f.Error == "" {
		f = Failed{Error: fmt.Sprintf("ask the daemon %s: %s", c.where, resp.Status)}
	}
	return nil, errorOf(f)
}

// unreachable explains why no answer came.
func (c *Client) unreachable(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	const start = "Start it with \"systemctl start takt\", or by hand with \"takt daemon\"; its log: \"journalctl -u takt\"."
	switch {
	case errors.Is(err, fs.ErrPermission):
		return errs.E("reach the daemon at", errs.Permission, c.where, "Run it as root, or become a member of the group takt.", err)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return errs.E("reach the daemon at", errs.Unavailable, c.where, start, errors.New("it does not run"))
	case errors.Is(err, context.DeadlineExceeded):
		return errs.E("ask the daemon at", errs.Timeout, c.where, "", errors.New("no answer in time"))
	case errors.Is(err, context.Canceled):
		return errs.E("ask the daemon at", errs.Other, c.where, "", errors.New("interrupted"))
	}
	return errs.E("ask the daemon at", errs.Unavailable, c.where, start, err)
}

// broken is an answer that ends in the middle.
func (c *Client) broken(err error) error {
	return errs.E("read the answer of", errs.Timeout, c.where, "What was asked may have been done: see \"takt status\" and \"takt events\".", err)
}
