// Package hostmap reads which node hangs on which plug of a fence device, as a
// configuration says it: pcmk_host_map and pcmk_host_list.
package hostmap

import (
	"fmt"
	"slices"
	"strings"
)

// Entry is one entry of a host map.
type Entry struct {
	Node string `json:"node"`
	Plug string `json:"plug"` // as the agent wants it; several plugs of one machine joined by commas
}

// Parse reads pcmk_host_map: node1:1;node2:2,3 with ; or white space between
// entries, : or = within one, and \ before a character that is to be taken as it
// is. Node names do not differ by case alone.
func Parse(s string) ([]Entry, error) {
	r := mapReader{seen: map[string]bool{}}
	for _, c := range []byte(s) {
		switch {
		case r.escaped:
			r.word = append(r.word, c)
			r.escaped = false
		case c == '\\':
			r.escaped = true
		case strings.IndexByte("; \t\n\r", c) >= 0:
			if err := r.finish(); err != nil {
				return nil, err
			}
		case !r.named && (c == ':' || c == '='):
			r.name, r.word, r.named = string(r.word), nil, true
		default:
			r.word = append(r.word, c)
		}
	}
	if r.escaped {
		return nil, fmt.Errorf(`the \ at the end has nothing after it; %s`, mapForm)
	}
	if err := r.finish(); err != nil {
		return nil, err
	}
	return r.entries, nil
}

const mapForm = `want node1:plug1;node2:plug2, with \ before a space or ; that belongs to a name`

// mapReader is a map that is being read.
type mapReader struct {
	entries []Entry
	seen    map[string]bool // names of entries, in lower case
	name    string          // of the entry, once named
	word    []byte          // what has been read of the name, or of the value once named
	named   bool
	escaped bool // the next byte is taken as it is
}

// finish ends an entry.
func (r *mapReader) finish() error {
	name, word, named := r.name, string(r.word), r.named
	r.name, r.word, r.named = "", nil, false
	key := strings.ToLower(name)
	switch {
	case !named && word == "":
		return nil
	case !named:
		return fmt.Errorf("the entry %q has no plug; %s", word, mapForm)
	case name == "" || word == "":
		return fmt.Errorf("the entry %q lacks a side; %s", name+":"+word, mapForm)
	case r.seen[key]:
		return fmt.Errorf("the node %s stands there twice; several plugs of one node are joined by commas, as in node1:1,2", name)
	}
	r.seen[key] = true
	r.entries = append(r.entries, Entry{name, word})
	return nil
}

// ParseList reads pcmk_host_list: names with commas, semicolons or white space
// between.
func ParseList(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return strings.ContainsRune(",; \t\n\r", r) })
}

// Shared returns a plug that is in both of two entries' plugs, "" if there is none.
func Shared(a, b string) string {
	for _, plug := range strings.Split(a, ",") {
		if plug = strings.TrimSpace(plug); plug != "" && slices.ContainsFunc(strings.Split(b, ","), func(p string) bool { return strings.TrimSpace(p) == plug }) {
			return plug
		}
	}
	return ""
}
