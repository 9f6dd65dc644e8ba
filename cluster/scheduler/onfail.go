package scheduler

import "strings"

// onFailOf is what a failure of the operation leads to, and the role after it.
func (w *working) onFailOf(r *resource, name string, interval int64) (onFail, Role) {
	return w.onFailAs(r, name, name, interval, r.configOf(name, interval))
}

// onFailAs is onFailOf under a key, as d configures it (nil: nothing does).
func (w *working) onFailAs(r *resource, key, name string, interval int64, d *opDef) (onFail, Role) {
	s := w.settingsOf(r, key, name, interval, d, nil)
	what, role, known := w.configuredOnFail(r, s.onFail)
	switch {
	case !known && r.container != nil:
		what = onFailRestartContainer
	case (!known || !r.managed) && r.isRemoteConn && r.container == nil && !isProbe(name, interval) && name != taskStart:
		// Whatever drops an active connection means that the node has to be fenced.
		if !r.managed {
			what, role = onFailStop, Stopped
		} else {
			what = onFailReset
			if r.reconnect > 0 {
				role = Stopped
			}
		}
	case !known && name == taskStop && w.options.fencing:
		what = onFailFence
	case !known && name == taskStop:
		what = onFailBlock
	case !known:
		what = onFailRestart
	}
	if role == "" && d != nil {
		role = readRole(s.meta["role_after_failure"])
	}
	switch {
	case role != "":
	case name == taskPromote:
		role = Unpromoted
	default:
		role = Started
	}
	return what, role
}

func isProbe(task string, interval int64) bool { return task == taskMonitor && interval == 0 }

// configuredOnFail reads a value of on-fail; known is false where it says
// nothing, and the default of the task counts.
func (w *working) configuredOnFail(r *resource, value string) (what onFail, role Role, known bool) {
	switch strings.ToLower(value) {
	case "":
		return 0, "", false
	case "block":
		return onFailBlock, "", true
	case "fence":
		if !w.options.fencing {
			w.warn("resource " + r.id + ": on-fail=fence is taken as stop, because stonith-enabled is false")
			return onFailStop, Stopped, true
		}
		return onFailFence, "", true
	case "standby":
		return onFailStandby, "", true
	case "ignore", "nothing":
		return onFailIgnore, "", true
	case "migrate":
		return onFailBan, "", true
	case "stop":
		return onFailStop, Stopped, true
	case "restart":
		return onFailRestart, "", true
	case "restart-container":
		return onFailRestartContainer, "", r.container != nil
	case "demote":
		return onFailDemote, "", true
	}
	w.warn("resource " + r.id + ": on-fail=" + value + " is unknown, and is ignored")
	return 0, "", false
}
