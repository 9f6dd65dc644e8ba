package agent

import "context"

type onStartKey struct{}

// WithOnStart returns a context whose operations call f with the process (and
// process group) that runs them, as soon as it exists. f is not called for an
// operation that runs inside the daemon.
func WithOnStart(ctx context.Context, f func(pid int)) context.Context {
	return context.WithValue(ctx, onStartKey{}, f)
}

// OnStart returns what WithOnStart put there, nil if nothing.
func OnStart(ctx context.Context) func(pid int) {
	f, _ := ctx.Value(onStartKey{}).(func(pid int))
	return f
}
