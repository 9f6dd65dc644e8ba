package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/takt-ha/takt/internal/mesh"
)

// proposeProto is the ALPN name under which followers hand requests to the
// leader: HTTP/1.1, one POST of a request, answered by an answer.
const proposeProto = "takt-propose/1"

// forward sends a request to the leader. It gives up as soon as somebody else
// leads: the old leader may never answer.
func (s *Store) forward(ctx context.Context, lead Leadership, req request) answer {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	news, unsubscribe := s.leadNews.subscribe()
	defer unsubscribe()
	result := make(chan answer, 1)
	go func() { result <- s.post(ctx, lead, req) }()
	for {
		select {
		case a := <-result:
			return a
		case <-news:
			if now := s.Leadership(); now.Leader == lead.Leader && now.Term == lead.Term {
				continue
			}
		case <-s.ctx.Done():
		}
		cancel()
		return <-result
	}
}

func (s *Store) post(ctx context.Context, lead Leadership, req request) answer {
	body, err := json.Marshal(req)
	if err != nil {
		return answer{Retry: err.Error()}
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+mesh.Host(uint64(lead.Leader))+"/", bytes.NewReader(body))
	if err != nil {
		return answer{Retry: err.Error()}
	}
	resp, err := s.client.RoundTrip(hr)
	if err != nil {
		return answer{Retry: fmt.Sprintf("the leader, node %d, does not answer: %v", lead.Leader, err), Lost: true}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{Retry: fmt.Sprintf("the leader, node %d, broke off: %v", lead.Leader, err), Lost: true}
	}
	var a answer
	if resp.StatusCode != http.StatusOK || json.Unmarshal(b, &a) != nil {
		return answer{Retry: fmt.Sprintf("node %d answered %s: %.100q", lead.Leader, resp.Status, b), Lost: true}
	}
	return a
}

// proposeHandler is the leader's side of forward.
func (s *Store) proposeHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if mesh.PeerOf(r.Context()) == 0 {
			http.Error(w, "only nodes of the cluster may propose", http.StatusForbidden)
			return
		}
		if !s.enter() {
			http.Error(w, "the store has stopped", http.StatusServiceUnavailable)
			return
		}
		defer s.wg.Done()
		req, err := readRequest(http.MaxBytesReader(w, r.Body, maxRecord))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		b, err := json.Marshal(s.submit(r.Context(), req))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(b) // a proposer that is gone asks again
	})
}

// readRequest decodes and checks what another node asks.
func readRequest(r io.Reader) (request, error) {
	var req request
	b, err := io.ReadAll(r)
	if err != nil {
		return req, err
	}
	if err := json.Unmarshal(b, &req); err != nil {
		return req, err
	}
	if (req.Member == nil) == (len(req.Command) == 0) {
		return req, fmt.Errorf("a request carries one command or one membership change")
	}
	if req.Member != nil {
		return req, nil
	}
	c, err := decodeCommand(req.Command)
	if err == nil && (c.Change == nil || c.ID != req.ID) {
		err = fmt.Errorf("the command is not the request's change")
	}
	return req, err
}
