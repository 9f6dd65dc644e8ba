package main

import (
	"sync"
	"time"

	"github.com/google/nftables"
)

// touched is that a transaction has changed the rules of a virtual server.
type touched struct {
	at    time.Time
	chain string
}

// follower writes down which chains are changed in the kernel, as the kernel tells it.
type follower struct {
	monitor *nftables.Monitor
	work    sync.WaitGroup
	more    chan struct{}

	mu   sync.Mutex
	list []touched // guarded by mu
}

func (m *machine) follow() (*follower, error) {
	f := &follower{more: make(chan struct{}, 1)}
	err := m.do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		f.monitor = nftables.NewMonitor(nftables.WithMonitorEventBuffer(1000))
		events, err := c.AddGenerationalMonitor(f.monitor)
		if err == nil {
			f.work.Go(func() { f.listen(events) })
		}
		return err
	})
	return f, err
}

func (f *follower) listen(events chan *nftables.MonitorEvents) {
	for e := range events {
		now, seen := time.Now(), map[string]bool{}
		f.mu.Lock()
		for _, c := range e.Changes {
			name := chainOf(c.Data)
			if name != "" && !seen[name] {
				seen[name] = true
				f.list = append(f.list, touched{now, name})
			}
		}
		f.mu.Unlock()
		select {
		case f.more <- struct{}{}:
		default:
		}
	}
}

// chainOf is the chain that a change is about; "" for what belongs to no virtual server alone.
func chainOf(data any) string {
	switch d := data.(type) {
	case *nftables.Rule:
		return d.Chain.Name
	case *nftables.Chain:
		return d.Name
	case []nftables.SetElement:
		for _, e := range d {
			if e.VerdictData != nil {
				return e.VerdictData.Chain
			}
		}
	}
	return ""
}

// take returns what was touched since the last call.
func (f *follower) take() []touched {
	f.mu.Lock()
	defer f.mu.Unlock()
	list := f.list
	f.list = nil
	return list
}

// until waits until at least n were touched, and returns them.
func (f *follower) until(n int, limit time.Duration) (list []touched) {
	timeout := time.After(limit)
	for len(list) < n {
		select {
		case <-f.more:
			list = append(list, f.take()...)
		case <-timeout:
			return append(list, f.take()...)
		}
	}
	return list
}

func (f *follower) stop() {
	_ = f.monitor.Close() // a socket
	f.work.Wait()
}
