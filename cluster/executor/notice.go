package executor

import "sync"

// notices hands records to a slow reader without ever blocking the writer: of
// each operation only the newest record waits, in the order of first arrival,
// so that the number that wait is bounded by the operations of the node.
type notices struct {
	ch   chan Record
	wake chan struct{}

	mu    sync.Mutex
	order []noticeKey
	last  map[noticeKey]Record
}

type noticeKey struct {
	resource string
	op       opKey
}

func newNotices() *notices {
	return &notices{ch: make(chan Record), wake: make(chan struct{}, 1), last: make(map[noticeKey]Record)}
}

func (n *notices) put(r Record) {
	key := noticeKey{r.Command.Resource, keyOf(r.Command)}
	n.mu.Lock()
	if _, ok := n.last[key]; !ok {
		n.order = append(n.order, key)
	}
	n.last[key] = r
	n.mu.Unlock()
	select {
	case n.wake <- struct{}{}:
	default:
	}
}

func (n *notices) take() (Record, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.order) == 0 {
		return Record{}, false
	}
	key := n.order[0]
	n.order = n.order[1:]
	r := n.last[key]
	delete(n.last, key)
	return r, true
}

// pump moves records to the reader until quit is closed, then closes the channel.
func (n *notices) pump(quit <-chan struct{}) {
	defer close(n.ch)
	for {
		r, ok := n.take()
		if !ok {
			select {
			case <-n.wake:
				continue
			case <-quit:
				return
			}
		}
		select {
		case n.ch <- r:
		case <-quit:
			return
		}
	}
}
