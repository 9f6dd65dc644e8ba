package scheduler

// shares are the loads of the nodes while resources got their places.
type shares struct {
	loads       [][]int32 // by node.index, before the top-level resource of each place was assigned, and after the last
	fenceDevice bool      // there is one
	places      []int     // of the resources that are assigned now; nil: all, and loads are noted
	differ      bool      // the loads became others than they were
}

// of are the shares for a computation of some places.
func (s *shares) of(places []int) *shares {
	return &shares{loads: s.loads, fenceDevice: s.fenceDevice, places: places}
}

func (s *shares) haveFencing() bool { return s != nil && s.fenceDevice }

// begin is called before the i-th top-level resource of a computation is assigned.
func (s *shares) begin(w *working, i int) {
	switch {
	case s == nil:
	case s.places == nil:
		s.note(w)
	default:
		s.restore(w, s.places[i])
	}
}

// end is called after it.
func (s *shares) end(w *working, i int) {
	if s == nil || s.places == nil {
		return
	}
	for _, n := range w.nodes {
		s.differ = s.differ || n.load != int(s.loads[s.places[i]+1][n.index])
	}
}

// finish is called when all are assigned. What is best among nodes is asked
// later, too (for instances of clones that go together).
func (s *shares) finish(w *working) {
	switch {
	case s == nil:
	case s.places == nil:
		s.note(w)
	default:
		s.restore(w, len(s.loads)-1)
	}
}

func (s *shares) note(w *working) {
	row := make([]int32, w.nodeCount)
	for _, n := range w.nodes {
		row[n.index] = int32(n.load)
	}
	s.loads = append(s.loads, row)
}

func (s *shares) restore(w *working, place int) {
	for _, n := range w.nodes {
		n.load = int(s.loads[place][n.index])
	}
}
