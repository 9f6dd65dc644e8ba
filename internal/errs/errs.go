// Package errs is the error that crosses a room's border: what was being done,
// to what, of which kind it is, and what to do next.
//
// Inside a room plain wrapped errors are enough ("open volume %s: %w"). At the
// border a room returns *Error, so that the command line can choose an exit
// code by Kind and print the Hint under the message.
package errs

import (
	"errors"
	"strings"
)

// Kind classifies an error. It decides the exit code of a command and the
// status of an HTTP answer.
type Kind int

// The kinds. Their order is not significant; ExitCode and HTTP give the codes.
const (
	Other       Kind = iota // anything not classified
	Invalid                 // bad input: refused whole, nothing changed
	NotFound                // the named thing does not exist
	Exists                  // the named thing exists already
	Permission              // the caller may not do this
	Unavailable             // no quorum, no leader, or the daemon does not run
	Timeout                 // not confirmed in time; it may or may not have happened
	Conflict                // another change came first, or the state forbids it
	Corrupt                 // data on disk or wire does not check out
	Stale                   // a command from an older generation, term or transition
)

var kindNames = [...]string{"error", "invalid", "not-found", "exists", "permission", "unavailable", "timeout", "conflict", "corrupt", "stale"}

// String returns the kind's stable name, as used in JSON.
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kindNames) {
		return kindNames[Other]
	}
	return kindNames[k]
}

// ParseKind is the inverse of String; an unknown name is Other.
func ParseKind(s string) Kind {
	for i, name := range kindNames {
		if name == s {
			return Kind(i)
		}
	}
	return Other
}

var exitCodes = map[Kind]int{Other: 1, Invalid: 2, NotFound: 3, Exists: 4, Permission: 5, Unavailable: 6, Timeout: 7, Conflict: 8, Corrupt: 9, Stale: 10}

// ExitCode returns the exit status of a command that failed with this kind (1–10).
func (k Kind) ExitCode() int { return exitCodes[k] }

var httpCodes = map[Kind]int{Other: 500, Invalid: 400, NotFound: 404, Exists: 409, Permission: 403, Unavailable: 503, Timeout: 504, Conflict: 409, Corrupt: 500, Stale: 409}

// HTTP returns the status code of an HTTP answer that reports this kind.
func (k Kind) HTTP() int { return httpCodes[k] }

// Error is an error at a room's border.
type Error struct {
	Op     string // what was being done, e.g. "apply configuration"
	Kind   Kind   // its class
	Object string // to what: a file, node or resource, with line where known
	Hint   string // what to do next, a full sentence; may be empty
	Err    error  // the cause; may be nil
}

// E builds an Error.
func E(op string, kind Kind, object, hint string, err error) *Error {
	return &Error{Op: op, Kind: kind, Object: object, Hint: hint, Err: err}
}

// Error returns "op object: cause"; the hint is printed apart, by whoever shows the error.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Op)
	if e.Object != "" {
		b.WriteString(" " + e.Object)
	}
	if e.Err != nil {
		b.WriteString(": " + e.Err.Error())
	} else {
		b.WriteString(": " + strings.ReplaceAll(e.Kind.String(), "-", " "))
	}
	return b.String()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// KindOf returns the kind of the outermost Error in err's chain whose kind is
// not Other, else Other.
func KindOf(err error) Kind {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return Other
		}
		if e.Kind != Other {
			return e.Kind
		}
		err = e.Err
	}
	return Other
}

// HintOf returns the outermost non-empty hint in err's chain.
func HintOf(err error) string {
	for err != nil {
		var e *Error
		if !errors.As(err, &e) {
			return ""
		}
		if e.Hint != "" {
			return e.Hint
		}
		err = e.Err
	}
	return ""
}
