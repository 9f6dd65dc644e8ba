package knbd

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Generic netlink as the kernel's nbd speaks it (include/uapi/linux/{netlink,genetlink,nbd-netlink}.h
// of Linux): messages of attributes, each a length, a type and a value padded to four bytes.

var order = binary.NativeEndian

// Commands of the family "nbd", and what the controller of families is asked.
const (
	cmdConnect     = 1
	cmdDisconnect  = 2
	cmdReconfigure = 3

	ctrlGetFamily  = 3
	ctrlFamilyID   = 1
	ctrlFamilyName = 2
)

// Attributes of nbd.
const (
	attrIndex       = 1
	attrSize        = 2
	attrBlockSize   = 3
	attrServerFlags = 5
	attrSockets     = 7
	attrDeadTimeout = 8
	attrBackend     = 10

	sockItem = 1
	sockFD   = 1
)

// attrs builds attributes.
type attrs []byte

func (a attrs) bytes(kind uint16, value []byte) attrs {
	a = order.AppendUint16(a, uint16(4+len(value)))
	a = order.AppendUint16(a, kind)
	a = append(a, value...)
	return append(a, make([]byte, -len(value)&3)...)
}

func (a attrs) u32(kind uint16, v uint32) attrs { return a.bytes(kind, order.AppendUint32(nil, v)) }
func (a attrs) u64(kind uint16, v uint64) attrs { return a.bytes(kind, order.AppendUint64(nil, v)) }
func (a attrs) text(kind uint16, v string) attrs {
	return a.bytes(kind, append([]byte(v), 0))
}

// socket names the descriptor of a connected socket.
func (a attrs) socket(fd int) attrs {
	item := attrs{}.u32(sockFD, uint32(fd))
	list := attrs{}.bytes(sockItem|unix.NLA_F_NESTED, item)
	return a.bytes(attrSockets|unix.NLA_F_NESTED, list)
}

// message is a request of generic netlink that wants an acknowledgement.
func message(family uint16, command uint8, seq uint32, a attrs) []byte {
	b := order.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+unix.GENL_HDRLEN+len(a)))
	b = order.AppendUint16(b, family)
	b = order.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_ACK)
	b = order.AppendUint32(b, seq)
	b = order.AppendUint32(b, 0) // port: the kernel's to know
	b = append(b, command, 1, 0, 0)
	return append(b, a...)
}

var errShort = errors.New("the kernel sent a netlink message that is cut off")

// attribute finds an attribute.
func attribute(b []byte, kind uint16) ([]byte, bool) {
	for len(b) >= 4 {
		n := int(order.Uint16(b))
		if n < 4 || n > len(b) {
			break
		}
		if order.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER) == kind {
			return b[4:n], true
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return nil, false
}

// parse reads what came as the answer to seq: attributes of an answer, and whether the
// acknowledgement was in it.
func parse(b []byte, seq uint32) (answer []byte, acked bool, err error) {
	for len(b) >= unix.SizeofNlMsghdr {
		n := int(order.Uint32(b))
		if n < unix.SizeofNlMsghdr || n > len(b) {
			return nil, false, errShort
		}
		kind, theirs, body := order.Uint16(b[4:]), order.Uint32(b[8:]), b[unix.SizeofNlMsghdr:n]
		b = b[min((n+3)&^3, len(b)):]
		switch {
		case theirs != seq:
		case kind == unix.NLMSG_ERROR && len(body) < 4, kind != unix.NLMSG_ERROR && len(body) < unix.GENL_HDRLEN:
			return nil, false, errShort
		case kind == unix.NLMSG_ERROR:
			if code := int32(order.Uint32(body)); code != 0 {
				return nil, true, unix.Errno(-code)
			}
			acked = true
		default:
			answer = body[unix.GENL_HDRLEN:]
		}
	}
	return answer, acked, nil
}

// netlink is a socket of generic netlink.
type netlink struct {
	fd     int
	seq    uint32
	family uint16 // of nbd
}

// dial opens a socket and asks for the family of nbd.
func dial() (*netlink, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("open netlink: %w", err)
	}
	n := &netlink{fd: fd}
	limit := unix.NsecToTimeval(int64(answerLimit))
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}), unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit)); err != nil {
		n.close()
		return nil, err
	}
	answer, err := n.ask(unix.GENL_ID_CTRL, ctrlGetFamily, attrs{}.text(ctrlFamilyName, "nbd"))
	if err != nil {
		n.close()
		return nil, fmt.Errorf("the kernel's nbd does not speak netlink: %w", err)
	}
	id, ok := attribute(answer, ctrlFamilyID)
	if !ok || len(id) < 2 {
		n.close()
		return nil, errShort
	}
	n.family = order.Uint16(id)
	return n, nil
}

// ask sends a request and waits for its acknowledgement.
func (n *netlink) ask(family uint16, command uint8, a attrs) ([]byte, error) {
	n.seq++
	if err := unix.Sendto(n.fd, message(family, command, n.seq, a), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	buf := make([]byte, 16<<10)
	var answer []byte
	for {
		got, _, err := unix.Recvfrom(n.fd, buf, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		part, acked, err := parse(buf[:got], n.seq)
		if err != nil {
			return nil, err
		}
		if part != nil {
			answer = append([]byte(nil), part...)
		}
		if acked {
			return answer, nil
		}
	}
}

// nbd sends a command to nbd.
func (n *netlink) nbd(command uint8, a attrs) ([]byte, error) { return n.ask(n.family, command, a) }

func (n *netlink) close() { unix.Close(n.fd) }
