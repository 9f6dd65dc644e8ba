package ipvs

// The family IPVS of generic netlink, as linux/ip_vs.h has it. Numbers are in the machine's order, ports and addresses in the network's.
const (
	familyName    = "IPVS"
	familyVersion = 1
)

// Commands.
const (
	cmdNewService = 1
	cmdSetService = 2
	cmdDelService = 3
	cmdGetService = 4
	cmdNewDest    = 5
	cmdSetDest    = 6
	cmdDelDest    = 7
	cmdGetDest    = 8
	cmdNewDaemon  = 9
	cmdDelDaemon  = 10
	cmdGetDaemon  = 11
	cmdSetConfig  = 12
	cmdGetConfig  = 13
	cmdGetInfo    = 15
)

// Attributes of commands.
const (
	attrService       = 1
	attrDest          = 2
	attrDaemon        = 3
	attrTimeoutTCP    = 4
	attrTimeoutTCPFin = 5
	attrTimeoutUDP    = 6
)

// Attributes of a service.
const (
	svcFamily    = 1
	svcProtocol  = 2
	svcAddr      = 3
	svcPort      = 4
	svcMark      = 5
	svcScheduler = 6
	svcFlags     = 7
	svcTimeout   = 8
	svcMask      = 9
	svcEngine    = 11
	svcStats64   = 12
)

// Attributes of a destination.
const (
	destAddr     = 1
	destPort     = 2
	destMethod   = 3
	destWeight   = 4
	destUpper    = 5
	destLower    = 6
	destActive   = 7
	destInactive = 8
	destFamily   = 11
	destStats64  = 12
	destTunKind  = 13
	destTunPort  = 14
	destTunFlags = 15
)

// Attributes of a sync daemon.
const (
	daemonState     = 1
	daemonInterface = 2
	daemonID        = 3
	daemonMaxLen    = 4
	daemonGroup4    = 5
	daemonGroup6    = 6
	daemonPort      = 7
	daemonTTL       = 8
)

// infoVersion is an attribute of cmdGetInfo's answer.
const infoVersion = 1

// Address families.
const (
	inet4 = 2
	inet6 = 10
)

// methodMask are the bits of a connection's flags that are its method.
const methodMask = 7
