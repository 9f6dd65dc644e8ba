package cib

import (
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// attrType is what an attribute's value may be. check returns what would be
// right, "" if the value is. References are checked against the document.
type attrType struct {
	check func(value string) (wanted string)
	ref   refKind
	soft  bool // a bad value is a warning: the cluster falls back to a default, as Pacemaker does
	// lenient is what Pacemaker goes on with, too; here it is refused unless
	// asked to be tolerant.
	lenient bool
}

// refKind is what an attribute refers to.
type refKind uint8

const (
	noRef       refKind = iota
	resourceRef         // a resource, template or tag
	templateRef
	sameRef // id-ref: an element of the same name
	anyRef  // any element
	aclRoleRef
)

var (
	textType       = attrType{}
	idType         = attrType{check: checkID}
	scoreType      = attrType{check: checkScore}
	boolType       = attrType{check: checkBool}
	countType      = attrType{check: checkCount}
	durationType   = attrType{check: checkDuration, lenient: true}
	softBoolType   = attrType{check: checkBool, soft: true}
	timeoutType    = attrType{check: checkDuration, soft: true}
	priorityType   = attrType{check: checkPriority}
	targetRoleType = attrType{check: checkTargetRole}
	patternType    = attrType{check: checkPattern, lenient: true}
	xpathType      = attrType{check: checkXPath}
	noTemplateType = attrType{check: func(string) string { return "a template without a template of its own: copy what the other one has" }}
	roleType       = enum("Started", "Stopped", "Promoted", "Unpromoted", "Master", "Slave")
	actionType     = enum("start", "stop", "promote", "demote")
	classType      = enum("ocf", "lsb", "systemd", "service", "stonith", "upstart", "nagios", "heartbeat")
	resourceType   = attrType{ref: resourceRef}
	templateType   = attrType{ref: templateRef}
	idRefType      = attrType{ref: sameRef}
	anyRefType     = attrType{ref: anyRef}
	aclRoleType    = attrType{ref: aclRoleRef}
)

// enum is a type of fixed values, compared exactly.
func enum(values ...string) attrType {
	return attrType{check: func(v string) string {
		if slices.Contains(values, v) {
			return ""
		}
		if near := nearest(v, values); near != "" {
			return near
		}
		return "one of " + strings.Join(values, ", ")
	}}
}

func checkID(v string) string {
	if v == "" || strings.ContainsAny(v, " \t\r\n\"'<>&/") {
		return "an id of letters, digits, . _ : and -"
	}
	return ""
}

func checkScore(v string) string {
	switch strings.TrimLeft(v, "+-") {
	case "INFINITY", "infinity":
		return ""
	}
	if _, err := strconv.ParseInt(strings.TrimPrefix(v, "+"), 10, 64); err != nil && !errors.Is(err, strconv.ErrRange) {
		return "a whole number, INFINITY or -INFINITY"
	}
	return ""
}

// checkPriority also takes the decimals that old configurations have.
func checkPriority(v string) string {
	if _, err := strconv.ParseFloat(v, 64); err == nil {
		return ""
	}
	return checkScore(v)
}

// checkTargetRole takes a role in any case, as old configurations have it.
func checkTargetRole(v string) string {
	for _, role := range [...]string{"Started", "Stopped", "Promoted", "Unpromoted", "Master", "Slave"} {
		if strings.EqualFold(v, role) {
			return ""
		}
	}
	return roleType.check(v)
}

func checkBool(v string) string {
	if _, ok := ParseBool(v); !ok {
		return "true or false"
	}
	return ""
}

func checkCount(v string) string {
	if _, err := strconv.ParseUint(v, 10, 63); err != nil {
		return "a whole number from 0"
	}
	return ""
}

func checkDuration(v string) string {
	if _, err := Duration(v); err != nil {
		return "a time such as 10s, 500ms, 1min or PT10S"
	}
	return ""
}

func checkPattern(v string) string {
	if _, err := regexp.CompilePOSIX(strings.TrimPrefix(v, "!")); err != nil {
		return "a POSIX extended regular expression"
	}
	return ""
}

func checkXPath(v string) string {
	if _, err := CompileXPath(v); err != nil {
		return "an XPath 1.0 expression"
	}
	return ""
}

// Nearest returns the candidate that a misspelled name must have been meant for, ""
// if none is nearer than all others and only a slip away.
func Nearest(name string, candidates []string) string { return nearest(name, candidates) }

// nearest returns the candidate that a name must have been meant for: nearer
// than any other and only a slip away. "" if there is none.
func nearest(name string, candidates []string) string {
	best, bestAt, tie := "", 3, false
	for _, c := range candidates {
		allowed := 2
		if min(len(c), len(name)) <= 4 {
			allowed = 1
		}
		d := distance(strings.ToLower(name), strings.ToLower(c))
		switch {
		case d > allowed || d > bestAt:
		case d == bestAt:
			tie = true
		default:
			best, bestAt, tie = c, d, false
		}
	}
	if tie {
		return ""
	}
	return best
}

// distance counts the letters to add, drop, change or swap to make a of b
// (optimal string alignment).
func distance(a, b string) int {
	if len(a) > len(b)+2 || len(b) > len(a)+2 {
		return 3
	}
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
