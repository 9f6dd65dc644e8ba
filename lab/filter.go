package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// A cut between two nodes is a filter at the receiver's bridge port that drops
// frames by the sender's MAC address: a classic BPF program attached to the
// port's egress (tc-bpf(8), bytecode form with direct action). That needs
// nothing but the kernel's bpf classifier: no action module, no eBPF rights.

// Names of the kernel's traffic control interface (linux/pkt_cls.h).
const (
	tcaBPFOpsLen    = 4
	tcaBPFOps       = 5
	tcaBPFName      = 7
	tcaBPFFlags     = 8
	bpfFlagDirect   = 1 // TCA_BPF_FLAG_ACT_DIRECT: the result is the verdict
	verdictPass     = 0xffffffff
	verdictDrop     = 2 // TC_ACT_SHOT
	filterPriority  = 1
	filterHandle    = 1
	filterName      = "takt-lab"
	ethernetSrcHigh = 6 // offsets in an Ethernet header
	ethernetSrcLow  = 8
)

// dropFrom makes a port drop frames from the given senders, and only those.
func dropFrom(node string, link int, senders []string) error {
	port, err := netlink.LinkByName(portName(node, link))
	if err != nil {
		return fmt.Errorf("find %s: %w", portName(node, link), err)
	}
	index := port.Attrs().Index
	qdisc := &netlink.Clsact{QdiscAttrs: netlink.QdiscAttrs{LinkIndex: index,
		Handle: netlink.MakeHandle(0xffff, 0), Parent: netlink.HANDLE_CLSACT}}
	if len(senders) == 0 {
		if err := netlink.QdiscDel(qdisc); err != nil && !isGone(err) {
			return fmt.Errorf("remove filter of %s: %w", portName(node, link), err)
		}
		return nil
	}
	if err := netlink.QdiscReplace(qdisc); err != nil {
		return fmt.Errorf("add clsact to %s (the kernel needs sch_ingress): %w", portName(node, link), err)
	}
	if err := replaceFilter(index, dropProgram(link, senders)); err != nil {
		return fmt.Errorf("add filter to %s (the kernel needs cls_bpf): %w", portName(node, link), err)
	}
	return nil
}

// isGone reports errors that mean "there is nothing to remove".
func isGone(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENODEV)
}

// dropProgram compares the sender's address: its first two bytes are the same
// for all nodes, the last four tell link and node.
func dropProgram(link int, senders []string) []bpf.Instruction {
	program := []bpf.Instruction{}
	sorted := slices.Sorted(slices.Values(senders))
	for _, s := range sorted {
		mac := hardwareAddr(s, link)
		program = append(program,
			bpf.LoadAbsolute{Off: ethernetSrcHigh, Size: 2},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(binary.BigEndian.Uint16(mac[:2])), SkipFalse: 3},
			bpf.LoadAbsolute{Off: ethernetSrcLow, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(mac[2:]), SkipFalse: 1},
			bpf.RetConstant{Val: verdictDrop})
	}
	return append(program, bpf.RetConstant{Val: verdictPass})
}

// replaceFilter speaks rtnetlink itself: the library knows only eBPF programs.
func replaceFilter(index int, program []bpf.Instruction) error {
	raw, err := bpf.Assemble(program)
	if err != nil {
		return fmt.Errorf("assemble filter: %w", err)
	}
	ops := make([]byte, 0, 8*len(raw))
	for _, i := range raw {
		ops = binary.NativeEndian.AppendUint16(ops, i.Op)
		ops = append(ops, i.Jt, i.Jf)
		ops = binary.NativeEndian.AppendUint32(ops, i.K)
	}
	q := nl.NewNetlinkRequest(unix.RTM_NEWTFILTER, unix.NLM_F_CREATE|unix.NLM_F_REPLACE|unix.NLM_F_ACK)
	q.AddData(&nl.TcMsg{Family: nl.FAMILY_ALL, Ifindex: int32(index), Handle: filterHandle,
		Parent: netlink.HANDLE_MIN_EGRESS, Info: filterPriority<<16 | uint32(nl.Swap16(unix.ETH_P_ALL))})
	q.AddData(nl.NewRtAttr(nl.TCA_KIND, nl.ZeroTerminated("bpf")))
	options := nl.NewRtAttr(nl.TCA_OPTIONS, nil)
	options.AddRtAttr(tcaBPFOpsLen, nl.Uint16Attr(uint16(len(raw))))
	options.AddRtAttr(tcaBPFOps, ops)
	options.AddRtAttr(tcaBPFFlags, nl.Uint32Attr(bpfFlagDirect))
	options.AddRtAttr(tcaBPFName, nl.ZeroTerminated(filterName))
	q.AddData(options)
	_, err = q.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
