package schedtest

import (
	"iter"
	"math/bits"
)

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) add(i int) { b[i/64] |= 1 << (i % 64) }

func (b bitset) has(i int) bool { return b[i/64]>>(i%64)&1 != 0 }

// addAll adds the elements of c, and reports whether there was a new one.
func (b bitset) addAll(c bitset) bool {
	grew := false
	for i, w := range c {
		grew = grew || w&^b[i] != 0
		b[i] |= w
	}
	return grew
}

// without yields the elements that are not in c, ascending.
func (b bitset) without(c bitset) iter.Seq[int] {
	return func(yield func(int) bool) {
		for i, w := range b {
			for w &^= c[i]; w != 0; w &= w - 1 {
				if !yield(i*64 + bits.TrailingZeros64(w)) {
					return
				}
			}
		}
	}
}

// Cyclic reports whether some actions wait for themselves.
func (e *Expectation) Cyclic() bool {
	_, cyclic := topological(len(e.Actions), e.successors())
	return cyclic
}

func (e *Expectation) successors() [][]int {
	next := make([][]int, len(e.Actions))
	for _, o := range e.Order {
		next[o[0]] = append(next[o[0]], o[1])
	}
	return next
}

// reach is what comes after what, over the whole graph.
type reach struct {
	after  []bitset // a name's number → numbers of the names after it
	cyclic bool
}

// reachability follows the order of e between the actions whose words are in
// names, through all the others.
func reachability(e *Expectation, names map[string]int) reach {
	number := make([]int, len(e.Actions))
	for i, a := range e.Actions {
		number[i] = -1
		if k, ok := names[a.String()]; ok && a.Real() {
			number[i] = k
		}
	}
	r := reach{after: make([]bitset, len(names))}
	for k := range r.after {
		r.after[k] = newBitset(len(names))
	}
	sets, cyclic := closure(e.successors(), number, len(names))
	for i, k := range number {
		if k >= 0 {
			r.after[k].addAll(sets[i])
		}
	}
	r.cyclic = cyclic
	return r
}

// closure returns, for each vertex, the numbers (below size) of all vertices
// that come after it; a negative number is not noted.
func closure(next [][]int, number []int, size int) (sets []bitset, cyclic bool) {
	list, cyclic := topological(len(next), next)
	sets = make([]bitset, len(next))
	for i := range sets {
		sets[i] = newBitset(size)
	}
	for grew := true; grew; {
		grew = false
		for at := len(list) - 1; at >= 0; at-- {
			i := list[at]
			for _, j := range next[i] {
				if sets[i].addAll(sets[j]) {
					grew = true
				}
				if number[j] >= 0 {
					sets[i].add(number[j])
				}
			}
		}
		grew = grew && cyclic // without a cycle one pass is enough
	}
	return sets, cyclic
}

// topological lists the vertices so that each comes before those after it; the
// vertices of cycles, and what comes after them, stand at the end.
func topological(n int, next [][]int) (list []int, cyclic bool) {
	waits := make([]int, n)
	for _, js := range next {
		for _, j := range js {
			waits[j]++
		}
	}
	for i := range n {
		if waits[i] == 0 {
			list = append(list, i)
		}
	}
	for at := 0; at < len(list); at++ {
		for _, j := range next[list[at]] {
			if waits[j]--; waits[j] == 0 {
				list = append(list, j)
			}
		}
	}
	cyclic = len(list) < n
	for i := range n {
		if waits[i] > 0 {
			list = append(list, i)
		}
	}
	return list, cyclic
}
