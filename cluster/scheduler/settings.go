package scheduler

import (
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib/rule"
)

// opKey identifies an operation of one definition.
type opKey struct {
	key, task string
	interval  int64
}

// opSettings are what an operation runs with, configured or not.
type opSettings struct {
	meta    map[string]string // merged; shared: do not change it
	timeout int64             // ms
	onFail  string            // as configured, "" if it is not or makes no sense for the task
}

type opDefaultsKey struct {
	agent    rule.Agent
	task     string
	interval int64
}

// defaultTimeout is the time-out of an operation for which nothing else says one.
const defaultTimeout = 20_000

// opMeta are the settings with which an operation runs, configured (d) or not.
func (w *working) opMeta(r *resource, name string, interval int64, d *opDef, n *node) map[string]string {
	return w.settingsOf(r, name, name, interval, d, n).meta
}

// settingsOf merges what is said about an operation: the operation's XML
// attributes before its meta attributes before op_defaults. They do not depend on
// the node, but for a fence device's time-out.
func (w *working) settingsOf(r *resource, key, task string, interval int64, d *opDef, n *node) *opSettings {
	id := opKey{key, task, interval}
	if s, ok := r.def.settings[id]; ok {
		return w.withDeviceTimeout(s, r, task, interval, n)
	}
	m := map[string]string{}
	for _, p := range w.operationDefaults(r.def.agent, task, interval) {
		m[p.Name] = p.Value
	}
	if task == taskMonitor && interval == 0 {
		if o := r.mostFrequentMonitor(); o != nil {
			if t, ok := o.xml.Lookup("timeout"); ok {
				m["timeout"] = t
			}
		}
	}
	if d != nil {
		maps.Copy(m, w.ownOpMeta(r, d))
	}
	delete(m, "id")
	delete(m, "interval")
	if interval > 0 {
		m["interval"] = strconv.FormatInt(interval, 10)
	}
	s := &opSettings{meta: m, timeout: milliseconds(m["timeout"], defaultTimeout)}
	m["timeout"] = strconv.FormatInt(s.timeout, 10)
	s.onFail = w.readOnFail(r, task, d, m)
	w.addStartDelay(m, d, interval)
	if r.def.settings == nil {
		r.def.settings = map[opKey]*opSettings{}
	}
	r.def.settings[id] = s
	return w.withDeviceTimeout(s, r, task, interval, n)
}

// ownOpMeta is what the operation's element itself says.
func (w *working) ownOpMeta(r *resource, d *opDef) map[string]string {
	if d.meta != nil {
		return d.meta
	}
	c := w.ruleContext(nil)
	c.Agent = &r.def.agent
	c.Op = &rule.Operation{Name: d.name, Interval: time.Duration(d.interval) * time.Millisecond}
	pairs := c.Merge(nil, d.xml, "meta_attributes", rule.Options{Overwrite: true})
	w.recheckAt(c.Change)
	d.meta = map[string]string{}
	for _, p := range pairs {
		d.meta[p.Name] = p.Value
	}
	for _, a := range d.xml.Attrs() {
		d.meta[a.Name] = a.Value
	}
	return d.meta
}

// operationDefaults are the meta attributes of op_defaults for an operation.
func (w *working) operationDefaults(agent rule.Agent, task string, interval int64) rule.Pairs {
	owner := w.root.Path("configuration", "op_defaults")
	if w.opDefaults == nil {
		w.opDefaults = map[opDefaultsKey]rule.Pairs{}
		w.opDefaultsDepend = rule.Depends(w.view, owner, "meta_attributes")
	}
	key := opDefaultsKey{agent, task, interval}
	if w.opDefaultsDepend&rule.OnAgent == 0 {
		key.agent = rule.Agent{}
	}
	if w.opDefaultsDepend&rule.OnOp == 0 {
		key.task, key.interval = "", 0
	}
	if pairs, ok := w.opDefaults[key]; ok {
		return pairs
	}
	c := w.ruleContext(nil)
	c.Agent = &agent
	c.Op = &rule.Operation{Name: task, Interval: time.Duration(interval) * time.Millisecond}
	pairs := c.Merge(nil, owner, "meta_attributes", rule.Options{})
	w.recheckAt(c.Change)
	if _, there := pairs.Lookup("timeout"); !there && w.options.timeoutDefault != "" {
		pairs = pairs.Set("timeout", w.options.timeoutDefault)
	}
	w.opDefaults[key] = pairs
	return pairs
}

// withDeviceTimeout: starting and probing a fence device means asking it, and
// its parameters may say for how long.
func (w *working) withDeviceTimeout(s *opSettings, r *resource, task string, interval int64, n *node) *opSettings {
	if !r.fenceDevice || task != taskStart && (task != taskMonitor || interval != 0) {
		return s
	}
	v, ok := w.paramsOf(r, n)["pcmk_monitor_timeout"]
	if !ok {
		return s
	}
	t := *s
	t.timeout = milliseconds(v, defaultTimeout)
	t.meta = maps.Clone(s.meta)
	t.meta["timeout"] = strconv.FormatInt(t.timeout, 10)
	return &t
}

// addStartDelay works out how long a recurring operation waits at first: as long
// as start-delay says, or until the next moment that interval-origin names.
func (w *working) addStartDelay(m map[string]string, d *opDef, interval int64) {
	if v, ok := m["start-delay"]; ok {
		m["start-delay"] = strconv.FormatInt(milliseconds(v, 0), 10)
		return
	}
	text := m["interval-origin"]
	seconds := interval / 1000
	if text == "" || seconds == 0 || d == nil {
		return
	}
	origin, err := rule.ParseTime(text, w.now)
	if err != nil {
		w.warn("operation " + d.id + ": interval-origin=" + text + " is not a time, and is ignored")
		return
	}
	since := (w.now.Unix() - origin.Unix()) % seconds
	if since > 0 {
		since -= seconds
	}
	m["start-delay"] = strconv.FormatInt(-since*1000, 10)
}

// readOnFail is the configured on-fail of an operation where it makes sense for
// its task, else "".
func (w *working) readOnFail(r *resource, task string, d *opDef, m map[string]string) string {
	v := strings.ToLower(m["on-fail"])
	switch {
	case task == taskForget || task == taskDelete:
		return "ignore"
	case task == taskStop && (v == "standby" || v == "demote" || v == "stop"):
		w.warn("resource " + r.id + ": on-fail=" + v + " is not possible for a stop, and is ignored")
		return ""
	case task == taskDemote && v == "":
		return r.onFailOfPromotedMonitor()
	case v == "demote" && !mayDemote(d):
		w.warn("resource " + r.id + ": on-fail=demote is only possible for promote and for recurring monitors of the role Promoted, and is ignored for " + task)
		return ""
	}
	return v
}

// onFailOfPromotedMonitor: a demote that fails is as bad as a primary that does.
func (r *resource) onFailOfPromotedMonitor() string {
	for _, o := range r.ops {
		v := strings.ToLower(o.xml.Attr("on-fail"))
		if v != "" && v != "demote" && o.enabled && o.interval > 0 && o.role == Promoted && strings.EqualFold(o.name, taskMonitor) {
			return v
		}
	}
	return ""
}

func mayDemote(d *opDef) bool {
	if d == nil {
		return false
	}
	return strings.EqualFold(d.name, taskPromote) ||
		strings.EqualFold(d.name, taskMonitor) && d.role == Promoted && d.interval > 0
}
