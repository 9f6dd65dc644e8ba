package sim

// Kind is what a fault does.
type Kind string

// The kinds of faults. Who it happens to, with whom, how much and for how long
// stand in the other fields of Fault.
const (
	Crash     Kind = "crash"     // the power of nodes goes; back after For, if not 0
	Boot      Kind = "boot"      // the power of nodes comes, where it is off
	Cut       Kind = "cut"       // nothing passes between Who and With, on link By or on all
	OneWay    Kind = "oneway"    // nothing passes from Who to With
	Loss      Kind = "loss"      // By percent of the datagrams between Who and With are lost
	Delay     Kind = "delay"     // what passes between Who and With takes By longer in the mean: it overtakes, too
	Duplicate Kind = "duplicate" // By percent of the datagrams come twice
	Pause     Kind = "pause"     // machines stand still and do not know it
	Hang      Kind = "hang"      // the daemons stand still; heartbeats go on
	Daemon    Kind = "daemon"    // the daemons are killed; started again after For
	Pulse     Kind = "pulse"     // the processes of the heartbeats are killed; the daemons start them again
	Numb      Kind = "numb"      // the processes of the heartbeats stand still; the daemons go on
	Clock     Kind = "clock"     // the wall clocks jump by By
	Slow      Kind = "slow"      // each sync of the disks takes By longer
	Sync      Kind = "sync"      // syncs of the disks fail
	Full      Kind = "full"      // the disks are full
	Fail      Kind = "fail"      // a service dies: By
	Agent     Kind = "agent"     // an agent does badly: By is RESOURCE.ACTION.HOW, HOW is fail, hang or lie
	Device    Kind = "device"    // the fence device of nodes does badly: By is fail, slow, hang or lie
	Operator  Kind = "operator"  // a person does By: cleanup, standby, online, confirm, force, move
	Change    Kind = "change"    // somebody changes the configuration: By says what
	Load      Kind = "load"      // By changes of the configuration a second
)

// Kinds are all of them.
var Kinds = []Kind{Crash, Boot, Cut, OneWay, Loss, Delay, Duplicate, Pause, Hang, Daemon, Pulse, Numb, Clock,
	Slow, Sync, Full, Fail, Agent, Device, Operator, Change, Load}
