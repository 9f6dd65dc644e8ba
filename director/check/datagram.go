package check

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/net/dns/dnsmessage"
	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"github.com/takt-ha/takt/director"
)

// exchange sends a datagram and waits for one that ok accepts; others are passed over.
func (p place) exchange(ctx context.Context, send []byte, ok func([]byte) (bool, error)) error {
	c, err := p.dial(ctx, "udp")
	if err != nil {
		return err
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := c.Write(send); err != nil {
		return plain(err, p.timeout)
	}
	b := make([]byte, 64<<10)
	for {
		n, err := c.Read(b)
		if err != nil {
			return plain(err, p.timeout)
		}
		if done, err := ok(b[:n]); done || err != nil {
			return err
		}
	}
}

// newDNS makes a check that asks a name server for one record (RFC 1035): an answer without an error is enough.
func newDNS(k *director.Check, p place) (probe, error) {
	conf := k.DNS
	if conf == nil {
		conf = &director.DNSCheck{}
	}
	kind, err := recordType(conf.Type)
	if err != nil {
		return nil, err
	}
	text := conf.Name
	if text == "" || text[len(text)-1] != '.' {
		text += "."
	}
	name, err := dnsmessage.NewName(text)
	if err != nil {
		return nil, fmt.Errorf("name %q: %w", conf.Name, err)
	}
	return simple(func(ctx context.Context) error {
		var id [2]byte
		_, _ = rand.Read(id[:]) // never fails
		q := dnsmessage.Message{Header: dnsmessage.Header{ID: binary.BigEndian.Uint16(id[:]), RecursionDesired: true},
			Questions: []dnsmessage.Question{{Name: name, Type: kind, Class: dnsmessage.ClassINET}}}
		packet, err := q.Pack()
		if err != nil {
			return err
		}
		return p.exchange(ctx, packet, func(b []byte) (bool, error) { return answered(b, q.ID) })
	}), nil
}

func answered(b []byte, id uint16) (bool, error) {
	var parser dnsmessage.Parser
	h, err := parser.Start(b)
	if err != nil || h.ID != id || !h.Response {
		return false, nil // somebody else's
	}
	if h.RCode != dnsmessage.RCodeSuccess {
		return false, fmt.Errorf("the name server answers %s", codeName(h.RCode))
	}
	return true, nil
}

var codeNames = map[dnsmessage.RCode]string{dnsmessage.RCodeFormatError: "FORMERR", dnsmessage.RCodeServerFailure: "SERVFAIL", dnsmessage.RCodeNameError: "NXDOMAIN",
	dnsmessage.RCodeNotImplemented: "NOTIMP", dnsmessage.RCodeRefused: "REFUSED"}

// codeName is what people call a response code (RFC 8499, section 3).
func codeName(c dnsmessage.RCode) string {
	if name, ok := codeNames[c]; ok {
		return name
	}
	return fmt.Sprintf("with code %d", c)
}

var recordTypes = map[string]dnsmessage.Type{"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "DS": 43, "RRSIG": 46,
	"NSEC": 47, "DNSKEY": 48, "CAA": 257, "ANY": 255}

func recordType(name string) (dnsmessage.Type, error) {
	if name == "" {
		return dnsmessage.TypeSOA, nil
	}
	if t, ok := recordTypes[name]; ok {
		return t, nil
	}
	return 0, fmt.Errorf("record type %q is not known", name)
}

// newUDP makes a check that sends a payload. Silence is good where no answer is required: only a machine that says that nobody listens fails.
func newUDP(k *director.Check, p place) probe {
	conf := k.UDP
	if conf == nil {
		conf = &director.UDPCheck{}
	}
	return simple(func(ctx context.Context) error {
		var wrong error
		err := p.exchange(ctx, conf.Payload, func(b []byte) (bool, error) {
			if wrong = fits(conf, b); wrong != nil {
				return false, wrong
			}
			return true, nil
		})
		if err != nil && !conf.Require && wrong == nil && err.Error() == plain(os.ErrDeadlineExceeded, p.timeout).Error() {
			return nil
		}
		return err
	})
}

// fits compares an answer with what is wanted.
func fits(conf *director.UDPCheck, b []byte) error {
	if len(b) < conf.MinReply || conf.MaxReply > 0 && len(b) > conf.MaxReply {
		return fmt.Errorf("the answer has %d bytes", len(b))
	}
	if len(b) < len(conf.Reply) {
		return errShape
	}
	for i, want := range conf.Reply {
		mask := byte(0xff)
		if i < len(conf.Mask) {
			mask = conf.Mask[i]
		}
		if b[i]&mask != want&mask {
			return errShape
		}
	}
	return nil
}

// ping sends an echo request (RFC 792, RFC 4443).
func (p place) ping(ctx context.Context) error {
	network, raw, proto := "udp4", "ip4:icmp", 1
	var request, reply icmp.Type = ipv4.ICMPTypeEcho, ipv4.ICMPTypeEchoReply
	if p.to.Addr().Is6() {
		network, raw, proto, request, reply = "udp6", "ip6:ipv6-icmp", 58, ipv6.ICMPTypeEchoRequest, ipv6.ICMPTypeEchoReply
	}
	local := "0.0.0.0"
	if p.to.Addr().Is6() {
		local = "::"
	}
	if p.bind.Addr().IsValid() {
		local = p.bind.Addr().String()
	}
	var to net.Addr = &net.UDPAddr{IP: p.to.Addr().AsSlice(), Zone: p.to.Addr().Zone()}
	c, err := icmp.ListenPacket(network, local)
	if err != nil { // the group may not use ping sockets (icmp(7), ping_group_range)
		to = &net.IPAddr{IP: p.to.Addr().AsSlice(), Zone: p.to.Addr().Zone()}
		if c, err = icmp.ListenPacket(raw, local); err != nil {
			return err
		}
	}
	defer c.Close()
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if err := c.SetDeadline(time.Now().Add(p.timeout)); err != nil {
		return err
	}
	secret := make([]byte, 16)
	_, _ = rand.Read(secret) // never fails
	m := icmp.Message{Type: request, Body: &icmp.Echo{ID: int(binary.BigEndian.Uint16(secret)), Seq: 1, Data: secret}}
	packet, err := m.Marshal(nil)
	if err != nil {
		return err
	}
	if _, err := c.WriteTo(packet, to); err != nil {
		return plain(err, p.timeout)
	}
	return p.await(c, reply, proto, secret)
}

// await reads until our own echo comes back.
func (p place) await(c *icmp.PacketConn, reply icmp.Type, proto int, secret []byte) error {
	b := make([]byte, 1500)
	for {
		n, _, err := c.ReadFrom(b)
		if err != nil {
			return plain(err, p.timeout)
		}
		m, err := icmp.ParseMessage(proto, b[:n])
		if err != nil || m.Type != reply {
			continue
		}
		if e, is := m.Body.(*icmp.Echo); is && bytes.Equal(e.Data, secret) {
			return nil
		}
	}
}

var errShape = errors.New("the answer is not as it should be")
