package router

import (
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"sync"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/internal/netif"
)

// Static holds addresses, routes and rules that stay whatever the state of the instances is. What was there before it came
// is left there when it goes.
type Static struct {
	hands *hands

	mu   sync.Mutex
	want director.Routing   // guarded by mu
	mine []director.Address // guarded by mu; those of want.Addresses that were added here
	put  map[string]bool    // guarded by mu; of what has no_track: what was there once, and is not put back
}

// OpenStatic returns a Static that holds nothing yet. It needs CAP_NET_ADMIN to hold something.
func OpenStatic(log *slog.Logger) (*Static, error) {
	session, err := netif.OpenSession()
	if err != nil {
		return nil, errs.E("open netlink", errs.Permission, "", "Run it as root, or with CAP_NET_ADMIN.", err)
	}
	return &Static{hands: &hands{log: log, session: session, links: map[string]netif.Link{}}, put: map[string]bool{}}, nil
}

// Set takes what is no longer wanted away, and adds what is new.
func (s *Static) Set(want director.Routing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.see()
	old := s.want
	s.want, s.put = want, map[string]bool{}
	for _, x := range without(old.Rules, want.Rules, func(x *director.Rule) { x.Pos = director.Pos{} }) {
		s.tell("a static rule cannot be removed", s.hands.session.RemoveRule(rule(&x)))
	}
	for _, x := range without(old.Routes, want.Routes, func(x *director.Route) { x.Pos = director.Pos{} }) {
		s.tell("a static route cannot be removed", s.hands.session.RemoveRoute(s.hands.route(nowhere, &x)))
	}
	for _, x := range without(s.mine, want.Addresses, noPos) {
		s.tell("a static address cannot be removed", s.hands.session.Remove(address(&x, s.hands.links[x.Interface].Index)))
		s.mine = slices.DeleteFunc(s.mine, func(m director.Address) bool { return reflect.DeepEqual(m, x) })
	}
	s.putLocked(true)
}

// nowhere is the instance of what belongs to none.
var nowhere = &director.Instance{}

func noPos(x *director.Address) { x.Pos = director.Pos{} }

// Restore puts back what somebody took away, and adds what could not be added before, because its interface was not there.
func (s *Static) Restore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.want.Addresses)+len(s.want.Routes)+len(s.want.Rules) > 0 {
		s.see()
		s.putLocked(false)
	}
}

// putLocked adds all that is wanted; mu is held. What is there already stays.
func (s *Static) putLocked(loud bool) {
	say := s.tell
	if !loud {
		say = func(string, error) {} // it was told at the first time
	}
	for _, x := range s.want.Addresses {
		l, there := s.hands.links[x.Interface]
		if !there {
			if loud {
				s.hands.log.Warn("a static address waits for its interface", "address", x.Prefix, "interface", x.Interface)
			}
			continue
		}
		if noPos(&x); s.leftAlone(x.NoTrack, x) {
			continue
		}
		existed, err := s.hands.session.Add(address(&x, l.Index))
		say("a static address cannot be added", err)
		s.note(x, err)
		if err == nil && !existed && !slices.ContainsFunc(s.mine, func(m director.Address) bool { return reflect.DeepEqual(m, x) }) {
			s.mine = append(s.mine, x)
		}
	}
	for _, x := range s.want.Routes {
		if !s.leftAlone(x.NoTrack, x) {
			err := s.hands.session.AddRoute(s.hands.route(nowhere, &x))
			say("a static route cannot be added", err)
			s.note(x, err)
		}
	}
	for _, x := range s.want.Rules {
		if !s.leftAlone(x.NoTrack, x) {
			err := s.hands.session.AddRule(rule(&x))
			say("a static rule cannot be added", err)
			s.note(x, err)
		}
	}
}

// leftAlone says whether something was there once, and is not put back (no_track). mu is held.
func (s *Static) leftAlone(noTrack bool, x any) bool { return noTrack && s.put[fmt.Sprint(x)] }

// note keeps in mind what is there now; mu is held.
func (s *Static) note(x any, err error) {
	if err == nil {
		s.put[fmt.Sprint(x)] = true
	}
}

func (s *Static) see() {
	links, err := netif.Links()
	if err != nil {
		s.tell("the interfaces cannot be read", err)
		return
	}
	clear(s.hands.links)
	for _, l := range links {
		s.hands.links[l.Name] = l
	}
}

func (s *Static) tell(what string, err error) {
	if err != nil {
		s.hands.log.Error(what, "error", err)
	}
}

// without returns what is in a and not in b, wherever it stands in the file.
func without[T any](a, b []T, plain func(*T)) []T {
	var out []T
	for _, x := range a {
		plain(&x)
		if !slices.ContainsFunc(b, func(y T) bool { plain(&y); return reflect.DeepEqual(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}

// Close takes away what was added.
func (s *Static) Close() {
	s.Set(director.Routing{})
	s.hands.session.Close()
}
