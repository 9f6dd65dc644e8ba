package vrrp

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/director"
)

// TestStories plays testdata: whole networks of routers on virtual time, one story a file, every effect in the transcript
// but the adverts, of which only those of priority 0 show until "sends".
//
// A router is described by lines: "instance NAME INTERFACE SOURCE key=value...", "group NAME INSTANCE...", "script NAME ...",
// "file NAME ...", and "track NAME KIND WHAT ..." where NAME is an instance or a group.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		n := newNetwork()
		cut := map[[2]string]bool{}
		n.lost = func(from, to *router, on string) bool {
			return cut[[2]string{from.name, to.name}] || cut[[2]string{from.name + "/" + on, to.name}]
		}
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			n.log.Reset()
			command(t, n, cut, d)
			return n.log.String()
		})
	})
}

func command(t *testing.T, n *network, cut map[[2]string]bool, d *datadriven.TestData) {
	arg := func(k int) string { return d.CmdArgs[k].Key }
	span := func(k int) time.Duration {
		v, err := time.ParseDuration(arg(k))
		if err != nil {
			d.Fatalf(t, "%v", err)
		}
		return v
	}
	var r *router
	if len(d.CmdArgs) > 0 {
		r = n.router(arg(0))
	}
	switch d.Cmd {
	case "router":
		n.routers = append(n.routers, describe(t, d, arg(0)))
	case "start":
		for k := range d.CmdArgs {
			n.start(n.router(arg(k)))
		}
	case "run":
		n.run(n.now + span(0))
	case "crash", "kill":
		n.crash(r, d.Cmd == "kill")
	case "pause", "freeze":
		r.pause, r.frozen, r.slept = n.now+span(1), d.Cmd == "freeze", n.now
	case "stop":
		n.step(r, Stop{})
	case "link":
		r.links[arg(1)] = arg(2) == "up"
		n.step(r, Link{arg(1), arg(2) == "up"})
	case "source":
		a, _ := netip.ParseAddr(arg(2))
		r.source[arg(1)] = a
		n.step(r, Source{arg(1), a})
	case "tracked":
		n.step(r, parseTrack(d))
	case "cut":
		cut[[2]string{arg(0), arg(1)}] = true
	case "heal":
		clear(cut)
	case "sends":
		n.sends = !n.sends
	case "reload":
		now := describe(t, d, arg(0))
		r.cfg, r.source = now.cfg, now.source
		for name, a := range now.source {
			n.step(r, Source{name, a})
		}
		n.step(r, Reload{now.cfg})
	case "packet":
		n.step(r, parsePacket(t, d, n.now))
	case "again": // what it heard last
		n.step(r, Packet{n.now, r.last})
	case "clock": // is set forward, or back
		r.wall += span(1)
		n.step(r, n.clock(r))
	case "status":
		printStatus(n)
	default:
		d.Fatalf(t, "unknown command %s", d.Cmd)
	}
}

func printStatus(n *network) {
	for _, r := range n.routers {
		if r.m == nil {
			fmt.Fprintf(&n.log, "%s is off\n", r.name)
			continue
		}
		for _, s := range r.m.Status() {
			fmt.Fprintf(&n.log, "%s/%s: %s, priority %d of %d", r.name, s.Name, s.State, s.Priority, s.Base)
			if s.Reason != "" {
				fmt.Fprintf(&n.log, ", %s", s.Reason)
			}
			if s.Rival.IsValid() {
				fmt.Fprintf(&n.log, ", heard %s", s.Rival)
			}
			for why, count := range s.Refused {
				if count > 0 {
					fmt.Fprintf(&n.log, "; %d because %s", count, Reason(why))
				}
			}
			fmt.Fprintln(&n.log)
		}
		if lost := r.m.Strangers("eth0"); lost != (Refusals{}) {
			fmt.Fprintf(&n.log, "%s/eth0: %d of no virtual router here, %d too short or long\n", r.name, lost[BadVRID], lost[BadLength])
		}
	}
}

func parseTrack(d *datadriven.TestData) Track {
	kind := map[string]TrackKind{"script": TrackScript, "file": TrackFile, "process": TrackProcess}[d.CmdArgs[1].Key]
	value, _ := strconv.Atoi(d.CmdArgs[3].Key)
	return Track{Kind: kind, Name: d.CmdArgs[2].Key, Up: d.CmdArgs[3].Key == "up", Value: value}
}

// parsePacket makes a datagram from "packet ROUTER INTERFACE SRC DST TTL" and hex in the body; a line "advert ..." makes the hex.
func parsePacket(t *testing.T, d *datadriven.TestData, now time.Duration) Packet {
	arg := func(k int) string { return d.CmdArgs[k].Key }
	p := Packet{At: now, Datagram: Datagram{Interface: arg(1), Src: netip.MustParseAddr(arg(2)), Dst: netip.MustParseAddr(arg(3))}}
	p.TTL, _ = strconv.Atoi(arg(4))
	if fields := strings.Fields(d.Input); len(fields) > 0 && fields[0] == "advert" {
		v := values(fields[1:])
		a := Advert{Version: v.num("version", 2), VRID: v.num("vrid", 51), Priority: v.num("priority", 100), Interval: v.span("advert", time.Second),
			auth: byte(v.num("auth", 0))}
		copy(a.pass[:], v["pass"])
		for _, ip := range strings.Split(v["ip"], ",") {
			if ip != "" {
				a.Addresses = append(a.Addresses, netip.MustParseAddr(ip))
			}
		}
		p.Data = a.encode(nil, p.Src, p.Dst)
		if v["spoil"] != "" {
			p.Data[6] ^= 1
		}
		return p
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(d.Input), ""))
	if err != nil {
		d.Fatalf(t, "%v", err)
	}
	p.Data = b
	return p
}

// words after the fixed ones of a line
type settings map[string]string

func values(fields []string) settings {
	v := settings{}
	for _, f := range fields {
		key, value, has := strings.Cut(f, "=")
		if !has {
			value = "yes"
		}
		v[key] = value
	}
	return v
}

func (v settings) num(key string, def int) int {
	if n, err := strconv.Atoi(v[key]); err == nil {
		return n
	}
	return def
}

func (v settings) span(key string, def time.Duration) time.Duration {
	if n, err := time.ParseDuration(v[key]); err == nil {
		return n
	}
	return def
}

func describe(t *testing.T, d *datadriven.TestData, name string) *router {
	r := &router{name: name, cfg: &director.Config{}, source: map[string]netip.Addr{}, links: map[string]bool{}, held: map[string]bool{}}
	for line := range strings.Lines(d.Input) {
		f := strings.Fields(line)
		v := values(f[min(2, len(f)):])
		switch f[0] {
		case "instance":
			r.source[f[1]], _ = netip.ParseAddr(f[3])
			r.links[f[2]] = true
			r.cfg.Instances = append(r.cfg.Instances, parseInstance(f, values(f[4:])))
		case "group":
			g := director.SyncGroup{Name: f[1]}
			for _, member := range f[2:] {
				if member == "global" {
					g.GlobalTracking = true
					continue
				}
				g.Instances = append(g.Instances, member)
			}
			r.cfg.SyncGroups = append(r.cfg.SyncGroups, g)
		case "script":
			r.cfg.Scripts = append(r.cfg.Scripts, director.Script{Name: f[1], Weight: v.num("weight", 0), Reverse: v["reverse"] != "", InitFail: v["init_fail"] != ""})
		case "file":
			r.cfg.Files = append(r.cfg.Files, director.TrackedFile{Name: f[1], Weight: v.num("weight", 1)})
		case "process":
			r.cfg.Processes = append(r.cfg.Processes, director.TrackedProcess{Name: f[1], Weight: v.num("weight", 0)})
		case "track":
			addTrack(r.cfg, f)
		case "delays":
			r.cfg.Global.Delays = append(r.cfg.Global.Delays, director.InterfaceDelay{Interface: f[1], Down: v.span("down", 0), Up: v.span("up", 0)})
		case "up":
			r.links[f[1]] = true
		default:
			d.Fatalf(t, "unknown word %s", f[0])
		}
	}
	return r
}

func addTrack(cfg *director.Config, f []string) {
	v := values(f[4:])
	x := director.Tracked{Name: f[3], Weight: v.num("weight", 0), Default: v["weight"] == "" && v["reverse"] == "", Reverse: v["reverse"] != ""}
	var to *director.Track
	for k := range cfg.Instances {
		if cfg.Instances[k].Name == f[1] {
			to = &cfg.Instances[k].Track
		}
	}
	for k := range cfg.SyncGroups {
		if cfg.SyncGroups[k].Name == f[1] {
			to = &cfg.SyncGroups[k].Track
		}
	}
	list := map[string]*[]director.Tracked{"interface": &to.Interfaces, "script": &to.Scripts, "file": &to.Files, "process": &to.Processes}[f[2]]
	*list = append(*list, x)
}

func parseInstance(f []string, v settings) director.Instance {
	i := director.Instance{Name: f[1], Interface: f[2], VRID: v.num("vrid", 51), Priority: v.num("priority", 100), Version: v.num("version", 2),
		Advert: v.span("advert", time.Second), Master: v["master"] != "", NoPreempt: v["nopreempt"] != "", PreemptDelay: v.span("delay", 0),
		StartupDelay: v.span("startup", 0), LowerSilent: v["lower_silent"] != "", HigherSend: v["higher_send"] != "", CheckEach: v["skip"] == "",
		Alone: v["alone"] != "", CheckSource: v["anybody"] == "", DownAdverts: v.num("down", 0), Strict: v["strict"] != "",
		Garp: director.Garp{Delay: v.span("garp_delay", -1), Repeat: v.num("garp", 1), RefreshEvery: v.span("refresh", 0),
			LowerRepeat: v.num("garp_lower", 0), LowerDelay: v.span("garp_lower_delay", 0), Interval: v.span("garp_interval", 0)}}
	for _, ip := range strings.Split(v["ip"], ",") {
		if ip == "" {
			continue
		}
		ip, on, _ := strings.Cut(ip, "@")
		a := netip.MustParseAddr(ip)
		i.Addresses = append(i.Addresses, director.Address{Prefix: netip.PrefixFrom(a, a.BitLen()), Interface: on})
	}
	if v["route"] != "" {
		i.Routing.Routes = []director.Route{{To: netip.MustParsePrefix(v["route"])}}
	}
	if kind, pass, ok := strings.Cut(v["auth"], ":"); ok {
		i.Auth = director.Auth{Kind: kind, Pass: director.Secret(pass)}
	}
	if active, keys, ok := strings.Cut(v["hmac"], ":"); ok {
		i.HMAC = &director.HMAC{Mode: director.HMACMode(cmp.Or(v["mode"], "enforce")), Window: v.span("window", 5*time.Second), Monotonic: v["monotonic"] != ""}
		i.HMAC.Active, _ = strconv.Atoi(active)
		for k, key := range strings.Split(keys, ",") {
			i.HMAC.Keys = append(i.HMAC.Keys, director.HMACKey{ID: k + 1, Key: director.Secret(key)})
		}
	}
	for _, ip := range strings.Split(v["peer"], ",") {
		if ip != "" {
			i.Unicast = append(i.Unicast, director.Unicast{Addr: netip.MustParseAddr(ip), MinTTL: v.num("min_ttl", 0)})
		}
	}
	return i
}
