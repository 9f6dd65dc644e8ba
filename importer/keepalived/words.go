package keepalived

import (
	"strings"
	"unicode/utf8"
)

type kind uint8

const (
	none kind = iota
	plainWord
	opens // {
	shuts // }
)

type lexeme struct {
	kind kind
	word word
}

// token returns the word or brace of a line from at on, and where to go on. Of an error next is its place.
func token(l *line, at int) (t lexeme, next int, err string) {
	text := l.text
	for at < len(text) && strings.IndexByte(blanks, text[at]) >= 0 {
		at++
	}
	if at == len(text) {
		return t, at, ""
	}
	t = lexeme{plainWord, word{pos: l.place(at)}}
	switch text[at] {
	case '{':
		t.kind = opens
		return t, at + 1, ""
	case '}':
		t.kind = shuts
		return t, at + 1, ""
	}
	end := at
	for end < len(text) && strings.IndexByte(blanks+"{}\"'", text[end]) < 0 {
		if text[end] == '$' && strings.HasPrefix(text[end:], "${") { // of a name that nobody defined
			if n := strings.IndexByte(text[end:min(len(text), end+maxName)], '}'); n > 0 {
				end += n
			}
		}
		end++
	}
	t.word.text = text[at:end]
	if end == len(text) || text[end] != '"' && text[end] != '\'' {
		return t, end, ""
	}
	return quotedToken(l, at, end, t)
}

// quotedToken reads a word in which something is quoted, from the first quote on.
func quotedToken(l *line, at, end int, t lexeme) (lexeme, int, string) {
	var b strings.Builder
	b.WriteString(t.word.text)
	t.word.quoted = true
	text := l.text
	for end < len(text) && strings.IndexByte(blanks+"{}", text[end]) < 0 {
		q := text[end]
		if q != '"' && q != '\'' {
			b.WriteByte(q)
			end++
			continue
		}
		from := end
		for end++; end < len(text) && text[end] != q; {
			if text[end] == '\\' && end+1 < len(text) {
				end += unescape(&b, text[end+1:]) + 1
				continue
			}
			b.WriteByte(text[end])
			end++
		}
		if end >= len(text) {
			return t, from, "the quoted string does not end on this line"
		}
		end++
	}
	t.word.text = b.String()
	return t, end, ""
}

// unescape writes what a backslash and the text after it stand for, and returns how much of the text that was.
func unescape(b *strings.Builder, s string) int {
	switch c := s[0]; c {
	case 'x':
		n, v := digits(s[1:], 16, 2)
		if n == 0 {
			b.WriteByte('x')
			return 1
		}
		b.WriteByte(byte(v))
		return n + 1
	case '0', '1', '2', '3', '4', '5', '6', '7':
		n, v := digits(s, 8, 3)
		b.WriteByte(byte(v))
		return n
	case 'c':
		if len(s) < 2 {
			b.WriteByte('c')
			return 1
		}
		b.WriteByte(s[1] & 0x1f)
		return 2
	default:
		if i := strings.IndexByte("abEfnrtv", c); i >= 0 {
			b.WriteByte("\a\b\x1b\f\n\r\t\v"[i])
			return 1
		}
		_, n := utf8.DecodeRuneInString(s)
		b.WriteString(s[:n])
		return n
	}
}

// digits reads up to most digits.
func digits(s string, base, most int) (n, v int) {
	for n < most && n < len(s) {
		d := strings.IndexByte("0123456789abcdef", s[n]|0x20)
		if s[n] < 'A' {
			d = strings.IndexByte("0123456789", s[n])
		}
		if d < 0 || d >= base {
			break
		}
		v = v*base + d
		n++
	}
	return n, v
}

// split cuts a command line at its blanks; quotes keep them.
func split(s string) (out []string) {
	var b strings.Builder
	var quote byte
	in := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0:
			b.WriteByte(c)
		case c == '\'' || c == '"':
			quote, in = c, true
		case strings.IndexByte(blanks+"\n", c) >= 0:
			if in {
				out = append(out, b.String())
				b.Reset()
			}
			in = false
		default:
			b.WriteByte(c)
			in = true
		}
	}
	if in {
		out = append(out, b.String())
	}
	return out
}
