package director

import (
	"net/netip"
	"time"
)

// VirtualServer is one address in front of many servers.
type VirtualServer struct {
	Key          ServiceKey // its address; with Members it is what the group is called in
	Group        string     // virtual_server_group: every entry of Members is a service with the same real servers
	Members      []GroupMember
	Protocol     Protocol
	Method       string // lb_kind: NAT, DR or TUN
	Tunnel       Tunnel // of Method TUN
	Scheduler    string // lb_algo: rr, wrr, lc, wlc, lblc, lblcr, sh, mh, dh, fo, ovf, sed, nq, twos
	SchedFlags   []string
	OnePacket    bool
	Persist      Persistence
	Checks       CheckTiming // defaults of the real servers' checks
	Alpha        bool        // a server is down until its first check
	Omega        bool        // quorum down and notify_down are run at the end
	HASuspend    bool        // no check while this director does not hold the address
	Inhibit      bool        // inhibit_on_failure: default of the real servers
	Quorum       int         // sum of weights that is enough: 1
	Hysteresis   int         // and by how much more or less before the other is said: 0
	QuorumUp     Command
	QuorumDown   Command
	Sorry        *RealServer // gets the traffic while there is no quorum
	SorryInhibit bool
	VirtualHost  string // of HTTP checks that name none
	Weight       int    // default of the real servers: 1
	Alert        bool   // smtp_alert
	Servers      []RealServer
	Pos          Pos
}

// Protocol is TCP, UDP or SCTP.
type Protocol uint8

// The protocols, with their numbers in IP.
const (
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String returns tcp, udp or sctp.
func (p Protocol) String() string {
	return map[Protocol]string{TCP: "tcp", UDP: "udp", SCTP: "sctp"}[p]
}

// ServiceKey is what makes packets belong to a virtual server: an address and a port, or a firewall mark.
type ServiceKey struct {
	Addr netip.AddrPort // port 0: every port, with persistence
	Mark uint32         // not 0: packets with this mark
	IPv6 bool           // of a mark
}

// GroupMember is a line of a virtual_server_group: addresses From to To (alike for one), or a mark.
type GroupMember struct {
	From, To   netip.Addr
	Port, Last uint16 // a range of ports
	Mark       uint32
	IPv6       bool
}

// Persistence sends a client to the server that it had before.
type Persistence struct {
	Timeout time.Duration // 0: off
	Mask    int           // bits of the client's address that count; 0: all
	Engine  string        // "" or sip
}

// RealServer is a server that does the work.
type RealServer struct {
	Addr     netip.AddrPort // port 0: that of the virtual server
	Method   string         // NAT, DR or TUN
	Tunnel   Tunnel         // of Method TUN
	Weight   int            // 0 to 65535; 0: no new connection
	Upper    int            // uthreshold: no new connection above; 0: any number
	Lower    int            // lthreshold: again below
	Inhibit  bool           // while down its weight is 0, and its connections stay
	Alpha    bool
	Host     string // virtualhost of its HTTP checks
	Up, Down Command
	Alert    bool
	Checks   []Check // all must be passed; none: it is always up
	Pos      Pos
}

// Tunnel is how packets are wrapped on their way to a real server.
type Tunnel struct {
	Kind     string // "" (ipip), "gue" or "gre"
	Port     uint16 // of gue
	Checksum string // "" (nocsum), "csum" or "remcsum"
}

// CheckTiming is when checks run and how often they may fail.
type CheckTiming struct {
	Loop       time.Duration // delay_loop, between the begins of two checks: 60 s
	Retry      int           // failures in a row that are passed over
	RetryDelay time.Duration // delay_before_retry
	Warmup     time.Duration // the first check is at a random time up to this: Loop
	Timeout    time.Duration // connect_timeout: 5 s
}

// Check is a checker of a real server.
type Check struct {
	Kind   string // TCP_CHECK, HTTP_GET, SSL_GET, SMTP_CHECK, DNS_CHECK, MISC_CHECK, UDP_CHECK, PING_CHECK, FILE_CHECK
	Timing CheckTiming
	Addr   netip.AddrPort // connect_ip, connect_port; zero parts: the real server's
	Bind   netip.AddrPort // bindto, bind_port
	BindIf string
	Mark   uint32
	Log    bool // log_all_failures
	HTTP   *HTTPCheck
	SMTP   *SMTPCheck
	DNS    *DNSCheck
	Misc   *MiscCheck
	UDP    *UDPCheck
	File   *FileCheck
	Pos    Pos
}

// HTTPCheck asks for URLs one after the other; each must be answered as it says.
type HTTPCheck struct {
	Version string // "1.0", "1.0C" or "1.1"
	Host    string // Host header; "": the address
	SNI     bool   // enable_sni: Host is the TLS server name
	TLS     bool
	URLs    []URL
}

// URL is a page and what is expected of it.
type URL struct {
	Path               string
	Host               string   // virtualhost
	Status             [][2]int // ranges of codes; none: 200 to 299 when no digest is given either
	Digest             string   // MD5 of the body, in hex
	Regex              string   // searched in the body
	RegexNot           bool     // and must not be found (regex_no_match)
	MinStart, MaxStart int      // where in the body the match may begin, in bytes
	ICase              bool
}

// SMTPCheck says HELO and QUIT to each of the hosts.
type SMTPCheck struct {
	Helo  string
	Hosts []SMTPHost // none: the real server
}

// SMTPHost is one of the places of an SMTPCheck.
type SMTPHost struct {
	Addr netip.AddrPort
	Bind netip.AddrPort
}

// DNSCheck asks for a record; an answer without an error is enough.
type DNSCheck struct {
	Type string // A, NS, CNAME, SOA, MX, TXT, AAAA, RRSIG, ...: SOA
	Name string // "."
}

// MiscCheck runs a program: 0 is up, 1 is down; with Dynamic 2 to 255 is up with the weight less two.
type MiscCheck struct {
	Run     Command
	Timeout time.Duration // the check's interval by default
	Dynamic bool
}

// UDPCheck sends a payload.
type UDPCheck struct {
	Payload  []byte
	Require  bool // an answer has to come
	Reply    []byte
	Mask     []byte // bits of Reply that count; nil: all
	MinReply int
	MaxReply int
}

// FileCheck takes the number in a TrackedFile for a weight; -2147483647 is down.
type FileCheck struct {
	Name   string
	Weight int
}
