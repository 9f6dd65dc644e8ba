package torture

import (
	"net"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume"
)

// proxy stands between two nodes and does to their streams what networks do.
//
//	a ◀──listen── proxy ◀──dial── b       (the node with the higher id dials)
type proxy struct {
	t  *testing.T
	ln net.Listener
	to string

	mu      sync.Mutex
	changed *sync.Cond
	stall   [2]bool // toward a, toward b: bytes wait
	delay   time.Duration
	rate    int // bytes a second; 0: as fast as it goes
	refuse  bool
	conns   map[net.Conn]bool
}

const (
	towardA = 0
	towardB = 1
)

// newProxy stands before the address of node a.
func newProxy(t *testing.T, to string) *proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{t: t, ln: ln, to: to, conns: map[net.Conn]bool{}}
	p.changed = sync.NewCond(&p.mu)
	go p.accept()
	t.Cleanup(func() {
		ln.Close()
		p.set(func() { p.refuse = true })
		p.reset()
	})
	return p
}

// between makes the second node of a set dial the first by way of a proxy.
func between(t *testing.T) (*proxy, func(i int, c *volume.Config)) {
	var p *proxy
	return newProxyLater(t, &p), func(i int, c *volume.Config) {
		if i == 0 {
			p.set(func() { p.to = c.Nodes[0].Address })
		} else {
			c.Nodes[0].Address = p.ln.Addr().String()
		}
	}
}

func newProxyLater(t *testing.T, p **proxy) *proxy {
	*p = newProxy(t, "")
	return *p
}

func (p *proxy) accept() {
	for {
		c, err := p.ln.Accept()
		if err != nil {
			return
		}
		p.mu.Lock()
		refuse, to := p.refuse, p.to
		p.mu.Unlock()
		if refuse {
			c.Close()
			continue
		}
		d, err := net.Dial("tcp", to)
		if err != nil {
			c.Close()
			continue
		}
		p.set(func() { p.conns[c], p.conns[d] = true, true })
		go func() {
			var both sync.WaitGroup
			both.Go(func() { p.pass(c.(*net.TCPConn), d.(*net.TCPConn), towardA) })
			both.Go(func() { p.pass(d.(*net.TCPConn), c.(*net.TCPConn), towardB) })
			both.Wait()
			p.end(c, d)
		}()
	}
}

// piece is what was read, and when it may go on.
type piece struct {
	data []byte
	due  time.Time
}

// pass carries bytes from one side to the other, and the end of them.
func (p *proxy) pass(from, to *net.TCPConn, direction int) {
	queue := make(chan piece, 64)
	go func() {
		defer close(queue)
		for {
			buf := make([]byte, 16<<10)
			n, err := from.Read(buf)
			if n > 0 {
				p.mu.Lock()
				due := time.Now().Add(p.delay)
				p.mu.Unlock()
				queue <- piece{buf[:n], due}
			}
			if err != nil {
				return
			}
		}
	}()
	for x := range queue {
		<-time.After(time.Until(x.due))
		p.mu.Lock()
		for p.stall[direction] && p.conns[from] {
			p.changed.Wait()
		}
		rate := p.rate
		p.mu.Unlock()
		if rate > 0 {
			<-time.After(time.Duration(len(x.data)) * time.Second / time.Duration(rate))
		}
		if _, err := to.Write(x.data); err != nil {
			from.Close()
			break
		}
	}
	for range queue { // until the reader has ended
	}
	to.CloseWrite()
}

func (p *proxy) end(from, to net.Conn) {
	p.set(func() { delete(p.conns, from); delete(p.conns, to) })
	from.Close()
	to.Close()
}

// set changes what the proxy does.
func (p *proxy) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	p.changed.Broadcast()
}

// reset breaks all connections.
func (p *proxy) reset() {
	p.set(func() {
		for c := range p.conns {
			if tcp, ok := c.(*net.TCPConn); ok {
				tcp.SetLinger(0)
			}
			c.Close()
		}
		clear(p.conns)
	})
}

// cut lets nothing through any more; nobody is told.
func (p *proxy) cut() { p.set(func() { p.stall = [2]bool{true, true} }) }

// heal lets everything through.
func (p *proxy) heal() {
	p.set(func() { p.stall, p.delay, p.rate, p.refuse = [2]bool{}, 0, 0, false })
}

// apart breaks the connections and lets none come about.
func (p *proxy) apart() {
	p.set(func() { p.refuse = true })
	p.reset()
}
