package api

import (
	"bytes"
	"cmp"
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
	far   bool   // it is another node's daemon
	http  *http.Client
}

// NewClient returns a client of the daemon behind a unix socket ("":
// DefaultSocket). It connects when it is used.
func NewClient(socket string) *Client {
	if socket == "" {
		socket = DefaultSocket
	}
	return newClient(socket, func(ctx context.Context) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	})
}

// NewClientDial returns a client of another node's daemon that connects by dial, as
// through the mesh; node names it in messages.
func NewClientDial(node string, dial func(ctx context.Context) (net.Conn, error)) *Client {
	c := newClient(node, dial)
	c.far = true
	return c
}

func newClient(where string, dial func(ctx context.Context) (net.Conn, error)) *Client {
	return &Client{where: where, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			conn, err := dial(ctx)
			if err != nil {
				return nil, &undialed{err}
			}
			return conn, nil
		},
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
		return nil, c.unreachable(err, method == http.MethodGet)
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

// unreachable explains why no answer came. asks says that the request changes nothing.
func (c *Client) unreachable(err error, asks bool) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var way *undialed
	switch {
	case errors.Is(err, fs.ErrPermission):
		return errs.E("reach the daemon at", errs.Permission, c.where, "Run it as root, or become a member of the group takt.", err)
	case errors.Is(err, context.Canceled):
		return errs.E("ask the daemon at", errs.Other, c.where, "", errors.New("interrupted"))
	case errors.As(err, &way):
		return c.undialed(way.error)
	case errors.Is(err, context.DeadlineExceeded):
		return errs.E("ask the daemon at", errs.Timeout, c.where, c.mayBeDone(asks), errors.New("no answer in time"))
	case asks:
		return errs.E("ask the daemon at", errs.Unavailable, c.where, c.mayBeDone(asks), c.lost(err))
	}
	return errs.E("wait for the answer of", errs.Timeout, c.where, c.mayBeDone(asks), c.lost(err))
}

// undialed explains why there was no connection: nothing was asked.
func (c *Client) undialed(err error) error {
	absent := errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return errs.E("reach the daemon at", errs.Timeout, c.where, c.mayBeDone(true), errors.New("no connection in time"))
	case c.far && absent:
		return errs.E("reach the daemon at", errs.Unavailable, c.where,
			"See \"takt status\"; start it there with \"systemctl start takt\".", errors.New("it does not run"))
	case c.far:
		return errs.E("reach the daemon at", errs.Unavailable, c.where, cmp.Or(errs.HintOf(err), c.mayBeDone(true)), err)
	case absent:
		err = errors.New("it does not run")
	}
	return errs.E("reach the daemon at", errs.Unavailable, c.where,
		"Start it with \"systemctl start takt\", or by hand with \"takt daemon\"; its log: \"journalctl -u takt\".", err)
}

// lost says how a connection ended on which an answer was awaited. Which end closed it
// is the same to whoever asked: what the heartbeats call lost, this node cuts off itself.
func (c *Client) lost(err error) error {
	switch {
	case errors.Is(err, net.ErrClosed) && c.far, errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH):
		return errors.New("contact with it was lost before it answered: it is off, or cut off")
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return errors.New("it ended before it answered")
	}
	return err
}

// mayBeDone is what to do when the answer is missing.
func (c *Client) mayBeDone(asks bool) string {
	if asks {
		return "See \"takt status\", and try again."
	}
	return "What was asked may have been done: see \"takt status\" and \"takt events\" before you ask again."
}

// broken is an answer that ends in the middle.
func (c *Client) broken(err error) error {
	return errs.E("read the answer of", errs.Timeout, c.where, c.mayBeDone(false), c.lost(err))
}

// undialed is the failure of a connection to come about.
type undialed struct{ error }

// Unwrap returns the cause.
func (u *undialed) Unwrap() error { return u.error }
