package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/takt-ha/takt/internal/errs"
)

// The kinds of attributes.
const (
	AttrReboot  = "reboot"  // of a node, until it is restarted: promotion scores and what else agents say
	AttrForever = "forever" // of a node, in the configuration
	AttrCluster = "cluster" // a cluster option, or a property in a set of its own
)

// Attribute is a named value that agents and people keep in the CIB:
// GET and POST /v1/attributes.
type Attribute struct {
	Kind   string `json:"kind,omitempty"` // "": AttrReboot
	Node   string `json:"node,omitempty"` // whose; "": of the answering node
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Delete bool   `json:"delete,omitempty"`
	Set    string `json:"set,omitempty"` // id of the property set of AttrCluster; "": that of the cluster's options
	User   string `json:"user,omitempty"`
}

// validate refuses what no CIB could hold.
func (a *Attribute) validate() error {
	if a.Kind == "" {
		a.Kind = AttrReboot
	}
	if kinds := []string{AttrReboot, AttrForever, AttrCluster}; !slices.Contains(kinds, a.Kind) {
		return errs.E("keep an attribute", errs.Invalid, a.Name, "", fmt.Errorf("kind %q: want one of %v", a.Kind, kinds))
	}
	if a.Name == "" {
		return errs.E("keep an attribute", errs.Invalid, "", "", errors.New("want its name"))
	}
	return nil
}

func (s *server) attribute(_ http.ResponseWriter, r *http.Request) (any, error) {
	q := r.URL.Query()
	a := Attribute{Kind: q.Get("kind"), Node: q.Get("node"), Name: q.Get("name"), Set: q.Get("set")}
	if err := a.validate(); err != nil {
		return nil, err
	}
	return s.backend.Attribute(r.Context(), a)
}

func (s *server) setAttribute(w http.ResponseWriter, r *http.Request) (any, error) {
	var a Attribute
	err := decode(w, r, maxBody, &a)
	if err == nil {
		err = a.validate()
	}
	if err != nil {
		return nil, err
	}
	a.User = CallerOf(r.Context()).author(a.User)
	return s.backend.SetAttribute(r.Context(), a)
}

// Attribute asks for the value of an attribute; errs.NotFound: it has none.
func (c *Client) Attribute(ctx context.Context, a Attribute) (*Attribute, error) {
	v := url.Values{"kind": {a.Kind}, "node": {a.Node}, "name": {a.Name}, "set": {a.Set}}
	return get[Attribute](ctx, c, "/v1/attributes?"+v.Encode())
}

// SetAttribute sets or deletes an attribute.
func (c *Client) SetAttribute(ctx context.Context, a Attribute) (*Outcome, error) {
	return post[Outcome](ctx, c, "/v1/attributes", a)
}
