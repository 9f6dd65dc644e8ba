package vrrp

import (
	"net/netip"

	"github.com/takt-ha/takt/director"
)

// Effect is something to do, in the order given: one of Send, AddAddresses, RemoveAddresses, Announce, Notify, Refuse, Say.
type Effect interface{ effect() }

// Send is an advert to send; Packet makes the bytes.
type Send struct {
	Of       *director.Instance // as it was when the effect was made: a reload may have removed it since
	Source   netip.Addr
	Advert   Advert
	key      [passSize]byte
	sequence uint32
	seal     *seal // nil: it has no HMAC
}

// AddAddresses makes this machine hold what is listed. What is there already stays.
type AddAddresses struct {
	Of     *director.Instance
	Estate Estate
	Owner  bool // what is there before is the machine's own: it is never removed
}

// RemoveAddresses makes it hold that no more. What is gone already is no error.
type RemoveAddresses struct {
	Of       *director.Instance
	Estate   Estate
	Owner    bool // what was there before it was added stays
	Leftover bool // none of it was added by this process: somebody before it may have left some
}

// Estate is what the master of an instance holds.
type Estate struct {
	Addresses []director.Address
	Routing   director.Routing
}

// empty reports whether there is nothing.
func (e *Estate) empty() bool {
	return len(e.Addresses)+len(e.Routing.Addresses)+len(e.Routing.Routes)+len(e.Routing.Rules) == 0
}

// Announce tells the neighbours of an interface that addresses are here: so many packets for each, one round after the other.
type Announce struct {
	Of        *director.Instance
	Interface string // "" is the one that the instance's addresses are on
	Addresses []netip.Addr
	Rounds    int
}

// Notify says that something changed that others want to know: scripts, FIFOs, mails, the status.
type Notify struct {
	Group    bool // of a sync group, not of an instance
	Name     string
	Event    Event
	From     State // before
	Priority int   // the effective one; 0 for a group, which has none
	Reason   string
}

// Event is what a Notify is about, as keepalived's scripts get it.
type Event string

// The events.
const (
	BecameMaster   Event = "MASTER"
	BecameBackup   Event = "BACKUP"
	BecameFault    Event = "FAULT"
	Stopped        Event = "STOP"
	Deleted        Event = "DELETED"
	HeardLower     Event = "MASTER_RX_LOWER_PRI" // a master heard a lower priority
	MasterPriority Event = "MASTER_PRIORITY"     // its priority changed
	BackupPriority Event = "BACKUP_PRIORITY"
)

// Say is a line for the log.
type Say struct {
	Instance string
	Words    string
}

func (Send) effect()            {}
func (AddAddresses) effect()    {}
func (RemoveAddresses) effect() {}
func (Announce) effect()        {}
func (Notify) effect()          {}
func (Refuse) effect()          {}
func (Say) effect()             {}
