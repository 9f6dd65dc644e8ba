package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/pool"
)

// Way is how a service is forwarded.
type Way struct {
	Forwarder string `json:"forwarder,omitempty"` // "": nobody can
	Note      string `json:"note,omitempty"`      // what is done otherwise than asked for
	Error     string `json:"error,omitempty"`     // why it is not forwarded
}

// Plan says who would forward each service of a configuration, and how, once all its servers are up. Nothing is asked of the kernel but
// what it can do.
func Plan(c *director.Config, ways []Named) map[director.ID]Way {
	up := slices.Clone(c.Servers)
	for i := range up {
		up[i].Alpha, up[i].Servers = false, slices.Clone(up[i].Servers)
		for k := range up[i].Servers {
			up[i].Servers[k].Alpha = false
		}
	}
	f := &forwarding{log: slog.New(slog.DiscardHandler)}
	out := map[director.ID]Way{}
	var missing error
	for _, w := range ways {
		if err := w.Usable(); err != nil {
			missing = errors.Join(missing, fmt.Errorf("%s: %w", w.Name, err))
			continue
		}
		f.ways = append(f.ways, w)
	}
	for _, e := range pool.New().Step(pool.Reload{Servers: up}) {
		if t, is := e.(pool.Table); is {
			out, _ = f.route(t.Services)
		}
	}
	for id, w := range out {
		switch {
		case w.Forwarder != "" || missing == nil:
		case len(f.ways) == 0:
			out[id] = Way{Error: missing.Error()}
		default:
			out[id] = Way{Error: missing.Error() + "\n" + w.Error}
		}
	}
	return out
}

// Untuned says which settings of a configuration no way of forwarding here carries out; "" if there are none.
func Untuned(g *director.Global, ways []Named) string {
	usable := slices.DeleteFunc(slices.Clone(ways), func(w Named) bool { return w.Usable() != nil })
	return untuned(&director.Tuning{Timeouts: g.Timeouts, Sync: g.SyncDaemon}, usable)
}

func untuned(t *director.Tuning, ways []Named) string {
	tunes := func(w Named) bool {
		_, is := w.Forwarder.(Tuner)
		return is
	}
	if t.Sync == nil && t.Timeouts == (director.Timeouts{}) || slices.ContainsFunc(ways, tunes) {
		return ""
	}
	what := "lvs_timeouts has"
	if t.Sync != nil {
		what = "lvs_sync_daemon (and lvs_timeouts) has"
	}
	return what + " no effect: there is no IPVS here"
}

// ForwarderStatus is a way of forwarding that this machine does not have.
type ForwarderStatus struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// route gives each service to a forwarder.
func (f *forwarding) route(want []director.Service) (map[director.ID]Way, [][]director.Service) {
	routes, to := map[director.ID]Way{}, make([]int, len(want))
	for i, s := range want {
		to[i], routes[s.ID()] = f.choose(s)
	}
	shadows(want, to, routes)
	parts := make([][]director.Service, len(f.ways))
	for i, s := range want {
		if routes[s.ID()].Forwarder != "" {
			parts[to[i]] = append(parts[to[i]], s)
		}
		f.tell(s, routes[s.ID()])
	}
	return routes, parts
}

// choose finds the first way that can carry a service.
func (f *forwarding) choose(s director.Service) (int, Way) {
	var why error
	for i, w := range f.ways {
		note, err := w.Can(s)
		if err == nil {
			return i, Way{Forwarder: w.Name, Note: reasons(why, note)}
		}
		why = errors.Join(why, fmt.Errorf("%s: %w", w.Name, err))
	}
	if why == nil {
		why = errors.New("this kernel has neither IPVS nor nftables")
	}
	return -1, Way{Error: why.Error()}
}

// shadows refuses services of all ports that would take packets of others: a later way comes first in a packet's way, and does not know
// what an earlier one carries.
func shadows(want []director.Service, to []int, routes map[director.ID]Way) {
	all := map[director.ID]int{}
	for i, s := range want {
		if s.Key.Mark == 0 && s.Key.Addr.Port() == 0 && to[i] > 0 {
			all[s.ID()] = to[i]
		}
	}
	for i, s := range want {
		id := s.ID()
		id.Key.Addr = netip.AddrPortFrom(id.Key.Addr.Addr(), 0)
		if later, is := all[id]; is && to[i] >= 0 && to[i] < later {
			w := routes[id]
			routes[id] = Way{Error: fmt.Sprintf("%s would take what comes to %s, which %s carries: %s", w.Forwarder, s.Key, routes[s.ID()].Forwarder, w.Note)}
			delete(all, id)
		}
	}
}

// reasons are why no better way was taken, and what is done otherwise than asked for.
func reasons(why error, note string) string {
	if why == nil {
		return note
	}
	text := strings.ReplaceAll(why.Error(), "\n", "; ")
	if note == "" {
		return text
	}
	return text + "; " + note
}

// tell says once how a service is forwarded, where that is not as asked for.
func (f *forwarding) tell(s director.Service, w Way) {
	f.mu.Lock()
	same := f.routes[s.ID()] == w
	f.mu.Unlock()
	switch {
	case same:
	case w.Error != "":
		f.log.Error("a virtual server is not forwarded", "virtual", s.Key.String(), "why", w.Error)
	case w.Note != "":
		f.log.Warn("a virtual server is not forwarded as asked for", "virtual", s.Key.String(), "forwarder", w.Forwarder, "note", w.Note)
	}
}
