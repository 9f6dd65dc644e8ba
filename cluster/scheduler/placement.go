package scheduler

// Placement is where each resource is: resource → node → role.
type Placement map[string]map[string]Role

// Placements returns where resources are now and where they will be when the
// transition has succeeded.
func (t *Transition) Placements() (before, after Placement) {
	before, after = Placement{}, Placement{}
	for _, a := range t.Allocations {
		before[a.Resource], after[a.Resource] = map[string]Role{}, map[string]Role{}
		for _, node := range a.From {
			before[a.Resource][node] = Started
			after[a.Resource][node] = Started
		}
	}
	for _, pass := range []string{"stop", "start", "lrm_delete"} {
		for _, a := range t.Actions {
			if a.Task != pass || a.Kind == Pseudo || after[a.Resource] == nil {
				continue
			}
			switch pass {
			case "stop":
				delete(after[a.Resource], a.Node)
			case "start":
				after[a.Resource][a.Node] = Started
			case "lrm_delete":
				if len(after[a.Resource]) == 0 {
					delete(after, a.Resource)
				}
			}
		}
	}
	return before, after
}
