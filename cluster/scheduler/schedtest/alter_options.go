package schedtest

import "time"

var optionChanges = []func(*alterer) string{
	(*alterer).option, (*alterer).option, (*alterer).option, (*alterer).quorum, (*alterer).moveTime, (*alterer).ticketState,
}

var optionValues = [][]string{
	{"no-quorum-policy", "ignore", "freeze", "stop", "demote", "suicide"},
	{"stonith-enabled", "true", "false"}, {"stonith-action", "reboot", "off", "poweroff"}, {"startup-fencing", "true", "false"},
	{"concurrent-fencing", "true", "false"}, {"symmetric-cluster", "true", "false"}, {"maintenance-mode", "true", "false"},
	{"stop-all-resources", "true", "false"}, {"stop-orphan-resources", "true", "false"}, {"stop-orphan-actions", "true", "false"},
	{"remove-after-stop", "true", "false"}, {"start-failure-is-fatal", "true", "false"}, {"enable-startup-probes", "true", "false"},
	{"placement-strategy", "default", "utilization", "minimal", "balanced"},
	{"node-health-strategy", "none", "migrate-on-red", "only-green", "progressive", "custom"}, {"node-health-red", "-INFINITY", "-10", "0"},
	{"shutdown-lock", "true", "false"}, {"shutdown-lock-limit", "0", "5min"}, {"priority-fencing-delay", "0", "15s"},
	{"stonith-watchdog-timeout", "0", "10", "-1"}, {"have-watchdog", "true", "false"}, {"is-managed-default", "true", "false"},
	{"default-resource-stickiness", "0", "100", "INFINITY"}, {"cluster-delay", "60s"},
}

func (m *alterer) option() string {
	o := optionValues[m.r.IntN(len(optionValues))]
	value := m.pick(o[1:]...)
	m.setPair(m.config.child("crm_config"), "cluster_property_set", o[0], value)
	return did("option %s is %s", o[0], value)
}

func (m *alterer) quorum() string {
	value := m.pick("0", "0", "1")
	m.root.set("have-quorum", value)
	return did("quorum is %s", value)
}

func (m *alterer) moveTime() string {
	by := time.Duration(m.r.IntN(9)-4) * time.Duration([]int64{60, 3600, 86400}[m.r.IntN(3)]) * time.Second
	m.now = m.now.Add(by)
	return did("time moves by %s", by)
}

// ticketState grants, revokes or forgets a ticket.
func (m *alterer) ticketState() string {
	var names []string
	m.constraints.walk(func(e *element) {
		if t := e.get("ticket"); t != "" {
			names = append(names, t)
		}
	})
	if len(names) == 0 {
		return ""
	}
	name, state := m.pick(names...), m.pick("granted", "revoked", "standby", "unknown")
	tickets := m.status.child("tickets")
	for _, t := range tickets.kids {
		if t.get("id") == name {
			tickets.remove(t)
			break
		}
	}
	switch state {
	case "granted":
		tickets.kids = append(tickets.kids, newElement("ticket_state", "id", name, "granted", "true", "standby", "false"))
	case "revoked":
		tickets.kids = append(tickets.kids, newElement("ticket_state", "id", name, "granted", "false", "last-granted", m.ago(100)))
	case "standby":
		tickets.kids = append(tickets.kids, newElement("ticket_state", "id", name, "granted", "true", "standby", "true"))
	}
	return did("ticket %s is %s", name, state)
}
