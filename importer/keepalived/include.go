package keepalived

import (
	"slices"
	"strings"
)

// includeCheck says which includes that name no file are wrong.
type includeCheck struct{ readable, match, wildcard, brace bool }

var includeKinds = map[string]includeCheck{
	"include":  {},
	"includer": {readable: true},
	"includem": {readable: true, match: true},
	"includew": {readable: true, match: true, wildcard: true},
	"includeb": {readable: true, brace: true},
	"includea": {true, true, true, true},
}

// setCheck is include_check of global_defs. Without words all is checked; words with a sign change what was checked before.
func (s *stage) setCheck(words []string) (unknown string) {
	if len(words) == 0 {
		s.check = includeKinds["includea"]
		return ""
	}
	next := includeCheck{}
	for i, w := range words {
		name, on := strings.TrimLeft(w, "+-"), !strings.HasPrefix(w, "-")
		if i == 0 && name != w {
			next = s.check
		}
		to := map[string]*bool{"readable": &next.readable, "match": &next.match, "wildcard_match": &next.wildcard, "brace_match": &next.brace}[name]
		if to == nil {
			return w
		}
		*to = on
	}
	s.check = next
	return ""
}

// include reads the files that an include names; false: the line is none.
func (s *stage) include(l line) bool {
	word := l.text
	if i := strings.IndexAny(word, blanks); i >= 0 {
		word = word[:i]
	}
	kind, is := includeKinds[word]
	if word == "include_check" {
		if bad := s.setCheck(strings.Fields(l.text[len(word):])); bad != "" {
			s.fail(l.place(0), "include_check knows no %q: want readable, match, wildcard_match, brace_match", bad)
		}
		return false // it is a keyword, too
	}
	if !is {
		return false
	}
	at := l.place(0)
	pattern := strings.Trim(strings.Trim(l.text[len(word):], blanks), `"'`)
	switch {
	case pattern == "":
		s.fail(at, "%s names no file", word)
	case s.o.Read == nil:
		s.fail(at, "files cannot be included here")
	case len(s.open) > maxNest:
		s.fail(at, "includes are nested more than %d deep", maxNest)
	default:
		s.includeFiles(l, word, pattern, kind)
	}
	return true
}

func (s *stage) includeFiles(l line, word, pattern string, kind includeCheck) {
	at := l.place(0)
	files, err := s.o.Read(pattern, s.dir)
	wild := strings.ContainsAny(pattern, "*?[{")
	switch {
	case err != nil && (kind.readable || s.check.readable):
		s.fail(at, "%s %s: %v", word, pattern, err)
	case err != nil:
		s.out.add(Warning, at, word+" "+pattern+": "+err.Error()+" (\"includer\" would make it an error)")
	case len(files) == 0 && (wild && (kind.wildcard || s.check.wildcard) || !wild && (kind.match || s.check.match) || strings.Contains(pattern, "{") && (kind.brace || s.check.brace)):
		s.fail(at, "%s %s: there is no such file", word, pattern)
	case len(files) == 0 && !wild:
		s.out.add(Warning, at, word+" "+pattern+": there is no such file")
	}
	for _, f := range files {
		if i := slices.Index(s.open, f.Path); i >= 0 {
			s.fail(at, "%s is included by itself: %s", f.Path, strings.Join(append(slices.Clone(s.open[i:]), f.Path), " > "))
			continue
		}
		if len(s.files) >= maxFiles {
			s.stop(at, "more than %d files are included", maxFiles)
			return
		}
		s.file(f)
	}
}
