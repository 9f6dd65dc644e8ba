package vrrp

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/takt-ha/takt/director"
)

// handOver is the longest skew time after priority 0. It lets backups come one after the other in the order of their
// priorities, as far apart as a network's way takes, and hands over within a few milliseconds.
const handOver = 3 * time.Millisecond

// instance is one virtual router.
type instance struct {
	conf      *director.Instance // never changed; with the whole director's defaults in it, and without positions
	adverts   []netip.Addr       // what our adverts name
	auth      byte
	pass      [passSize]byte
	group     *group // nil: none
	state     State
	reason    string // why it is in FAULT, or waits in INIT
	priority  int    // effective
	source    netip.Addr
	down      time.Duration // BACKUP: the master counts as gone
	wants     bool          // BACKUP: down is over, others of the group still hear theirs
	wait      time.Duration // the interval that down is made of: the master's in version 3
	preemptAt time.Duration // BACKUP: until then lower priorities are heard as masters; never: none was heard
	notBefore time.Duration // vrrp_startup_delay
	advertAt  time.Duration // MASTER: of the next advert
	sentAt    time.Duration // of the last advert
	wokeAt    time.Duration // what was received before, and not read, counts as received then
	listens   bool          // MASTER: silent until advertAt, because it was paused
	leftover  bool          // BACKUP since the start: an earlier process may have left the addresses here
	sequence  uint32        // AH: the greatest sent or heard
	stamp     stamp         // HMAC: of the last advert sent
	marks     []mark        // HMAC: the last that was heard from each
	rival     rival
	again     again
	sent      uint64
	heard     uint64
	refused   refused
	since     time.Duration // of the state
}

// rival is the last other master heard.
type rival struct {
	addr     netip.Addr
	priority int
	at       time.Duration
	sequence uint32 // AH
}

// v6 reports whether adverts go over IPv6.
func (i *instance) v6() bool {
	return i.conf.Native6 || len(i.conf.Addresses) > 0 && i.conf.Addresses[0].Prefix.Addr().Is6()
}

// owner reports whether the addresses are this machine's own.
func (i *instance) owner() bool { return i.conf.Priority == 255 }

// skew makes backups come one after the other, the highest priority first (RFC 3768 and RFC 5798, section 6.1).
func (i *instance) skew() time.Duration {
	unit := time.Second
	if i.conf.Version == 3 {
		unit = i.wait
	}
	return time.Duration(256-i.priority) * unit / 256
}

// downAfter is how long a master that is silent is still there.
func (i *instance) downAfter() time.Duration {
	return time.Duration(i.conf.DownAdverts)*i.wait + i.skew()
}

// rivalsWait is how long others wait before they take over from this master: one of priority 255 the least, one of 1 the longest.
func (i *instance) rivalsWait() (least, longest time.Duration) {
	unit := time.Second
	if i.conf.Version == 3 {
		unit = i.conf.Advert
	}
	three := time.Duration(i.conf.DownAdverts) * i.conf.Advert
	return three + unit/256, three + unit
}

// next is when something is due.
func (i *instance) next() time.Duration {
	switch i.state {
	case Backup:
		return i.down
	case Master:
		if i.listens { // the neighbours are told nothing meanwhile
			return i.advertAt
		}
		return min(i.advertAt, i.again.next())
	}
	return never
}

// estate is what the master holds.
func (i *instance) estate() Estate {
	all := append(append([]director.Address(nil), i.conf.Addresses...), i.conf.Excluded...)
	return Estate{Addresses: all, Routing: i.conf.Routing}
}

// enter changes the state, and says so.
func (m *Machine) enter(i *instance, to State, reason string) {
	from := i.state
	i.state, i.reason, i.since = to, reason, m.now
	event := map[State]Event{Master: BecameMaster, Backup: BecameBackup, Fault: BecameFault}[to]
	m.emit(Notify{Name: i.conf.Name, Event: event, From: from, Priority: i.priority, Reason: reason})
}

// toBackup makes an instance wait for the master. interval is that of the master heard, 0 if none was.
func (m *Machine) toBackup(i *instance, interval time.Duration, reason string) {
	if i.state == Master {
		m.give(i, true)
	}
	i.listens, i.wants, i.preemptAt, i.wait = false, false, never, i.conf.Advert
	if interval > 0 && i.conf.Version == 3 {
		i.wait = interval
	}
	i.again = again{}
	m.rearm(i, m.now)
	fresh := i.state == Init || i.state == Fault
	m.enter(i, Backup, reason)
	if fresh && i.owner() && i.conf.Master && m.now >= i.notBefore {
		i.down, i.wants = never, true
	}
}

// rearm lets the master live on from an advert heard at that time.
func (m *Machine) rearm(i *instance, at time.Duration) {
	i.wants, i.down = false, max(at+i.downAfter(), i.notBefore)
}

// toMaster takes the addresses. The advert is first: it keeps others from doing the same.
func (m *Machine) toMaster(i *instance) {
	i.wait, i.down, i.wants, i.preemptAt, i.leftover = i.conf.Advert, never, false, never, false
	i.advertAt = m.now + i.conf.Advert
	i.listens = false
	reason := m.alone(i)
	m.send(i, i.priority)
	if e := i.estate(); !e.empty() {
		m.emit(AddAddresses{Of: i.conf, Estate: e, Owner: i.owner()})
	}
	m.enter(i, Master, reason)
	m.announceNew(i)
}

// alone says why nobody else is master.
func (m *Machine) alone(i *instance) string {
	heard, who := i.since, "nobody was heard"
	switch {
	case i.owner() && i.since == m.now:
		return "the addresses are this machine's own"
	case i.rival.addr.IsValid() && i.rival.at >= i.since && i.rival.priority == 0:
		return fmt.Sprintf("%s gave up", i.rival.addr)
	case i.rival.addr.IsValid() && i.rival.at >= i.since:
		heard, who = i.rival.at, i.rival.addr.String()+" was not heard"
		if i.rival.priority < i.priority {
			return fmt.Sprintf("%s has priority %d", i.rival.addr, i.rival.priority)
		}
	}
	return fmt.Sprintf("%s for %s", who, (m.now - max(heard, i.wokeAt)).Round(time.Millisecond))
}

// toFault gives up what cannot be served.
func (m *Machine) toFault(i *instance, reason string) {
	was := i.state
	m.give(i, was == Master)
	if was == Master {
		m.send(i, 0)
	}
	i.listens, i.down, i.wants, i.again = false, never, false, again{}
	m.enter(i, Fault, reason)
}

// give removes what the master holds; of others only what an earlier process may have left.
func (m *Machine) give(i *instance, held bool) {
	e := i.estate()
	if (held || i.leftover) && !e.empty() {
		m.emit(RemoveAddresses{Of: i.conf, Estate: e, Owner: i.owner(), Leftover: !held})
	}
	i.leftover = false
	m.forgetLanes(i)
}

// overslept reports whether a master was silent for so long that any rival has taken over.
func (i *instance) overslept(now time.Duration) bool {
	_, longest := i.rivalsWait()
	return now-i.sentAt >= longest
}

// doubtful reports whether a master was silent for so long that a rival that is heard now took over rightly.
func (i *instance) doubtful(now time.Duration) bool {
	least, _ := i.rivalsWait()
	return i.listens || now-i.sentAt >= least
}

// listen makes a master silent for a little longer than a rival's adverts are apart.
func (m *Machine) listen(i *instance) {
	if i.listens {
		return
	}
	i.listens = true
	i.advertAt = m.now + i.conf.Advert + i.conf.Advert/4
	m.say(i, fmt.Sprintf("it was silent for %s, longer than rivals wait: it listens before it speaks as master", (m.now-i.sentAt).Round(time.Millisecond)))
}

// paused is told to every instance. A backup begins to wait anew: what it did not hear may have been said while
// it did not run. A master that its rivals may have given up listens first.
func (m *Machine) paused(lost time.Duration) {
	for _, i := range m.instances {
		switch {
		case i.state == Backup && lost >= i.wait:
			i.wokeAt = m.now
			i.down, i.wants = max(m.now+i.downAfter(), i.notBefore), false
		case i.state == Master && i.overslept(m.now):
			m.listen(i)
		}
	}
}
