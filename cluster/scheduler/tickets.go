package scheduler

import "github.com/takt-ha/takt/cluster/cib"

// unpackTickets reads which tickets this cluster holds.
func (w *working) unpackTickets(list *cib.Node) {
	for s := range list.Elements {
		if s.Name() != "ticket_state" || s.ID() == "" {
			continue
		}
		t := w.ticketNamed(s.ID())
		for _, a := range s.Attrs() {
			if a.Name != "id" {
				t.attrs[a.Name] = a.Value
			}
		}
		t.granted, t.standby = truth(t.attrs["granted"]), truth(t.attrs["standby"])
	}
}

// words says what keeps a ticket from allowing anything.
func (t *ticket) words() string {
	if t.granted {
		return "in standby"
	}
	return "not granted to this site"
}

// ticketNamed returns the ticket; one that nobody has heard of is not held.
func (w *working) ticketNamed(id string) *ticket {
	t := w.tickets[id]
	if t == nil {
		t = &ticket{id: id, attrs: map[string]string{}}
		w.tickets[id] = t
	}
	return t
}
