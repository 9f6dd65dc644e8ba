package pool

// Status is a virtual server as it stands.
type Status struct {
	Name       string       `json:"name"`
	Up         bool         `json:"quorum_up"`
	Weight     int          `json:"weight"` // of those alive
	Quorum     int          `json:"quorum"`
	Hysteresis int          `json:"hysteresis"`
	Suspended  bool         `json:"suspended,omitempty"`    // its checks rest
	Sorry      string       `json:"sorry_server,omitempty"` // that serves instead
	Servers    []RealStatus `json:"servers"`
}

// RealStatus is a real server as it stands.
type RealStatus struct {
	Name    string   `json:"name"`
	Address string   `json:"address"`
	Alive   bool     `json:"alive"`
	Weight  int      `json:"weight"`
	Unknown bool     `json:"unknown,omitempty"` // a check has not run yet
	Failing []string `json:"failing,omitempty"` // checks, with why
}

// Status returns all virtual servers in the order of the configuration.
func (m *Machine) Status() []Status {
	list := []Status{}
	for _, v := range m.virtual {
		s := Status{Name: v.name, Up: v.up, Weight: v.sum(), Quorum: v.Quorum, Hysteresis: v.Hysteresis, Suspended: v.rests}
		if v.Sorry != nil && !v.up {
			s.Sorry = v.Sorry.Addr.String()
		}
		for _, r := range v.reals {
			rs := RealStatus{Name: r.name, Address: r.at.String(), Alive: r.alive, Weight: r.weight()}
			for i, c := range r.checks {
				rs.Unknown = rs.Unknown || !c.known
				if c.known && !c.up {
					rs.Failing = append(rs.Failing, r.Checks[i].Kind+": "+c.why)
				}
			}
			s.Servers = append(s.Servers, rs)
		}
		list = append(list, s)
	}
	return list
}
