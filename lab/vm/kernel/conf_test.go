package kernel

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
)

// service is a virtual_server of a configuration.
type service struct {
	key     string   // as it stands behind virtual_server: "192.0.2.10 80"
	method  string   // NAT, DR or TUN
	algo    string   // "": rr
	proto   string   // "": TCP
	options []string // lines
	servers []server
}

// server is a real_server.
type server struct {
	at      string // "10.0.0.21 80"
	options []string
	free    bool // of checks
}

// back are the three servers as NAT sees them, front as DR and TUN do.
func back(port int, options ...string) (out []server) {
	for i := range 3 {
		out = append(out, server{at: fmt.Sprintf("10.0.0.2%d %d", i+1, port), options: options})
	}
	return out
}

func front(port int) (out []server) {
	for i := range 3 {
		out = append(out, server{at: fmt.Sprintf("192.0.2.2%d %d", i+1, port)})
	}
	return out
}

// over6 puts IPv6 in the place of IPv4.
func over6(list []server) (out []server) {
	for _, s := range list {
		s.at = strings.NewReplacer("10.0.0.", "2001:db8:2::", "192.0.2.", "2001:db8:1::").Replace(s.at)
		out = append(out, s)
	}
	return out
}

// String is the block.
func (v service) String() string {
	algo, proto := v.algo, v.proto
	if algo == "" {
		algo = "rr"
	}
	if proto == "" {
		proto = "TCP"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "virtual_server %s {\n delay_loop 1\n lb_algo %s\n lb_kind %s\n protocol %s\n", v.key, algo, v.method, proto)
	for _, o := range v.options {
		fmt.Fprintf(&b, " %s\n", o)
	}
	for _, s := range v.servers {
		fmt.Fprintf(&b, " real_server %s {\n", s.at)
		for _, o := range s.options {
			fmt.Fprintf(&b, "  %s\n", o)
		}
		if !s.free && proto == "TCP" {
			b.WriteString("  TCP_CHECK {\n   connect_timeout 6\n   retry 0\n   warmup 0\n  }\n")
		}
		b.WriteString(" }\n")
	}
	b.WriteString("}\n")
	return b.String()
}

// conf is a configuration of services.
func conf(services ...service) string {
	var b strings.Builder
	b.WriteString("global_defs {\n router_id test\n}\n")
	for _, s := range services {
		b.WriteString(s.String())
	}
	return b.String()
}

// each runs a story with directors of both kinds.
func each(t *testing.T, story func(*testing.T, kind)) {
	t.Parallel()
	for _, k := range []kind{ours, theirs} {
		t.Run(string(k), func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath("keepalived"); err != nil && k == theirs {
				t.Skip("keepalived is not installed")
			}
			story(t, k)
		})
	}
}

// mine runs a story that is not keepalived's.
func mine(t *testing.T, story func(*testing.T)) {
	t.Parallel()
	story(t)
}
