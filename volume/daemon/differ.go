package daemon

import (
	"math"
	"reflect"

	"github.com/takt-ha/takt/volume"
)

// differ turns successive statuses into events: what there is, then what has changed. Pure.
type differ struct{ last volume.Status }

func newDiffer(s volume.Status) *differ { return &differ{s} }

// all is what there is, ended by an event with the action "-".
func (d *differ) all(now int64) []volume.Event {
	s := d.last
	out := []volume.Event{d.event(now, "exists", "", stateOf(s))}
	for _, c := range s.Peers {
		out = append(out, d.event(now, "exists", c.Name, connectionOf(c)))
	}
	end := d.event(now, "-", "", nil)
	return append(out, end)
}

// next is what differs from the last status.
func (d *differ) next(s volume.Status, now int64) []volume.Event {
	was := d.last
	d.last = s
	var out []volume.Event
	if is := stateOf(s); !reflect.DeepEqual(is, stateOf(was)) {
		out = append(out, d.event(now, "change", "", is))
	}
	for i, c := range s.Peers {
		if is := connectionOf(c); i >= len(was.Peers) || !reflect.DeepEqual(is, connectionOf(was.Peers[i])) {
			out = append(out, d.event(now, "change", c.Name, is))
		}
	}
	return out
}

func (d *differ) event(now int64, action, peer string, s *volume.State) volume.Event {
	kind := "volume"
	if peer != "" {
		kind = "connection"
	}
	return volume.Event{Time: now, Action: action, Kind: kind, Name: d.last.Name, Node: d.last.Node, Peer: peer, State: s}
}

func stateOf(s volume.Status) *volume.State {
	quorum := s.Quorum
	return &volume.State{Role: s.Role.String(), Disk: s.Disk.String(), Size: s.Size, Quorum: &quorum, Suspended: s.Frozen}
}

// connectionOf leaves out what changes with every write: only while nothing is in step the bytes that differ count.
func connectionOf(c volume.ConnectionInfo) *volume.State {
	out := &volume.State{Connection: c.State.String(), PeerRole: c.Role.String(), PeerDisk: c.Disk.String()}
	if c.Sync != nil {
		percent := math.Floor(c.Sync.Percent)
		out.Percent = &percent
	} else if c.State == volume.Connected {
		out.OutOfSync = &c.OutOfSync
	}
	return out
}
