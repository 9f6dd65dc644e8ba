package scheduler

import "strings"

// actionFlags of a clone sum up its instances: it has to happen if it has to
// for any of them, and it can if it can for any of them.
func (cloneMethods) actionFlags(w *working, a *action, n *node) actionFlags {
	return w.sumUp(a, a.rsc.children, n)
}

// actionFlags of a bundle sum up its containers; of what is about roles, the
// instances inside.
func (bundleMethods) actionFlags(w *working, a *action, n *node) actionFlags {
	if inside := a.rsc.bundle.child; inside != nil {
		switch a.task {
		case taskStart, taskStarted, taskStop, taskStopped, taskShutdown, taskFence, taskMonitor:
		default:
			return w.sumUp(a, inside.children, n)
		}
	}
	return w.sumUp(a, a.rsc.instances(), n)
}

// sumUp are the flags of a collection's action. What it finds out for all nodes
// (n nil) is kept in the action itself.
func (w *working) sumUp(a *action, instances []*resource, n *node) actionFlags {
	flags := optional | pseudo
	task := a.instanceTask()
	var stuck *action
	for _, c := range instances {
		on := n
		if len(c.children) > 0 {
			on = nil
		}
		b := c.latest(task, on)
		if b == nil {
			continue
		}
		its := c.methods.actionFlags(w, b, n)
		if its&optional == 0 {
			flags &^= optional
			a.lose(optional, b)
		}
		if its&runnable != 0 {
			flags |= runnable
		} else {
			stuck = b
		}
	}
	if flags&runnable == 0 && n == nil && a.is(runnable) {
		a.clear(runnable)
		if stuck != nil {
			a.blockedBy(stuck)
		}
	}
	return flags
}

// instanceTask is the task of the instances that a collection's action stands
// for; notifications stand for what they are about. A primitive's start or stop
// has no separate end.
func (a *action) instanceTask() string {
	task := a.task
	if task == taskNotify || task == taskNotified {
		task = a.key[strings.LastIndexByte(a.key, '_')+1:]
	}
	if len(a.rsc.children) > 0 && a.rsc.children[0].variant == primitive {
		return atomic(task)
	}
	return task
}
