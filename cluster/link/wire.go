package link

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"math"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/detector"
)

// Bounds of the heartbeat format, see docs/formats/heartbeat.md.
const (
	MaxLinks    = detector.MaxLinks
	maxContacts = 64
	maxSaid     = 16 // voters that a heartbeat can name

	wireVersion = 3
	headerSize  = 48
	tagSize     = 16
	bodyFixed   = 8 + 8 + 8 + 8 + 8 + 4 + 4 + 1 + 1 + 1 + 1 + 1 + 3 + 16
	echoSize    = 12
	contactSize = 16
	maxBody     = bodyFixed + MaxLinks*echoSize + maxContacts*contactSize + 2*maxSaid*8
	maxDatagram = headerSize + maxBody + tagSize
)

var wireMagic = [4]byte{'T', 'K', 'H', 'B'}

// notHeard is the age of what was never heard; longAgo that of a listening
// that began earlier than a contact can say, which is more than any dead time.
const (
	notHeard = math.MaxUint32
	longAgo  = math.MaxUint16
)

// The units of what a contact says.
const (
	sinceUnit    = 10 * ms
	watchdogUnit = 100 // ms
)

// header is the part of a datagram in clear; it is authenticated with the body.
type header struct {
	link             uint8
	cluster          uint64 // first 8 bytes of the cluster id
	sender, receiver cib.NodeID
	incarnation      uint64 // of the sender's pulse process
	counter          uint64 // per receiver and link; also the nonce, with link
}

// echo says which of the receiver's datagrams was the newest heard on a link.
type echo struct {
	sent int64  // its send time by the receiver's clock; 0 if none was heard
	hold uint32 // µs since it arrived
}

// contact says how well the sender hears a third node.
type contact struct {
	node     cib.NodeID
	heard    uint32 // µs since it was heard; notHeard if never
	since    uint16 // 10 ms, rounded down: for how long the sender has listened for it; longAgo: longer than that, or not said
	watchdog uint16 // 100 ms, rounded up: the time-out of the armed watchdog that it last advertised; 0 none
}

// body is the sealed part of a datagram.
type body struct {
	sent      int64  // send time by the sender's clock, ns
	echoed    uint64 // incarnation of the receiver that the sender hears; 0 none
	challenge uint64 // another incarnation that claims the receiver's id and is to prove itself; 0 none
	leader    cib.NodeID
	term      uint64
	deadtime  uint32 // ms, as configured at the sender
	watchdog  uint32 // ms, the time-out of the sender's armed watchdog; 0 none is armed
	boot      Boot   // of the sender's machine
	manager   ManagerState
	links     uint8
	echoes    [MaxLinks]echo
	n         uint8
	contacts  [maxContacts]contact
	voters    said // by whom the sender judges its standing,
	pending   said // and these, too: empty unless a change of the voters is under way
}

// Boot names a run of a machine, from power-on to power-off. Zero: not known.
type Boot [16]byte

// BootOf makes a Boot of a name: two runs have two names. "" is not known.
func BootOf(name string) Boot {
	if name == "" {
		return Boot{}
	}
	h := sha256.Sum256([]byte(name))
	return Boot(h[:16])
}

// said are voters as a heartbeat names them.
type said struct {
	n   uint8 // unsaid: more than a heartbeat can name
	ids [maxSaid]cib.NodeID
}

const unsaid = math.MaxUint8

// set takes a list of voters.
func (s *said) set(ids []cib.NodeID) {
	if *s = (said{n: unsaid}); len(ids) <= maxSaid {
		s.n = uint8(copy(s.ids[:], ids))
	}
}

// list returns them; none if they are not said.
func (s *said) list() []cib.NodeID {
	if s.n > maxSaid {
		return nil
	}
	return s.ids[:s.n]
}

// Errors of decoding.
var (
	errTruncated = errors.New("shorter than it says, or longer")
	errMagic     = errors.New("not a heartbeat")
	errVersion   = errors.New("another version of the format")
	errContent   = errors.New("a field is out of range")
)

// putHeader writes h into b, which must hold headerSize bytes.
func putHeader(b []byte, h *header) {
	copy(b, wireMagic[:])
	b[4], b[5], b[6], b[7] = wireVersion, h.link, 0, 0
	be := binary.BigEndian
	be.PutUint64(b[8:], h.cluster)
	be.PutUint64(b[16:], uint64(h.sender))
	be.PutUint64(b[24:], uint64(h.receiver))
	be.PutUint64(b[32:], h.incarnation)
	be.PutUint64(b[40:], h.counter)
}

// parseHeader reads the clear part of a datagram.
func parseHeader(b []byte, h *header) error {
	if len(b) < 5 {
		return errTruncated
	}
	if [4]byte(b) != wireMagic {
		return errMagic
	}
	if b[4] != wireVersion {
		return errVersion
	}
	if len(b) < headerSize+bodyFixed+tagSize {
		return errTruncated
	}
	be := binary.BigEndian
	*h = header{link: b[5], cluster: be.Uint64(b[8:]), sender: cib.NodeID(be.Uint64(b[16:])),
		receiver: cib.NodeID(be.Uint64(b[24:])), incarnation: be.Uint64(b[32:]), counter: be.Uint64(b[40:])}
	if h.link >= MaxLinks || b[6] != 0 || b[7] != 0 {
		return errContent
	}
	return nil
}

// appendBody appends the encoded body to b.
func appendBody(b []byte, d *body) []byte {
	be := binary.BigEndian
	b = be.AppendUint64(b, uint64(d.sent))
	b = be.AppendUint64(b, d.echoed)
	b = be.AppendUint64(b, d.challenge)
	b = be.AppendUint64(b, uint64(d.leader))
	b = be.AppendUint64(b, d.term)
	b = be.AppendUint32(b, d.deadtime)
	b = be.AppendUint32(b, d.watchdog)
	b = append(b, byte(d.manager), d.links, d.n, d.voters.n, d.pending.n, 0, 0, 0)
	b = append(b, d.boot[:]...)
	for i := range d.echoes[:d.links] {
		b = be.AppendUint64(b, uint64(d.echoes[i].sent))
		b = be.AppendUint32(b, d.echoes[i].hold)
	}
	for i := range d.contacts[:d.n] {
		b = be.AppendUint64(b, uint64(d.contacts[i].node))
		b = be.AppendUint32(b, d.contacts[i].heard)
		b = be.AppendUint16(b, d.contacts[i].since)
		b = be.AppendUint16(b, d.contacts[i].watchdog)
	}
	for _, s := range []*said{&d.voters, &d.pending} {
		for _, id := range s.list() {
			b = be.AppendUint64(b, uint64(id))
		}
	}
	return b
}

// parseBody decodes an opened body into d. On an error d is undefined.
func parseBody(b []byte, d *body) error {
	if len(b) < bodyFixed {
		return errTruncated
	}
	be := binary.BigEndian
	d.sent, d.echoed, d.challenge = int64(be.Uint64(b)), be.Uint64(b[8:]), be.Uint64(b[16:])
	d.leader, d.term, d.deadtime = cib.NodeID(be.Uint64(b[24:])), be.Uint64(b[32:]), be.Uint32(b[40:])
	d.watchdog = be.Uint32(b[44:])
	d.manager, d.links, d.n = ManagerState(b[48]), b[49], b[50]
	d.voters, d.pending = said{n: b[51]}, said{n: b[52]}
	if d.links > MaxLinks || d.n > maxContacts || d.manager > ManagerLeaving || d.sent <= 0 || b[53]|b[54]|b[55] != 0 {
		return errContent
	}
	d.boot = Boot(b[56:])
	if !d.voters.valid() || !d.pending.valid() {
		return errContent
	}
	if len(b) != bodyFixed+int(d.links)*echoSize+int(d.n)*contactSize+8*(len(d.voters.list())+len(d.pending.list())) {
		return errTruncated
	}
	b = b[bodyFixed:]
	for i := range d.echoes[:d.links] {
		d.echoes[i] = echo{sent: int64(be.Uint64(b)), hold: be.Uint32(b[8:])}
		b = b[echoSize:]
	}
	clear(d.echoes[d.links:])
	for i := range d.contacts[:d.n] {
		d.contacts[i] = contact{node: cib.NodeID(be.Uint64(b)), heard: be.Uint32(b[8:]), since: be.Uint16(b[12:]), watchdog: be.Uint16(b[14:])}
		b = b[contactSize:]
	}
	for _, s := range []*said{&d.voters, &d.pending} {
		for i := range s.list() {
			s.ids[i] = cib.NodeID(be.Uint64(b))
			b = b[8:]
		}
	}
	return nil
}

func (s *said) valid() bool { return s.n <= maxSaid || s.n == unsaid }

// micros returns ns as µs, saturating below notHeard.
func micros(ns int64) uint32 {
	return uint32(min(max(ns, 0)/1000, notHeard-1))
}

// listening returns for how long t has been in a contact's unit, rounded down.
func listening(now, t int64) uint16 {
	return uint16(min(max(now-t, 0)/sinceUnit, longAgo))
}

// coarse returns a watchdog's time-out of so many ms in a contact's unit, rounded up.
func coarse(watchdog uint32) uint16 {
	return uint16(min((uint64(watchdog)+watchdogUnit-1)/watchdogUnit, math.MaxUint16))
}
