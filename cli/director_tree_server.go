package cli

import (
	"fmt"
	"strings"

	"github.com/takt-ha/takt/director"
)

// serverName is how a virtual server is called.
func serverName(v *director.VirtualServer) string {
	switch {
	case v.Group != "":
		return "virtual server group " + v.Group
	case v.Key.Mark != 0:
		return fmt.Sprintf("virtual server mark %d", v.Key.Mark)
	}
	return "virtual server " + endpoint(v.Key.Addr) + " " + v.Protocol.String()
}

func serverBranch(v *director.VirtualServer) branch {
	w := phrases{}
	w.add(v.Group != "", "%s", v.Protocol)
	w.add(true, "%s, %s", v.Method+tunnelWords(v.Tunnel), strings.Join(append([]string{v.Scheduler}, v.SchedFlags...), " "))
	w.add(v.OnePacket, "packet by packet")
	w.add(v.Persist.Timeout > 0, "persistent for %v", v.Persist.Timeout)
	w.add(v.Persist.Mask > 0, "by /%d", v.Persist.Mask)
	w.add(v.Persist.Engine != "", "by %s", v.Persist.Engine)
	w.add(v.Quorum != 1, "quorum %d", v.Quorum)
	w.add(v.Hysteresis > 0, "hysteresis %d", v.Hysteresis)
	w.add(v.Alpha, "alpha")
	w.add(v.Omega, "omega")
	w.add(v.HASuspend, "no checks without the address")
	b := branch{What: serverName(v), Words: w.String()}
	for _, m := range v.Members {
		b.Has = append(b.Has, branch{What: memberName(m)})
	}
	for i := range v.Servers {
		b.Has = append(b.Has, realBranch("", v, &v.Servers[i]))
	}
	if v.Sorry != nil {
		b.Has = append(b.Has, realBranch("sorry server ", v, v.Sorry))
	}
	for _, x := range []struct {
		when string
		run  director.Command
	}{{"on quorum", v.QuorumUp}, {"on no quorum", v.QuorumDown}} {
		if !x.run.None() {
			b.Has = append(b.Has, branch{What: x.when, Words: commandLine(x.run)})
		}
	}
	return b
}

func tunnelWords(t director.Tunnel) string {
	switch {
	case t.Kind == "gue":
		return fmt.Sprintf(" (gue, port %d%s)", t.Port, with(", ", t.Checksum))
	case t.Kind != "":
		return fmt.Sprintf(" (%s%s)", t.Kind, with(", ", t.Checksum))
	}
	return ""
}

func memberName(m director.GroupMember) string {
	switch {
	case m.Mark != 0:
		return fmt.Sprintf("mark %d", m.Mark)
	case m.From != m.To:
		return fmt.Sprintf("%s to %s%s", m.From, m.To, portRange(m))
	}
	return m.From.String() + portRange(m)
}

func portRange(m director.GroupMember) string {
	switch {
	case m.Port == 0:
		return ""
	case m.Last != m.Port:
		return fmt.Sprintf(" ports %d to %d", m.Port, m.Last)
	}
	return fmt.Sprintf(" port %d", m.Port)
}

// realBranch is a real server; what is as its virtual server says is left out.
func realBranch(before string, v *director.VirtualServer, s *director.RealServer) branch {
	w := phrases{}
	w.add(true, "weight %d", s.Weight)
	w.add(s.Method != v.Method || s.Tunnel != v.Tunnel, "%s%s", s.Method, tunnelWords(s.Tunnel))
	w.add(s.Upper > 0, "up to %d connections", s.Upper)
	w.add(s.Inhibit, "weight 0 while down")
	for _, c := range s.Checks {
		w.add(true, "%s", checkWords(s, &c))
	}
	w.add(len(s.Checks) == 0 && before == "", "no check: always up")
	b := branch{What: before + endpoint(s.Addr), Words: w.String()}
	for _, x := range []struct {
		when string
		run  director.Command
	}{{"on up", s.Up}, {"on down", s.Down}} {
		if !x.run.None() {
			b.Has = append(b.Has, branch{What: x.when, Words: commandLine(x.run)})
		}
	}
	return b
}

// checkWords is a check in a few words.
func checkWords(s *director.RealServer, c *director.Check) string {
	w := []string{c.Kind}
	switch {
	case c.HTTP != nil:
		for _, u := range c.HTTP.URLs {
			w = append(w, u.Path)
		}
	case c.DNS != nil:
		w = append(w, c.DNS.Name, c.DNS.Type)
	case c.Misc != nil:
		w = append(w, commandLine(c.Misc.Run))
	case c.File != nil:
		return c.Kind + " " + c.File.Name
	}
	if a := c.Addr.Addr(); a.IsValid() && a != s.Addr.Addr() {
		w = append(w, "at", a.String())
	}
	if p := c.Addr.Port(); p != 0 && p != s.Addr.Port() {
		w = append(w, fmt.Sprintf("port %d", p))
	}
	return strings.Join(append(w, every(c.Timing.Loop)), " ")
}
