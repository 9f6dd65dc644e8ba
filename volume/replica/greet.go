package replica

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/proto"
)

// greetLimit bounds how long a stranger may take to say who he is.
const greetLimit = 5 * time.Second

// refused is what a peer says instead of a greeting.
type refused string

// Error says it in words.
func (e refused) Error() string { return "refused by the peer: " + string(e) }

func newPair() string {
	b := make([]byte, 8)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func sendJSON(c net.Conn, kind proto.Kind, v any) error {
	payload, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = c.Write(proto.AppendMessage(nil, proto.Header{Kind: kind}, payload))
	return err
}

// maxGreeting bounds what is read of somebody who has not said who he is.
const maxGreeting = 64 << 10

func readJSON(c net.Conn, kind proto.Kind, v any) error {
	head := make([]byte, proto.HeaderSize)
	if _, err := io.ReadFull(c, head); err != nil {
		return err
	}
	h, err := proto.Decode(head)
	if err != nil {
		return err
	}
	if h.Kind != kind || h.Length > maxGreeting {
		return fmt.Errorf("message %d came where %d was due", h.Kind, kind)
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(c, payload); err != nil {
		return err
	}
	if err := h.Check(payload); err != nil {
		return err
	}
	return json.Unmarshal(payload, v)
}

// dialStream opens one stream to the peer and greets it.
func (p *peer) dialStream(stream, pair string) (net.Conn, error) {
	r := p.r
	d := net.Dialer{Timeout: r.live().Net.Timeout}
	tcp, err := d.DialContext(r.ctx, "tcp", p.node.Address)
	if err != nil {
		return nil, err
	}
	w, err := newWire(tcp.(*net.TCPConn))
	if err != nil {
		return nil, err
	}
	w.SetDeadline(time.Now().Add(greetLimit))
	c, err := r.secure(w, true)
	if err == nil {
		err = sendJSON(c, proto.Greeting, r.greeting(p.node.ID, stream, pair, ""))
	}
	var theirs proto.Greet
	if err == nil {
		err = readJSON(c, proto.Greeting, &theirs)
	}
	if err == nil && theirs.Refused != "" {
		err = refused(theirs.Refused)
	}
	if errors.Is(err, errHungUp) {
		err = errors.New("the peer hung up before it said who it is: its log says why; perhaps [net] tls differs between the nodes")
	}
	if err != nil {
		w.Close()
		return nil, err
	}
	w.SetDeadline(time.Time{})
	return c, nil
}

func (r *Replica) greeting(to volume.NodeID, stream, pair, refused string) proto.Greet {
	return proto.Greet{Version: proto.Version, Volume: r.cfg.Name, ID: r.cfg.ID, From: uint8(r.cfg.Self), To: uint8(to), Stream: stream, Pair: pair, Refused: refused}
}

// welcome greets somebody who has connected. It returns whom, or why he was refused.
func (r *Replica) welcome(w *wire) (net.Conn, proto.Greet, error) {
	w.SetDeadline(time.Now().Add(greetLimit))
	c, err := r.secure(w, false)
	var g proto.Greet
	if err == nil {
		err = readJSON(c, proto.Greeting, &g)
	}
	if err != nil {
		return nil, g, err
	}
	why := r.stranger(g)
	if err := sendJSON(c, proto.Greeting, r.greeting(volume.NodeID(g.From), g.Stream, g.Pair, why)); err != nil {
		return nil, g, err
	}
	if why != "" {
		return nil, g, fmt.Errorf("node %d was refused: %s", g.From, why)
	}
	w.SetDeadline(time.Time{})
	return c, g, nil
}

// stranger says why somebody is not a peer of this volume; "" if he is.
func (r *Replica) stranger(g proto.Greet) string {
	switch {
	case g.Version != proto.Version:
		return fmt.Sprintf("I speak version %d of the protocol, you speak %d; the older program must be updated", proto.Version, g.Version)
	case g.ID != r.cfg.ID:
		return fmt.Sprintf("here is volume %s with the identity %s, you have a volume %s with the identity %s; they are different volumes: copy the configuration from one node to the other if they should be one", r.cfg.Name, r.cfg.ID, g.Volume, g.ID)
	case g.To != uint8(r.cfg.Self):
		return fmt.Sprintf("you call node %d, here is node %d; compare the addresses in the configurations", g.To, r.cfg.Self)
	case int(g.From) >= len(r.peers) || r.peers[g.From] == nil:
		return fmt.Sprintf("there is no node %d in my configuration", g.From)
	case g.Stream != "data" && g.Stream != "control":
		return "there is no stream " + g.Stream
	}
	return ""
}
