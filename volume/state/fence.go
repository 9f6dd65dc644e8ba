package state

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/takt-ha/takt/volume"
)

// hook runs a handler if there is one, and says whether it does. p is the peer that it is about, or nil.
func (m *Machine) hook(name string, p *peer) bool {
	if m.cfg.Hooks[name] == "" {
		return false
	}
	r := RunHook{Hook: name, Env: m.hookEnv(p)}
	if p != nil {
		r.Peer = p.id
	}
	m.emit(r)
	return true
}

// hookEnv is what DRBD's handlers find in their environment (drbd.conf(5), the scripts that come with drbd-utils).
func (m *Machine) hookEnv(p *peer) map[string]string {
	env := map[string]string{
		"DRBD_RESOURCE": m.cfg.Name, "DRBD_VOLUME": "0", "DRBD_MINOR": strconv.Itoa(m.cfg.Minor),
		"DRBD_MY_NODE_ID": id(m.cfg.Self), "DRBD_LL_DISK": m.self.Disk, "DRBD_BACKING_DEV": m.self.Disk,
	}
	env["DRBD_MY_AF"], env["DRBD_MY_ADDRESS"] = address(m.self.Address)
	var names []string
	for _, n := range m.cfg.Nodes {
		env["DRBD_NODE_ID_"+id(n.ID)] = n.Name
		if n.ID != m.cfg.Self {
			names = append(names, n.Name)
		}
	}
	env["DRBD_PEERS"] = strings.Join(names, " ")
	if p == nil && len(m.peers) == 1 {
		p = m.peers[0]
	}
	if p != nil {
		env["DRBD_PEER"], env["DRBD_PEER_NODE_ID"], env["DRBD_CSTATE"] = p.node.Name, id(p.id), p.conn.String()
		env["DRBD_PEER_AF"], env["DRBD_PEER_ADDRESS"] = address(p.node.Address)
	}
	return env
}

func id(n volume.NodeID) string { return strconv.Itoa(int(n)) }

// address splits HOST:PORT into what DRBD calls the family and the address.
func address(hostPort string) (family, host string) {
	host = hostPort
	if i := strings.LastIndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	host = strings.Trim(host, "[]")
	if strings.Contains(host, ":") {
		return "ipv6", host
	}
	return "ipv4", host
}

// fences says whether peers that are away are to be fenced.
func (m *Machine) fences() bool {
	return (m.cfg.Fence == "resource-only" || m.cfg.Fence == "resource-and-stonith") && m.cfg.Hooks["fence-peer"] != ""
}

// fence begins to make sure that p, which is away, does not become primary with old data.
func (m *Machine) fence(p *peer) {
	if !m.fences() || p.fencing || m.super.PeerOutdated[p.id] {
		return
	}
	p.fencing, p.failed = true, 0
	m.peerEvent(p, "fence", "node "+p.node.Name+" is being fenced: "+m.cfg.Hooks["fence-peer"])
	m.hook("fence-peer", p)
}

// unfence undoes it when p has everything again.
func (m *Machine) unfence(p *peer) {
	if p.fenced {
		p.fenced = false
		m.hook("unfence-peer", p)
	}
}

func (m *Machine) onHook(in HookEnded) {
	p := m.peer(in.Peer)
	switch in.Hook {
	case "fence-peer":
		if p != nil && p.fencing {
			p.fencing = false
			m.fenceEnded(p, in.Code)
		}
	case "before-resync-target":
		if p != nil && p.hooked {
			p.hooked = false
			m.hookedTarget(p, in.Code)
		}
	}
}

// fenceEnded reads the exit code of fence-peer as DRBD documents it.
func (m *Machine) fenceEnded(p *peer, code int) {
	name := p.node.Name
	switch code {
	case 3, 4, 7:
		words := map[int]string{3: "its data is inconsistent", 4: "its data is outdated now", 7: "it was switched off"}[code]
		m.fencedOut(p, "node "+name+" is fenced: "+words)
	case 5:
		if m.disk == volume.UpToDate {
			m.fencedOut(p, "node "+name+" cannot be reached by the handler either and counts as off")
			return
		}
		p.failed = code
	case 6:
		p.failed = code
		m.peerEvent(p, "fence", "node "+name+" refused to be fenced: it is primary")
		if m.role != volume.Primary && m.attached && m.disk > volume.Outdated {
			m.setDisk(volume.Outdated, "node "+name+" is primary and goes on without this node")
		}
	default:
		p.failed = code
		if p.failed == 0 {
			p.failed = -1 // it has no meaning for this handler
		}
		m.peerEvent(p, "fence", fmt.Sprintf("the handler fence-peer for node %s failed with exit code %d", name, code))
	}
}

func (m *Machine) fencedOut(p *peer, words string) {
	p.fenced, p.failed, p.dualLost = true, 0, ""
	if m.attached {
		m.super.PeerOutdated[p.id] = true
	}
	m.peerEvent(p, "fence", words)
}

// hookedTarget: the handler before a resync has ended.
func (m *Machine) hookedTarget(p *peer, code int) {
	if code == 0 {
		p.ready = true
		return
	}
	m.refuse(p, fmt.Sprintf("the handler before-resync-target ended with %d on node %s, so its data is not overwritten", code, m.self.Name))
}
