package sim

import (
	"fmt"

	"github.com/takt-ha/takt/agent"
	"github.com/takt-ha/takt/cluster/cib"
)

// machine is one node: what has power, a disk and clocks, and programs in it.
type machine struct {
	sim  *simulation
	n    int // from 0
	id   cib.NodeID
	name string
	luck chance

	on    bool
	boots int
	until pause // stands still
	clock clock
	drift int64 // of every boot
	wall  int64 // what the wall clock is off, as it is written to the hardware clock
	disk  *disk
	down  string // why it has no power; "" while it has

	wentOff int64 // when it lost it

	// Void without power.
	left     *left
	services map[string]*service
	agents   proc
	pulse    *pulse
	daemon   *daemon
	dog      watchdog
	booted   int64 // world time

	remembered uint64 // log index up to which the peers' addresses are on disk

	// Set by faults and people.
	bad      map[string]*spells[string] // what agents do wrong: "r1.start" → "fail"
	runFull  int
	stays    int   // how many faults keep it off
	killed   int   // how many faults keep the daemon from being started
	loaded   int64 // ns: how much later things happen in the daemon, at most
	troubles int   // how many faults give reason to doubt it
	troubled int64 // when that last changed
	wanted   bool  // an operator wants it off
	standby  bool  // an operator said so
	woke     int64 // when it last ceased, or will cease, to stand still

	// For the checker.
	seen       agent.Stamp          // the newest that its executor has promised to obey nothing older than
	stopFailed bool                 // since the boot
	unstopped  map[string]unstopped // what did not stop since then, and nobody has cleaned up
	marks      *cib.Node            // last looked at
	marksOf    uint64               // their generation
	marked     int                  // so many acknowledged changes were found in them
}

const (
	bootBase, bootMore   = 2e9, 1e9    // until the daemon is started
	startBase, startMore = 20e6, 20e6  // a daemon that is started again
	restartAfter         = 100_000_000 // the service manager's pause
)

func newMachine(s *simulation, n int) *machine {
	m := &machine{sim: s, n: n, id: cib.NodeID(n + 1), name: nodeName(n + 1), luck: newChance(s.script.Seed, forNodes+uint64(n)), bad: map[string]*spells[string]{}}
	m.drift = m.luck.span(-100, 100)
	m.wall = m.luck.span(-50e6, 50e6)
	m.disk = newDisk(newChance(s.script.Seed, forDisk+uint64(n)))
	m.agents = proc{w: s.w, under: []*pause{&m.until}}
	m.dog.m = m
	m.down = "it was never on"
	return m
}

// powerOn boots the machine.
func (m *machine) powerOn(why string) {
	if m.on {
		return
	}
	m.on, m.down = true, ""
	m.boots++
	m.booted = m.sim.w.now
	m.clock = clock{boot: m.sim.w.now, drift: m.drift, wall: m.wall}
	m.left, m.services = newLeft(), map[string]*service{}
	m.seen, m.stopFailed, m.wanted = agent.Stamp{}, false, false
	m.unstopped = map[string]unstopped{}
	m.sim.tell(m, "boots: %s", why)
	boot := m.boots
	m.sim.w.in(m.luck.long(bootBase, bootMore), func() {
		if m.on && m.boots == boot {
			m.startDaemon()
		}
	})
}

// powerOff takes the power: everything stops at once.
func (m *machine) powerOff(why string) {
	if !m.on {
		return
	}
	m.on, m.down, m.wentOff = false, why, m.sim.w.now
	m.sim.tell(m, "loses its power: %s", why)
	m.wall += m.luck.span(-20e6, 20e6)
	m.endDaemon()
	m.endPulse()
	m.dog.disarm()
	m.agents.die()
	m.until = pause{}
	m.left, m.services = nil, nil
	m.disk.fuse, m.disk.burnt = 0, false
	m.disk.crash()
}

// standStill lets nothing happen on the machine for a while; its clocks go on.
func (m *machine) standStill(d int64) { m.until.until = max(m.until.until, m.sim.w.now+d) }

// watchdog is the machine's, in hardware: it counts on whatever happens.
type watchdog struct {
	m       *machine
	armed   bool
	timeout int64
	due     int64
	set     uint64
}

func (d *watchdog) arm(timeout int64) {
	d.armed, d.timeout = true, timeout
	d.pet()
}

func (d *watchdog) disarm() { d.armed, d.due = false, 0; d.set++ }

// pet gives the machine another time-out. The check comes when it may be due, not
// once for each.
func (d *watchdog) pet() {
	waits := d.due > d.m.sim.w.now
	d.due = d.m.sim.w.now + d.timeout
	if !waits {
		d.look()
	}
}

func (d *watchdog) look() {
	d.set++
	set := d.set
	d.m.sim.w.at(d.due, func() {
		switch {
		case d.set != set || !d.armed:
		case d.due > d.m.sim.w.now:
			d.look()
		default:
			d.reset("its watchdog has run out")
		}
	})
}

// reset is a crash and a boot.
func (d *watchdog) reset(why string) {
	m := d.m
	m.powerOff(why)
	m.sim.w.in(50e6, func() {
		if m.stays == 0 {
			m.powerOn("reset by its watchdog")
		}
	})
}

func (m *machine) String() string { return fmt.Sprintf("%s (on %v)", m.name, m.on) }
