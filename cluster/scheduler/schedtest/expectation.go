// Package schedtest tests the scheduler against other answers: recorded cases,
// the real crm_simulate where it is installed, and random clusters.
//
// An Expectation is what a transition comes down to for a comparison; Compare
// says in which real actions, in which order and in which placement two of them
// differ. A Worker runs the scheduler in a process of its own, so that a crash or
// an endless loop fails one question and not the run.
package schedtest

import (
	"encoding/json"
	"fmt"
	"iter"
	"maps"
	"os"
	"strings"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
	"github.com/takt-ha/takt/cluster/scheduler"
	"github.com/takt-ha/takt/cluster/scheduler/simulate"
)

// Action is one action of an Expectation, in the words of the transition's JSON.
type Action struct {
	Kind     scheduler.Kind `json:"kind"`
	Task     string         `json:"task"`
	Resource string         `json:"resource"`
	Node     string         `json:"node"`
	Interval int64          `json:"interval_ms"` // ms, 0 unless recurring
	Detail   string         `json:"detail,omitempty"`
	// Notify is the environment about a clone's notifications: its variables
	// that are not empty, without the prefix notify_.
	Notify map[string]string `json:"notify,omitempty"`
	// Stuck actions are there, and must not be started.
	Stuck bool `json:"stuck,omitempty"`
}

// Real reports whether somebody does something: an agent, or a fence device.
func (a Action) Real() bool {
	return a.Kind == scheduler.Resource || a.Kind == scheduler.Cluster && a.Task == "stonith"
}

// String is the action in words; two actions are the same if their words are.
func (a Action) String() string {
	s := a.Task
	if a.Detail != "" {
		s += "(" + a.Detail + ")"
	}
	if a.Resource != "" {
		s += " " + a.Resource
	}
	if a.Node != "" {
		s += " on " + a.Node
	}
	if a.Interval != 0 {
		s += fmt.Sprintf(" every %d ms", a.Interval)
	}
	return s
}

// Expectation is what a transition has to be.
type Expectation struct {
	Actions []Action `json:"actions"`
	// Order holds pairs of indices into Actions: the first ends before the
	// second starts.
	Order  [][2]int `json:"order"`
	Before State    `json:"before"`
	After  State    `json:"after"` // when the transition has succeeded
	// Scores are the lines of the allocation scores, in any order; nil: unknown.
	Scores []string `json:"scores,omitempty"`
}

// State is where resources are; a nil placement is not known.
type State struct {
	Placement scheduler.Placement `json:"placement"`
}

// Decide asks our own scheduler.
func Decide(root *cib.Node, now time.Time) *Expectation {
	t := scheduler.ScheduleWith(root, now, scheduler.Options{Sanitized: true, Scores: true})
	e := &Expectation{Scores: scoreLines(t.ScoreLines)}
	for _, a := range t.Actions {
		e.Actions = append(e.Actions, Action{a.Kind, a.Task, a.Resource, a.Node, a.Interval, a.Detail, notifyEnvironment(maps.All(a.Meta)), a.Stuck != ""})
	}
	for _, o := range t.Order {
		e.Order = append(e.Order, [2]int{int(o.Before), int(o.After)})
	}
	e.Before.Placement, e.After.Placement = simulate.Placements(root, t, now)
	return e
}

// notifyEnvironment picks the variables about notifications; nil if there are none.
func notifyEnvironment(meta iter.Seq2[string, string]) map[string]string {
	var env map[string]string
	for k, v := range meta {
		if k, ok := strings.CutPrefix(k, "notify_"); ok && strings.TrimSpace(v) != "" {
			if env == nil {
				env = map[string]string{}
			}
			env[k] = strings.TrimSpace(v)
		}
	}
	return env
}

// Load reads an expectation as JSON and, where scoreFile is not "", its scores
// as lines of text.
func Load(file, scoreFile string) (*Expectation, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	e := &Expectation{}
	if err := json.Unmarshal(text, e); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, o := range e.Order {
		if min(o[0], o[1]) < 0 || max(o[0], o[1]) >= len(e.Actions) {
			return nil, fmt.Errorf("%s: the order %v names an action that is not there", file, o)
		}
	}
	if scoreFile == "" {
		return e, nil
	}
	text, err = os.ReadFile(scoreFile)
	e.Scores = scoreLines(strings.Split(string(text), "\n"))
	return e, err
}

// scoreLines returns the lines without layout; never nil.
func scoreLines(lines []string) []string {
	list := []string{}
	for _, l := range lines {
		if l = strings.TrimSpace(l); l != "" {
			list = append(list, l)
		}
	}
	return list
}
