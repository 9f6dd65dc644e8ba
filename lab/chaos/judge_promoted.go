package chaos

// The actions of a promotable resource (OCF resource agent API 1.1).
const (
	actionPromote = "promote"
	actionDemote  = "demote"
)

// promotions makes the calls of a promotable clone, which is started on many nodes, such
// that Judge and Intervals follow its promoted role, which one node alone may have: a
// promote is what begins it, and a demote, a stop, or a single monitor that finds it
// unpromoted ends it. All other calls are as they were.
func promotions(calls []Call, id string) []Call {
	var list []Call
	for _, c := range calls {
		if c.Resource != id {
			list = append(list, c)
			continue
		}
		switch {
		case c.Action == actionPromote:
			c.Action = actionStart
		case c.Action == actionDemote:
			c.Action = actionStop
		case c.Action == actionStart:
			continue
		case c.Action == actionMonitor && c.answered(codeOK):
			if c.Interval != 0 {
				continue
			}
			notRunning := codeNotRunning
			c.Code = &notRunning
		}
		list = append(list, c)
	}
	return list
}
