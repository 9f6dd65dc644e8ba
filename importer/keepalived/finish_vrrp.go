package keepalived

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
)

// finish fills in what was not said, and hands over what was in the making.
func (r *reader) finish() {
	for k := range r.garps {
		x := &r.garps[k]
		for _, name := range x.interfaces {
			if _, twice := r.garpOf[name]; twice {
				r.warn(x.pos, "%s is in another garp_group already, which counts", name)
				continue
			}
			r.garpOf[name] = &x.garp
		}
	}
	for _, i := range r.instances {
		r.finishInstance(i)
	}
	for _, g := range r.groups {
		g.Notify.Alert = or(false, g.alert, r.shared.alertVRRP)
	}
	r.finishServers()
}

// six reports whether an instance is one of IPv6.
func (i *instance) six() bool {
	switch {
	case len(i.Addresses) > 0:
		return i.Addresses[0].Prefix.Addr().Is6()
	case i.Source.IsValid():
		return i.Source.Is6()
	case len(i.Unicast) > 0:
		return i.Unicast[0].Addr.Is6()
	}
	return i.Native6
}

// where is the place of a keyword of an instance, or of the instance.
func (i *instance) where(keyword string) director.Pos {
	if p, said := i.at[keyword]; said {
		return p
	}
	return i.Pos
}

func (r *reader) finishInstance(i *instance) {
	d := &r.shared
	i.Master = i.state == "MASTER"
	prio := 100
	if i.Master {
		prio = 255
	}
	i.Priority = or(prio, i.priority)
	i.Native6 = i.six()
	i.Version = or(r.cfg.Global.VRRPVersion, i.version)
	if i.Native6 && i.Version == 2 {
		if i.version != nil {
			r.warn(i.where("version"), "%s: IPv6 is always VRRP 3", i.Name)
		}
		i.Version = 3
	}
	i.Strict = or(false, i.strict, d.strict)
	i.Accept = or(!i.Strict || i.Priority == 255, i.accept)
	i.CheckEach = !or(false, i.skipCheck, d.skipCheck)
	i.LowerSilent = or(i.Strict, i.lower, d.lower)
	i.HigherSend = or(false, i.higher, d.higher)
	i.CheckSource = i.CheckSource || or(false, i.checkSource, d.checkSource)
	i.DownAdverts = or(3, i.down, d.down)
	i.StartupDelay = r.cfg.Global.StartupDelay
	i.PriorityLine = i.PriorityLine || r.cfg.Global.PriorityLines
	i.Notify.Alert = or(false, i.alert, d.alertVRRP)
	i.Auth.Kind = strings.ToLower(i.Auth.Kind)
	i.Garp = r.garp(i)
	r.finishAdvert(i)
	r.finishAuth(i)
	r.finishHMAC(i)
	r.finishMAC(i)
	r.finishStart(i)
}

// garp is when gratuitous ARP of an instance goes out.
func (r *reader) garp(i *instance) director.Garp {
	own, all := &i.garp, &r.garpSet
	delay, repeat := 5*time.Second, 5
	if r.minGarp {
		delay, repeat = 0, 1
	}
	g := director.Garp{Delay: or(delay, own.delay, all.delay), Repeat: or(repeat, own.repeat, all.repeat)}
	g.LowerDelay, g.LowerRepeat = or(g.Delay, own.lowerDelay, all.lowerDelay), or(g.Repeat, own.lowerRepeat, all.lowerRepeat)
	g.RefreshEvery, g.RefreshRepeat = or(0, own.refresh, all.refresh), or(1, own.refreshRepeat, all.refreshRepeat)
	g.Interval, g.NAInterval = or(0, all.interval), or(0, all.na)
	if x := r.garpOf[i.Interface]; x != nil {
		g.Interval, g.NAInterval = or(g.Interval, x.interval), or(g.NAInterval, x.na)
	}
	for _, d := range []*time.Duration{&g.Delay, &g.LowerDelay} {
		if *d == 0 {
			*d = -1 // none, where 0 would be the default
		}
	}
	if g.LowerRepeat == 0 {
		g.LowerRepeat = -1
	}
	extra := i.extra
	if !extra.given {
		extra = r.extra
	}
	g.ExtraEvery, g.ExtraAll = extra.every, extra.all
	return g
}

// finishAdvert rounds the interval to what the protocol can say.
func (r *reader) finishAdvert(i *instance) {
	at := i.where("advert_int")
	unit, most := time.Second, 255*time.Second
	if i.Version == 3 {
		unit, most = 10*time.Millisecond, 40950*time.Millisecond
	}
	to := min(max(i.Advert.Round(unit), unit), most)
	switch {
	case to == i.Advert:
		return
	case i.Advert > most:
		r.warn(at, "%s: VRRP 3 has adverts every %v at most: that counts instead of %v", i.Name, most, i.Advert)
	case i.Version == 2:
		r.warn(at, "%s: VRRP 2 knows whole seconds only: %v counts instead of %v (\"version 3\" knows 10 ms)", i.Name, to, i.Advert)
	default:
		r.warn(at, "%s: VRRP 3 knows steps of 10 ms only: %v counts instead of %v", i.Name, to, i.Advert)
	}
	i.Advert = to
}

func (r *reader) finishAuth(i *instance) {
	at := i.where("authentication")
	switch {
	case i.Auth.Kind == "" && i.Auth.Pass == "":
		return
	case i.Auth.Kind == "":
		r.warn(at, "%s: auth_pass without auth_type: there is no authentication", i.Name)
	case i.Auth.Pass == "":
		r.warn(at, "%s: auth_type without auth_pass: there is no authentication", i.Name)
	case i.Version == 3:
		r.warn(at, "%s: VRRP 3 has no authentication: it is left out", i.Name)
	case i.Strict:
		r.warn(at, "%s: strict mode has no authentication: it is left out", i.Name)
	default:
		return
	}
	i.Auth = director.Auth{}
}

func (r *reader) finishMAC(i *instance) {
	m := i.MAC
	_, wanted := i.at["use_vmac"]
	switch {
	case m == nil:
		return
	case !wanted:
		r.warn(i.where("vmac_xmit_base"), "%s: vmac_xmit_base does nothing without use_vmac", i.Name)
		i.MAC = nil
		return
	}
	if m.Interface == "" {
		m.Interface = "vrrp." + strconv.Itoa(i.VRID)
	}
	if strings.Count(m.Hardware, ":") == 4 {
		m.Hardware += fmt.Sprintf(":%02x", i.VRID)
	}
	if len(i.Unicast) > 0 && !m.XmitBase {
		r.warn(i.where("use_vmac"), "%s: with unicast peers adverts go out by the interface itself, as if vmac_xmit_base was said", i.Name)
		m.XmitBase = true
	}
}

// finishStart takes back what does not go with how an instance starts.
func (r *reader) finishStart(i *instance) {
	why := ""
	switch {
	case i.Priority == 255:
		why = "priority 255"
	case i.Master:
		why = "state MASTER"
	default:
		switch {
		case i.PreemptDelay == 0:
			return
		case i.Strict:
			why = "strict mode has no preempt_delay"
		case i.NoPreempt:
			why = "preempt_delay does not go with nopreempt"
		default:
			return
		}
		r.warn(i.where("preempt_delay"), "%s: %s: it is left out", i.Name, why)
		i.PreemptDelay = 0
		return
	}
	if i.NoPreempt {
		r.warn(i.where("nopreempt"), "%s: nopreempt does not go with %s: it is left out", i.Name, why)
		i.NoPreempt = false
	}
	if i.PreemptDelay > 0 {
		r.warn(i.where("preempt_delay"), "%s: preempt_delay does not go with %s: it is left out", i.Name, why)
		i.PreemptDelay = 0
	}
}
