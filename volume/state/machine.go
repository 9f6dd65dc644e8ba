// Package state decides for one replica of a volume: who may be primary, what a
// disk is worth, in which direction a resync goes, when two histories stay apart,
// when requests wait. It is a step machine without I/O, clock, goroutine or
// randomness: Step takes one input and returns effects, in order. An
// effect WriteSuper must be durable before the effects that follow it are begun.
package state

import (
	"github.com/takt-ha/takt/volume"
)

// Machine is one replica's mind.
type Machine struct{ cfg volume.Config }

// New makes the machine of the node cfg.Self.
func New(cfg volume.Config) *Machine { return &Machine{cfg: cfg} }

// Step takes in what happened and says what is to be done.
func (m *Machine) Step(in Input) []Effect { return nil }
