// Package director is the vocabulary of the load balancer: what a director was told to do (Config), and what it wants
// the kernel to forward (Service). Its rooms are
//
//	vrrp        who holds the addresses: packets and the state machine (pure)
//	pool        which real servers get traffic, from what the checks say (pure)
//	check       the checks themselves, thousands of them
//	track       scripts, files and processes that priorities depend on
//	ipvs        forwarding by the kernel's IP virtual server
//	nat         forwarding by nftables, where there is none
//	realserver  the machines behind a director: the address, and silence about it
//	share       no director at all: each node takes its share by a hash
//	daemon      the process that holds them together
//
// A configuration comes from keepalived's language (importer/keepalived). The words here are keepalived's, where
// its users know them; see keepalived.conf(5).
package director

import (
	"net/netip"
	"strconv"
	"time"
)

// Pos is a place in a configuration file.
type Pos struct {
	File string
	Line int // from 1
	Col  int // from 1, in bytes
}

// String is FILE:LINE:COL, and "" of the zero value.
func (p Pos) String() string {
	if p == (Pos{}) {
		return ""
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Col)
}

// Config is everything that one director does. It is a value: nobody changes it once it is made. Names are unique
// within each list, and all that is referred to exists.
type Config struct {
	Global     Global
	SyncGroups []SyncGroup
	Instances  []Instance
	Scripts    []Script
	Files      []TrackedFile
	Processes  []TrackedProcess
	Static     Routing // for as long as the director runs, whatever the state of its instances
	Servers    []VirtualServer
	TLS        TLSFiles // SSL: of SSL_GET checks
}

// Global is what global_defs says.
type Global struct {
	RouterID      string // names this machine in mails and to notify scripts; the host name if empty
	Mail          Mail
	Garp          Garp          // the default of every instance
	VRRPVersion   int           // 2 (default) or 3
	Group4        netip.Addr    // 224.0.0.18
	Group6        netip.Addr    // ff02::12
	ScriptUser    string        // user[:group] that scripts run as; "" is keepalived_script if it exists, else root
	ScriptSafety  bool          // enable_script_security: no script whose path somebody else than root may write
	NotifyFIFO    string        // named pipe that gets a line for each change of a group, an instance or a virtual server
	NotifyScript  Command       // reads NotifyFIFO
	VRRPFIFO      string        // the same for instances and groups alone
	VRRPScript    Command       //
	ServersFIFO   string        // and for virtual and real servers alone
	ServersScript Command       //
	StartupDelay  time.Duration // vrrp_startup_delay: no instance leaves its first state before
	SyncDaemon    *SyncDaemon   // lvs_sync_daemon
	Startup       Command       // run once before anything else
	StartupLimit  time.Duration // and given up after: 10 s
	Shutdown      Command       // run once after everything else
	ShutdownLimit time.Duration // 10 s
	Delays        []InterfaceDelay
	PriorityLines bool     // vrrp_notify_priority_changes: changed priorities are told on the FIFOs
	ReloadLines   bool     // fifo_write_vrrp_states_on_reload
	Timeouts      Timeouts // lvs_timeouts
	TuningPos     Pos      // of lvs_sync_daemon, or else of lvs_timeouts
	CheckDefaults CheckDefaults
}

// InterfaceDelay is how long a change of an interface must last until it counts.
type InterfaceDelay struct {
	Interface string
	Down, Up  time.Duration // at most 255 s
}

// TLSFiles are what SSL_GET checks show and trust. Without a CA no certificate is verified, as in keepalived.
type TLSFiles struct {
	CA, Certificate, Key string // paths
}

// CheckDefaults is what checker_* options of global_defs say.
type CheckDefaults struct {
	LogAllFailures bool
}

// Timeouts are lvs_timeouts: IPVS's for idle connections. 0 leaves the kernel's.
type Timeouts struct {
	TCP, TCPFin, UDP time.Duration
}

// SyncDaemon is the IPVS connection synchronization of the director that is master of Instance and
// those that are not.
type SyncDaemon struct {
	Interface string
	Instance  string // vrrp_instance whose state decides; "" runs both, master and backup
	SyncID    int    // 0 to 255; the instance's VRID by default
	MaxLen    int    // bytes of a packet; 0 is the kernel's
	Port      int    // 0 is 8848
	TTL       int    // 0 is 1
	Group     netip.Addr
}

// Mail is where and how messages about changes go. No message is sent without To.
type Mail struct {
	To      []string
	From    string
	Server  string // host:port of an SMTP server, 127.0.0.1:25 by default
	Helo    string
	Timeout time.Duration // 30 s by default
	Alert   Alert         // defaults: smtp_alert, smtp_alert_vrrp, smtp_alert_checker
	NoFault bool          // no_email_faults: no mail about the state FAULT
}

// Alert says who sends mail unless told otherwise.
type Alert struct{ VRRP, Checks bool }

// Command is a program with arguments, run without a shell.
type Command struct {
	Args []string // Args[0] is an absolute path
	User string   // user[:group]; "" is Global.ScriptUser
	Pos  Pos
}

// None reports whether there is no program.
func (c Command) None() bool { return len(c.Args) == 0 }

// Notify is what is run when a group, an instance or a server changes.
type Notify struct {
	Master, Backup, Fault, Stop, Deleted Command
	MasterRxLower                        Command // a lower priority was heard while master
	Any                                  Command // gets type, name, state and priority as arguments
	Alert                                bool    // smtp_alert: send mail
}
