package store

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/takt-ha/takt/internal/errs"
)

// MarshalText writes hex.
func (id RequestID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads hex.
func (id *RequestID) UnmarshalText(b []byte) error {
	if len(b) != 2*len(id) {
		return errors.New("a proposal id has 32 hex digits")
	}
	_, err := hex.Decode(id[:], b)
	return err
}

// command is what a log entry carries: exactly one of Change and Digest.
// commandVersion stands in front of its JSON.
type command struct {
	ID     RequestID    `json:"id"`
	Base   uint64       `json:"base"` // index applied at the proposer when it was first proposed
	Change *Change      `json:"change,omitempty"`
	Digest *digestCheck `json:"digest,omitempty"`
}

// digestCheck is the leader's word on what the CIB was after an entry.
type digestCheck struct {
	Index  uint64 `json:"index"`
	Digest []byte `json:"digest"`
}

const commandVersion = 1

func (c command) encode() ([]byte, error) {
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return append([]byte{commandVersion}, b...), nil
}

func decodeCommand(b []byte) (command, error) {
	var c command
	if len(b) == 0 || b[0] != commandVersion {
		return c, errors.New("a command of an unknown version")
	}
	d := json.NewDecoder(bytes.NewReader(b[1:]))
	if err := d.Decode(&c); err != nil {
		return c, err
	}
	if (c.Change == nil) == (c.Digest == nil) {
		return c, errors.New("a command carries one change or one digest")
	}
	return c, nil
}

// membership is what a configuration entry carries beside Raft's own fields.
type membership struct {
	ID RequestID `json:"id"`
}

// outcome is what became of a proposal.
type outcome struct {
	ID      RequestID `json:"id"`
	Index   uint64    `json:"index"`             // of its entry
	Refused *refusal  `json:"refused,omitempty"` // nil: applied
}

// refusal is an errs.Error that travels.
type refusal struct {
	Op     string `json:"op"`
	Kind   string `json:"kind"`
	Object string `json:"object,omitempty"`
	Hint   string `json:"hint,omitempty"`
	Text   string `json:"text,omitempty"`
}

func refuse(op string, kind errs.Kind, object, hint string, err error) *refusal {
	r := &refusal{Op: op, Kind: kind.String(), Object: object, Hint: hint}
	if err != nil {
		r.Text = err.Error()
	}
	return r
}

// refusalOf keeps the parts of an errs.Error, and makes anything else Invalid.
func refusalOf(op string, err error) *refusal {
	var e *errs.Error
	if errors.As(err, &e) {
		return refuse(e.Op, errs.KindOf(err), e.Object, errs.HintOf(err), e.Err)
	}
	return refuse(op, errs.Invalid, "", "", err)
}

func (r *refusal) err() error {
	if r == nil {
		return nil
	}
	var cause error
	if r.Text != "" {
		cause = errors.New(r.Text)
	}
	return errs.E(r.Op, errs.ParseKind(r.Kind), r.Object, r.Hint, cause)
}

func nodeObject(id any) string { return fmt.Sprintf("node %v", id) }
