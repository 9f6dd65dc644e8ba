package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"github.com/takt-ha/takt/internal/errs"
)

// VolumeSet is what the cluster has recorded about a volume's replicas, as one node sees it:
// GET /v1/volumes/NAME/set, a stream that begins with what is and goes on with each change.
type VolumeSet struct {
	Version uint64   `json:"version"` // grows with each change; 0: nothing was recorded yet
	Members []string `json:"members"` // nodes whose replicas are up to date
	By      string   `json:"by"`      // the node that asked for this record: the primary, or who was about to be
	Quorate bool     `json:"quorate"` // it can be changed from here
	Lost    []string `json:"lost"`    // nodes that the cluster counts as gone: nothing is to be expected of them
	Leaving string   `json:"leaving"` // why what runs here is being stopped without quorum; "": it is not
}

// VolumeChange asks to record another set, if nobody has changed it since Version:
// POST /v1/volumes/NAME/set. The answer is what was recorded; errs.Conflict: somebody was faster.
type VolumeChange struct {
	Version uint64   `json:"version"`
	Members []string `json:"members"`
	By      string   `json:"by"` // the node that asks; empty: the one whose daemon is asked
	Why     string   `json:"why"`
}

// VolumeKey is what the replicas of a volume have in common by belonging to one cluster:
// GET /v1/volumes/NAME/key, for whoever may see the cluster's keys.
type VolumeKey struct {
	ID     string `json:"id"`     // of the volume: 32 hex digits
	Secret string `json:"secret"` // of the encryption between its nodes
}

// volumeSet streams newline-delimited JSON, each line flushed at once.
func (s *server) volumeSet(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush, enc := http.NewResponseController(w), json.NewEncoder(w)
	err := s.backend.VolumeSet(r.Context(), r.PathValue("name"), func(v VolumeSet) error {
		if err := enc.Encode(v); err != nil {
			return err
		}
		return flush.Flush()
	})
	if err != nil && r.Context().Err() == nil {
		s.log.Debug("a volume hears no more of its set", "volume", r.PathValue("name"), "err", err)
	}
}

func (s *server) changeVolumeSet(w http.ResponseWriter, r *http.Request) (any, error) {
	var c VolumeChange
	if err := decode(w, r, maxBody, &c); err != nil {
		return nil, err
	}
	if len(c.Members) == 0 {
		return nil, errs.E("record the up-to-date replicas", errs.Invalid, r.PathValue("name"), "", errors.New("want at least one"))
	}
	return s.backend.ChangeVolumeSet(r.Context(), r.PathValue("name"), c)
}

func (s *server) volumeKey(_ http.ResponseWriter, r *http.Request) (any, error) {
	if !CallerOf(r.Context()).mayRead() {
		return nil, errs.E("tell the key of a volume", errs.Permission, r.PathValue("name"), "Run it as root.", errors.New("only root may see it"))
	}
	return s.backend.VolumeKey(r.Context(), r.PathValue("name"))
}

// VolumeSet calls yield with what is recorded now and with each change, until ctx ends, which is no error, or
// the daemon does.
func (c *Client) VolumeSet(ctx context.Context, name string, yield func(VolumeSet) error) error {
	resp, err := c.do(ctx, http.MethodGet, "/v1/volumes/"+url.PathEscape(name)+"/set", nil)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	lines := bufio.NewScanner(resp.Body)
	for lines.Scan() {
		var v VolumeSet
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			return c.broken(err)
		}
		if err := yield(v); err != nil {
			return err
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err := lines.Err(); err != nil {
		return c.broken(err)
	}
	return c.broken(io.EOF)
}

// ChangeVolumeSet asks to record another set.
func (c *Client) ChangeVolumeSet(ctx context.Context, name string, v VolumeChange) (*VolumeSet, error) {
	return post[VolumeSet](ctx, c, "/v1/volumes/"+url.PathEscape(name)+"/set", v)
}

// VolumeKey asks for the identity and the secret of a volume of the cluster.
func (c *Client) VolumeKey(ctx context.Context, name string) (*VolumeKey, error) {
	return get[VolumeKey](ctx, c, "/v1/volumes/"+url.PathEscape(name)+"/key")
}
