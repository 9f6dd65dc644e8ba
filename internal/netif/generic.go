package netif

import (
	"fmt"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// Generic is a socket to one family of generic netlink (netlink(7)), such as IPVS. What the attributes mean is the caller's affair; errors
// of the kernel are unix.Errno. It is not safe for concurrent use.
type Generic struct {
	family  int
	version uint8
	socket  *nl.SocketHandle
}

// OpenGeneric opens one. To ask for a family makes the kernel load the module that has it; one that it does not have is unix.ENOENT.
func OpenGeneric(name string, version uint8) (*Generic, error) {
	family, err := netlink.GenlFamilyGet(name)
	if err != nil {
		return nil, fmt.Errorf("ask the kernel for %s: %w", name, err)
	}
	s, err := nl.GetNetlinkSocketAt(netns.None(), netns.None(), unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("open a netlink socket: %w", err)
	}
	g := &Generic{int(family.ID), version, &nl.SocketHandle{Socket: s}}
	for _, limit := range []func(*unix.Timeval) error{s.SetSendTimeout, s.SetReceiveTimeout} {
		if err := limit(&nl.SocketTimeoutTv); err != nil {
			g.Close()
			return nil, fmt.Errorf("open a netlink socket: %w", err)
		}
	}
	return g, nil
}

// Close ends it.
func (g *Generic) Close() { g.socket.Close() }

// Do gives a command with attributes, and waits until it is carried out.
func (g *Generic) Do(command uint8, attributes []byte) error {
	_, err := g.execute(command, unix.NLM_F_ACK, attributes)
	return err
}

// Tell gives a command and hears no answer: whether it was carried out has to be seen. It is carried out before Tell returns.
func (g *Generic) Tell(command uint8, attributes []byte) error {
	return g.socket.Socket.Send(g.request(command, 0, attributes))
}

// Get asks for one thing, and returns its attributes.
func (g *Generic) Get(command uint8, attributes []byte) ([]byte, error) {
	list, err := g.execute(command, 0, attributes)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return list[0], nil
}

// List asks for all things of a kind, and returns the attributes of each.
func (g *Generic) List(command uint8, attributes []byte) ([][]byte, error) {
	return retry(func() ([][]byte, error) { return g.execute(command, unix.NLM_F_DUMP, attributes) })
}

func (g *Generic) execute(command uint8, flags int, attributes []byte) ([][]byte, error) {
	list, err := g.request(command, flags, attributes).Execute(unix.NETLINK_GENERIC, 0)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if len(list[i]) < nl.SizeofGenlmsg {
			return nil, fmt.Errorf("the kernel's answer is too short: %d bytes", len(list[i]))
		}
		list[i] = list[i][nl.SizeofGenlmsg:]
	}
	return list, nil
}

func (g *Generic) request(command uint8, flags int, attributes []byte) *nl.NetlinkRequest {
	r := nl.NewNetlinkRequest(g.family, flags)
	r.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_GENERIC: g.socket}
	r.AddData(&nl.Genlmsg{Command: command, Version: g.version})
	r.AddRawData(attributes)
	return r
}
