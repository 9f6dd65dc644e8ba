package drbd

import "strings"

// Statement is one option (its words up to the semicolon) or one section (its words up to the
// brace, and what is in the braces).
type Statement struct {
	Pos
	Name    string // the first word
	Args    []string
	Section bool
	Body    []*Statement
}

// Arg returns the i-th word after the name, "" if there is none.
func (s *Statement) Arg(i int) string {
	if i < len(s.Args) {
		return s.Args[i]
	}
	return ""
}

// Text is the statement as one line, without its body and without secrets.
func (s *Statement) Text() string {
	if s.Name == "shared-secret" {
		return s.Name + " (hidden)"
	}
	return strings.Join(append([]string{s.Name}, s.Args...), " ")
}

// MaxSize is the largest file that is read, in bytes; maxDepth how deep sections and includes may nest.
const (
	MaxSize  = 4 << 20
	maxDepth = 16
)

// Source is a file that was read.
type Source struct {
	Path string
	Text string
}

// Read returns the files that an include names: pattern as it stands in the file from. No file
// is no error if the pattern has wildcards.
type Read func(pattern, from string) ([]Source, error)

// Parse reads a file and what it includes into statements; includes are replaced by what is in the files.
func Parse(src Source, read Read) ([]*Statement, error) {
	p := &parser{read: read}
	return p.file(src, 0)
}

type parser struct {
	read Read
	lex  *lexer
	tok  token
	size int
}

func (p *parser) file(src Source, depth int) ([]*Statement, error) {
	if p.size += len(src.Text); p.size > MaxSize {
		return nil, &SyntaxError{Pos{src.Path, 1}, "the configuration is larger than 4 MiB"}
	}
	outer, tok := p.lex, p.tok
	defer func() { p.lex, p.tok = outer, tok }()
	p.lex = &lexer{file: src.Path, text: src.Text, line: 1}
	if err := p.advance(); err != nil {
		return nil, err
	}
	all, err := p.body(nil, depth)
	return all, err
}

func (p *parser) advance() (err error) {
	p.tok, err = p.lex.next()
	return err
}

// body reads statements up to the end of the section, or of the file if in is nil.
func (p *parser) body(in *Statement, depth int) ([]*Statement, error) {
	if depth > maxDepth {
		return nil, p.lex.fail(p.tok.line, "sections or includes are nested too deeply")
	}
	var all []*Statement
	for {
		switch p.tok.kind {
		case end:
			if in != nil {
				return nil, p.lex.fail(in.Line, "the section %q has no closing brace", in.Text())
			}
			return all, nil
		case shut:
			if in == nil {
				return nil, p.lex.fail(p.tok.line, "there is a closing brace too many")
			}
			return all, p.advance()
		case comma: // an empty statement, as after a closing brace
			if err := p.advance(); err != nil {
				return nil, err
			}
			continue
		case open:
			return nil, p.lex.fail(p.tok.line, "a section has no name before its brace")
		}
		more, err := p.statement(depth)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
}

func (p *parser) statement(depth int) ([]*Statement, error) {
	s := &Statement{Pos: Pos{p.lex.file, p.tok.line}, Name: p.tok.text}
	if err := p.advance(); err != nil {
		return nil, err
	}
	for p.tok.kind == word {
		s.Args = append(s.Args, p.tok.text)
		if err := p.advance(); err != nil {
			return nil, err
		}
	}
	switch p.tok.kind {
	case comma:
		if err := p.advance(); err != nil {
			return nil, err
		}
		if s.Name == "include" {
			return p.include(s, depth)
		}
		return []*Statement{s}, nil
	case open:
		s.Section = true
		if s.Name == "skip" {
			return []*Statement{s}, p.pass(s)
		}
		if err := p.advance(); err != nil {
			return nil, err
		}
		var err error
		s.Body, err = p.body(s, depth+1)
		return []*Statement{s}, err
	}
	return nil, p.lex.fail(s.Line, "%q has no semicolon at its end", s.Text())
}

// pass skips what is in the braces of a section, whatever it is.
func (p *parser) pass(s *Statement) error {
	for depth := 0; ; {
		switch p.tok.kind {
		case open:
			depth++
		case shut:
			depth--
		case end:
			return p.lex.fail(s.Line, "the section %q has no closing brace", s.Text())
		}
		if err := p.advance(); err != nil || depth == 0 {
			return err
		}
	}
}

func (p *parser) include(s *Statement, depth int) ([]*Statement, error) {
	if len(s.Args) != 1 {
		return nil, &SyntaxError{s.Pos, "include wants one file name or pattern"}
	}
	if p.read == nil {
		return nil, &SyntaxError{s.Pos, "includes are not possible here"}
	}
	files, err := p.read(s.Args[0], s.File)
	if err != nil {
		return nil, &SyntaxError{s.Pos, "include " + s.Args[0] + ": " + err.Error()}
	}
	var all []*Statement
	for _, f := range files {
		more, err := p.file(f, depth+1)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}
