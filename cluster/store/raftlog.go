package store

import (
	"context"
	"fmt"
	"log/slog"
)

// logger is where the core tells what it does, for people alone.
type logger = *slog.Logger

// raftPanic is how Raft reports a broken invariant; the loop recovers it and
// the store stops, since one node's broken log must not end the whole daemon.
type raftPanic string

// raftLogger passes Raft's own words to slog. Its information is our debugging.
type raftLogger struct{ log *slog.Logger }

func (l raftLogger) put(level slog.Level, text func() string) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "raft", "says", text())
	}
}

func (l raftLogger) print(level slog.Level, v []any) {
	l.put(level, func() string { return fmt.Sprint(v...) })
}

func (l raftLogger) printf(level slog.Level, f string, v []any) {
	l.put(level, func() string { return fmt.Sprintf(f, v...) })
}

func (l raftLogger) Debug(v ...any)              { l.print(slog.LevelDebug, v) }
func (l raftLogger) Debugf(f string, v ...any)   { l.printf(slog.LevelDebug, f, v) }
func (l raftLogger) Info(v ...any)               { l.print(slog.LevelDebug, v) }
func (l raftLogger) Infof(f string, v ...any)    { l.printf(slog.LevelDebug, f, v) }
func (l raftLogger) Warning(v ...any)            { l.print(slog.LevelWarn, v) }
func (l raftLogger) Warningf(f string, v ...any) { l.printf(slog.LevelWarn, f, v) }
func (l raftLogger) Error(v ...any)              { l.print(slog.LevelError, v) }
func (l raftLogger) Errorf(f string, v ...any)   { l.printf(slog.LevelError, f, v) }
func (l raftLogger) Fatal(v ...any)              { panic(raftPanic(fmt.Sprint(v...))) }
func (l raftLogger) Fatalf(f string, v ...any)   { panic(raftPanic(fmt.Sprintf(f, v...))) }
func (l raftLogger) Panic(v ...any)              { panic(raftPanic(fmt.Sprint(v...))) }
func (l raftLogger) Panicf(f string, v ...any)   { panic(raftPanic(fmt.Sprintf(f, v...))) }
