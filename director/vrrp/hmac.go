package vrrp

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/takt-ha/takt/director"
)

// The trailer of draft-cassen-vrrp-auth-hmac, which follows the message and is no part of it:
//
//	 0                   1                   2                   3
//	+-------+-------+---------------+
//	| kind  | key   | zero          |
//	+-------+-------+---------------+
//	| seconds since 1970            |
//	+---------------+---------------+
//	| 1/65536 s     | counter       |
//	+---------------+---------------+
//	| HMAC-SHA256 (RFC 2104), its first 128 bits
//
// It covers the family, version and virtual router id, the sender's address, the message with zeros for its checksum, and the trailer
// itself with zeros for the HMAC.
const (
	trailerSize = 28
	tagAt       = 12
	tagSize     = 16
	kindSHA256  = 1
	sumAt       = 6 // in the message
)

// stamp is when an advert was made: seconds, their fraction and a counter, as in the trailer. The seconds come round in 2106, so one
// is compared with another by the shorter way between them (RFC 1982).
type stamp uint64

func stampOf(wall time.Duration) stamp {
	seconds, rest := uint64(wall/time.Second), uint64(wall%time.Second)
	return stamp(seconds<<32 | rest<<16/uint64(time.Second)<<16)
}

func (s stamp) after(o stamp) bool { return int64(s-o) > 0 }

// from is how far s is from what the wall clock says, in whole seconds; > 0 is later.
func (s stamp) from(wall time.Duration) time.Duration {
	return time.Duration(int32(uint32(s>>32)-uint32(wall/time.Second))) * time.Second
}

// seal is what a trailer is made with.
type seal struct {
	key     director.HMACKey
	stamp   stamp
	version int
	vrid    int
}

// seal returns what the next advert is sealed with; nil for nothing. Stamps grow, also within one tick of the clock. One that is
// further ahead than anybody would take, since the clock was set back, is given up.
func (i *instance) seal(wall time.Duration) *seal {
	c := i.conf.HMAC
	if c == nil || c.Mode == director.HMACReceiveOnly {
		return nil
	}
	at := slices.IndexFunc(c.Keys, func(k director.HMACKey) bool { return k.ID == c.Active })
	if at < 0 {
		return nil
	}
	clock := stampOf(wall)
	if clock.after(i.stamp) || !c.Monotonic && i.stamp.from(wall) > c.Window {
		i.stamp = clock
	} else {
		i.stamp++
	}
	return &seal{key: c.Keys[at], stamp: i.stamp, version: i.conf.Version, vrid: i.conf.VRID}
}

func (s *seal) size() int {
	if s == nil {
		return 0
	}
	return trailerSize
}

// put appends the trailer to a packet whose message begins at start. Over IPv6 the checksum covers it.
func (s *seal) put(b []byte, start int, p Path) []byte {
	if s == nil {
		return b
	}
	b = append(b, kindSHA256, byte(s.key.ID), 0, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(s.stamp))
	b = append(b, make([]byte, tagSize)...)
	sealed := b[start:]
	tag := sealTag(s.key.Key, s.version, s.vrid, p.Src, sealed)
	copy(sealed[len(sealed)-tagSize:], tag[:])
	if p.Src.Is6() {
		clear(sealed[sumAt : sumAt+2])
		binary.BigEndian.PutUint16(sealed[sumAt:], sum(sealed, s.version, p.Src, p.Dst))
	}
	return b
}

// sealTag is the HMAC of a message with its trailer.
func sealTag(key director.Secret, version, vrid int, src netip.Addr, sealed []byte) (tag [tagSize]byte) {
	var about [20]byte
	about[0], about[1], about[2] = 4, byte(version), byte(vrid)
	if src.Is6() {
		about[0] = 6
	}
	copy(about[4:], src.AsSlice())
	var zero [tagSize]byte
	h := hmac.New(sha256.New, []byte(key))
	h.Write(about[:])
	h.Write(sealed[:sumAt])
	h.Write(zero[:2])
	h.Write(sealed[sumAt+2 : len(sealed)-tagSize])
	h.Write(zero[:])
	copy(tag[:], h.Sum(nil))
	return tag
}

// mark is the last stamp that was heard from somebody.
type mark struct {
	from  netip.Addr
	stamp stamp
	at    time.Duration
}

// maxMarks is how many senders are remembered at least: more than routers that are master at the same moment.
const maxMarks = 8

// checkHMAC says whether somebody with a key made an advert now. What is cheap to see is looked at first, and believed last.
func (i *instance) checkHMAC(p *Packet, a *Advert, wall time.Duration) (Reason, string) {
	c := i.conf.HMAC
	switch {
	case c == nil && a.sealed == nil:
		return Fine, ""
	case c == nil:
		return BadAuth, "it has an HMAC, ours have none"
	case a.sealed == nil && c.Mode == director.HMACEnforce:
		return BadAuth, "it has no HMAC"
	case a.sealed == nil:
		return Fine, ""
	}
	trailer := a.sealed[len(a.sealed)-trailerSize:]
	if trailer[0] != kindSHA256 || trailer[2] != 0 || trailer[3] != 0 {
		return BadAuth, fmt.Sprintf("its HMAC is of the kind %d, ours %d", trailer[0], kindSHA256)
	}
	made := stamp(binary.BigEndian.Uint64(trailer[4:]))
	if off := made.from(wall); !c.Monotonic && off.Abs() > c.Window {
		return Stale, fmt.Sprintf("it is %v from ours, more than %v: keep the clocks in step", off, c.Window)
	}
	at := slices.IndexFunc(c.Keys, func(k director.HMACKey) bool { return k.ID == int(trailer[1]) })
	if at < 0 {
		return BadAuth, fmt.Sprintf("it has key %d, which is not here", trailer[1])
	}
	tag := sealTag(c.Keys[at].Key, i.conf.Version, i.conf.VRID, p.Src, a.sealed)
	if !hmac.Equal(tag[:], trailer[tagAt:]) {
		return BadAuth, fmt.Sprintf("the sums differ, so key %d may", trailer[1])
	}
	return i.checkStamp(p, made, wall)
}

// checkStamp refuses what is not newer than the last from the same sender. A mark that nobody can reach, since a clock was set back, counts no
// more.
func (i *instance) checkStamp(p *Packet, made stamp, wall time.Duration) (Reason, string) {
	k := slices.IndexFunc(i.marks, func(m mark) bool { return m.from == p.Src })
	switch {
	case k < 0 && len(i.marks) < max(maxMarks, len(i.conf.Unicast)):
		i.marks = append(i.marks, mark{})
		k = len(i.marks) - 1
	case k < 0:
		k = i.oldestMark()
	case !i.conf.HMAC.Monotonic && i.marks[k].stamp.from(wall) > i.conf.HMAC.Window:
	case !made.after(i.marks[k].stamp):
		return Replayed, "it is not newer than the last one"
	}
	i.marks[k] = mark{from: p.Src, stamp: made, at: p.At}
	return Fine, ""
}

func (i *instance) oldestMark() int {
	oldest := 0
	for k, m := range i.marks {
		if m.at < i.marks[oldest].at {
			oldest = k
		}
	}
	return oldest
}
