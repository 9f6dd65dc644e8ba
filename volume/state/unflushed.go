package state

import "github.com/takt-ha/takt/volume"

// A primary without good data of its own reads and writes at its peers. What a peer acknowledged and did not flush is gone when
// its machine loses power or is restarted, while the application that wrote it goes on here and relies on it. Nobody
// else has it, unless another peer was in step. So the primary notes what was at stake when it lost the peer; when that
// comes back from another boot, the primary stops, as a disk that lost its cache would report errors.

// atStake notes what p, which is lost, may lose. It is counted on by the shell, and told again at the next loss.
func (m *Machine) atStake(p *peer, in PeerDown) {
	if in.Unflushed > 0 && m.role == volume.Primary && m.disk != volume.UpToDate {
		p.unflushed, p.unflushedBoot = in.Unflushed, p.boot
	}
}

// backFrom takes note of the boot that p comes from. A replica in step has whatever p has lost.
func (m *Machine) backFrom(p *peer, boot string) {
	lost, was := p.unflushed, p.unflushedBoot
	p.boot, p.unflushed, p.unflushedBoot = boot, 0, ""
	if lost == 0 || boot == was || m.role != volume.Primary || m.disk == volume.UpToDate {
		return
	}
	for _, q := range m.peers {
		if q != p && q.inSync() {
			return
		}
	}
	m.stop("the machine of node " + p.node.Name + " was restarted or lost power, and with it " + bytes(lost) +
		" that had been acknowledged here and not been flushed there; stop what uses the volume, and make this node secondary")
}
