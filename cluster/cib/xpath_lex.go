package cib

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// token is a lexical piece of an expression. Whether a name is an operator,
// a function or a test is decided by the parser, which knows what may come.
type token struct {
	kind tokenKind
	text string // symbols, names; literals without their quotes
	num  float64
	at   int // byte in the expression
}

type tokenKind uint8

const (
	endToken tokenKind = iota
	symbolToken
	nameToken // a, a:b, a:*
	literalToken
	numberToken
)

type xpathLexer struct {
	src string
	pos int
}

// symbols, the longer first.
var xpathSymbols = []string{"::", "//", "..", "<=", ">=", "!=", "(", ")", "[", "]", ".", "@", ",", "/", "|", "+", "-", "=", "<", ">", "*"}

func (l *xpathLexer) next() (token, error) {
	for l.pos < len(l.src) && isSpace(l.src[l.pos]) {
		l.pos++
	}
	at := l.pos
	rest := l.src[at:]
	if rest == "" {
		return token{at: at}, nil
	}
	switch c := rest[0]; {
	case c == '"' || c == '\'':
		text, _, ok := strings.Cut(rest[1:], rest[:1])
		if !ok {
			return token{}, fmt.Errorf("at character %d: the string does not end, a %c is missing", at+1, c)
		}
		l.pos += len(text) + 2
		return token{kind: literalToken, text: text, at: at}, nil
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return l.number(at), nil
	}
	if name := l.name(); name != "" {
		return token{kind: nameToken, text: name, at: at}, nil
	}
	for _, s := range xpathSymbols {
		if strings.HasPrefix(rest, s) {
			l.pos += len(s)
			return token{kind: symbolToken, text: s, at: at}, nil
		}
	}
	if rest[0] == '$' {
		return token{}, fmt.Errorf("at character %d: variables are not supported", at+1)
	}
	return token{}, fmt.Errorf("at character %d: unexpected %q", at+1, firstRune(rest))
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (l *xpathLexer) number(at int) token {
	for l.pos < len(l.src) && (isDigit(l.src[l.pos]) || l.src[l.pos] == '.' && !strings.Contains(l.src[at:l.pos], ".")) {
		l.pos++
	}
	num, _ := strconv.ParseFloat(l.src[at:l.pos], 64)
	return token{kind: numberToken, num: num, at: at}
}

// name reads a QName, or a:*. A colon of :: does not belong to it.
func (l *xpathLexer) name() string {
	at := l.pos
	l.ncName()
	if l.pos == at {
		return ""
	}
	rest := l.src[l.pos:]
	if !strings.HasPrefix(rest, ":") || strings.HasPrefix(rest, "::") {
		return l.src[at:l.pos]
	}
	colon := l.pos
	l.pos++
	if strings.HasPrefix(l.src[l.pos:], "*") {
		l.pos++
	} else if l.ncName(); l.pos == colon+1 {
		l.pos = colon
	}
	return l.src[at:l.pos]
}

func (l *xpathLexer) ncName() {
	at := l.pos
	for l.pos < len(l.src) && l.src[l.pos] != ':' {
		r, size := utf8.DecodeRuneInString(l.src[l.pos:])
		if r < utf8.RuneSelf && !nameByte(byte(r), l.pos == at) || r >= utf8.RuneSelf && !nameRune(r, l.pos == at) {
			return
		}
		l.pos += size
	}
}
