package scheduler

// actionFlags of a group: it has to happen if it has to for any member; it can
// if it can for all of them. What a member will not do, the group cannot; only a
// stop needs nothing of those that do not run.
func (groupMethods) actionFlags(w *working, a *action, n *node) actionFlags {
	flags := optional | runnable | pseudo
	task := atomic(a.task)
	for _, m := range a.rsc.children {
		b := m.latest(task, n)
		if b == nil {
			if task != taskStop && task != taskDemote {
				flags &^= runnable
			}
			continue
		}
		its := m.methods.actionFlags(w, b, n)
		if flags&optional != 0 && its&optional == 0 {
			flags &^= optional
			a.lose(optional, b)
		}
		if task != a.task && flags&runnable != 0 && its&runnable == 0 {
			flags &^= runnable
			a.lose(runnable, b)
		}
	}
	return flags
}

// updateOrdered of a group changes its own action and that of each member.
func (groupMethods) updateOrdered(w *working, first, then *action, n *node, flags, filter actionFlags, e effect) changed {
	done := w.updateActions(first, then, flags, filter, e)
	if then.rsc == nil {
		return done
	}
	for _, m := range then.rsc.children {
		if a := m.latest(then.task, n); a != nil {
			done |= m.methods.updateOrdered(w, first, a, n, flags, filter, e)
		}
	}
	return done
}
