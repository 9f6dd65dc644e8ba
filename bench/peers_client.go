package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/takt-ha/takt/lab"
)

// observe asks the service every 2 ms until the window after do has passed, and
// returns the longest gap that ended after do began, in ms.
func (b *bench) observe(ctx context.Context, window time.Duration, do func() error) (float64, error) {
	probing, stop := context.WithCancel(ctx)
	defer stop()
	first := make(chan struct{}, 1)
	done := make(chan *lab.Report, 1)
	go func() {
		r, _ := b.lab.Probe(probing, lab.Client, lab.ProbeOptions{Address: service + ":80", Interval: 2 * time.Millisecond}, func(a lab.Attempt) {
			if a.Error == "" {
				select {
				case first <- struct{}{}:
				default:
				}
			}
		})
		done <- r
	}()
	select {
	case <-first:
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-time.After(15 * time.Second):
		return 0, errors.New("the client got no answer within 15 s")
	}
	began := time.Now()
	if err := do(); err != nil {
		return 0, err
	}
	select {
	case <-time.After(window):
	case <-ctx.Done():
	}
	stop()
	return longestSince(<-done, began, window)
}

// longestSince refuses a report whose outage never ended, and one without any:
// then the step did not do what it says.
func longestSince(r *lab.Report, began time.Time, window time.Duration) (float64, error) {
	if r == nil {
		return 0, errors.New("the client gave no report")
	}
	longest := 0.0
	for _, g := range r.Gaps {
		switch {
		case g.Start+int64(g.Length*1e6) < began.UnixNano():
		case g.After == "":
			return 0, fmt.Errorf("the service did not answer again within %s", window)
		default:
			longest = max(longest, g.Length)
		}
	}
	if longest == 0 {
		return 0, errors.New("the client noticed nothing")
	}
	return longest, nil
}

// start runs a script in a node; what it leaves in the background stays there
// until the node dies.
func (b *bench) start(ctx context.Context, node, script string) error {
	_, err := b.lab.Exec(ctx, node, "sh", "-ec", script)
	return err
}

// serve is a script line that starts the web service on all of a node's
// addresses, for peers that manage the address alone.
func (b *bench) serve() string {
	return "setsid '" + b.takt + "' lab serve --listen 0.0.0.0:80 >/dev/null 2>&1 &\n"
}

// file writes a file that every node sees under the path that it returns.
func (b *bench) file(name, content string) (string, error) {
	path := filepath.Join(b.lab.Dir(), name)
	return path, os.WriteFile(path, []byte(content), 0o600)
}

// holder returns the one node that has the service's address.
func (b *bench) holder() (string, error) {
	st, err := b.lab.Status()
	if err != nil {
		return "", err
	}
	var all []string
	for _, n := range st.Nodes {
		if slices.Contains(n.Addresses, service) {
			all = append(all, n.Name)
		}
	}
	if len(all) != 1 {
		return "", fmt.Errorf("%s is on %v, not on one node", service, all)
	}
	return all[0], nil
}
