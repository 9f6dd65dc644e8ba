package vrrp

import (
	"net/netip"
	"time"
)

// Reason is why an advert was not taken.
type Reason uint8

// The reasons.
const (
	Fine         Reason = iota
	BadLength           // it is too short or too long for what it says
	BadVersion          // the version is not that of the instance, or unknown
	BadKind             // it is no advert
	BadSum              // the checksum is wrong
	BadVRID             // nobody here has this virtual router id
	BadTTL              // it was routed: somebody outside the link sent it
	BadAuth             // another kind of authentication, or another password
	Replayed            // its sequence number has been seen (AH, HMAC)
	BadInterval         // another advert_int than ours (version 2: all must have the same)
	BadAddresses        // other addresses than ours
	BadPeer             // the sender is none of the unicast peers
	OwnAdvert           // sent by ourselves
	Stale               // its time is too far from ours (HMAC)
	reasons
)

var reasonWords = [reasons]string{"", "its length does not fit", "it has another version", "it is no advertisement", "its checksum is wrong",
	"no instance here has this virtual_router_id", "its TTL is not what it must be", "its authentication does not fit", "it is a replay",
	"its advert_int is not ours", "its addresses are not ours", "its sender is no unicast_peer", "it is our own", "its time is not ours"}

// String says it in words, after "advert ignored: ".
func (r Reason) String() string {
	if r >= reasons {
		return "unknown"
	}
	return reasonWords[r]
}

// repeatAfter is how long a reason is not said again.
const repeatAfter = time.Minute

// Refusals counts adverts that were not taken, by Reason.
type Refusals [reasons]uint64

// refused is what is known about the adverts that an instance, or an interface, did not take.
type refused struct {
	count Refusals
	said  [reasons]time.Duration // when last
	now   [reasons]bool          // said is set
}

// note counts one, and tells whether it is to be said.
func (r *refused) note(why Reason, now time.Duration) bool {
	r.count[why]++
	if why == OwnAdvert || r.now[why] && now-r.said[why] < repeatAfter {
		return false
	}
	r.said[why], r.now[why] = now, true
	return true
}

// Refuse says that adverts were not taken: at most once a minute for each instance and reason.
type Refuse struct {
	Instance  string // "" when the advert is for none of them
	Interface string
	From      netip.Addr
	VRID      int // 0 where it could not be read
	Why       Reason
	Detail    string // what it said and what was expected; never a password
	Count     uint64 // since the start
}
