package drbd

import (
	"fmt"
	"strings"
)

// Pos is a place in a file.
type Pos struct {
	File string
	Line int // from 1
}

// String is FILE:LINE.
func (p Pos) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// SyntaxError says where a file cannot be read.
type SyntaxError struct {
	Pos
	What string
}

// Error is FILE:LINE: what is wrong.
func (e *SyntaxError) Error() string { return e.Pos.String() + ": " + e.What }

type kind uint8

const (
	end kind = iota
	word
	open  // {
	shut  // }
	comma // ;
)

type token struct {
	kind   kind
	text   string // of a word, without quotes
	quoted bool
	line   int
}

// lexer cuts a file into words, braces and semicolons.
type lexer struct {
	file string
	text string
	at   int
	line int
}

func (l *lexer) fail(line int, format string, args ...any) error {
	return &SyntaxError{Pos{l.file, line}, fmt.Sprintf(format, args...)}
}

func (l *lexer) next() (token, error) {
	l.skip()
	if l.at >= len(l.text) {
		return token{kind: end, line: l.line}, nil
	}
	switch c := l.text[l.at]; c {
	case '{', '}', ';':
		l.at++
		return token{kind: map[byte]kind{'{': open, '}': shut, ';': comma}[c], text: string(c), line: l.line}, nil
	case '"':
		return l.quoted()
	case 0:
		return token{}, l.fail(l.line, "there is a zero byte: this is no text")
	}
	from := l.at
	for l.at < len(l.text) && !strings.ContainsRune(" \t\r\n{};\"\x00", rune(l.text[l.at])) {
		l.at++
	}
	return token{kind: word, text: l.text[from:l.at], line: l.line}, nil
}

// skip passes white space and comments.
func (l *lexer) skip() {
	for l.at < len(l.text) {
		switch l.text[l.at] {
		case '\n':
			l.line++
		case ' ', '\t', '\r':
		case '#':
			if n := strings.IndexByte(l.text[l.at:], '\n'); n >= 0 {
				l.at += n
				continue
			}
			l.at = len(l.text)
			return
		default:
			return
		}
		l.at++
	}
}

// quoted reads a string; a backslash takes the next character as it is, and joins lines.
func (l *lexer) quoted() (token, error) {
	var b strings.Builder
	from := l.line
	for l.at++; l.at < len(l.text); l.at++ {
		switch c := l.text[l.at]; {
		case c == '"':
			l.at++
			return token{kind: word, text: b.String(), quoted: true, line: from}, nil
		case c == '\n':
			return token{}, l.fail(from, "a string does not end on its line: want a closing quote")
		case c == '\\' && l.at+1 < len(l.text):
			l.at++
			if l.text[l.at] == '\n' {
				l.line++
				continue
			}
			b.WriteByte(l.text[l.at])
		default:
			b.WriteByte(c)
		}
	}
	return token{}, l.fail(from, "a string does not end: want a closing quote")
}
