package keepalived

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Fate is what becomes of a keyword.
type Fate uint8

// The fates.
const (
	Understood Fate = iota
	Harmless        // ignored; nothing is lost by it
	Ignored         // ignored; something is different without it
)

// Keyword is a line of the table of all keywords.
type Keyword struct {
	Block  string // in which it stands; "" at the top level
	Name   string // "" of what a list holds
	Values string // in the man page's notation
	Fate   Fate
	Words  string // what it means, or why it is ignored
}

// Keywords returns every keyword that is known, block by block.
func Keywords() []Keyword {
	var out []Keyword
	for _, t := range tables() {
		for _, k := range t.rows {
			out = append(out, Keyword{t.block, k.name, k.values, k.fate, k.words})
		}
	}
	return out
}

// row is a keyword and what is done with it.
type row struct {
	name   string
	values string // for people
	words  string
	fate   Fate
	opens  string               // the table of what is in its block; "": it has none
	least  int                  // values that it must have
	most   int                  // and may have; -1: any number
	multi  bool                 // it may stand in a block several times
	do     func(*reader, *call) // nil if it is ignored
	end    func(*reader, *call) // after its block
}

// anyChecker is the table of what checkers have in common.
const anyChecker = "every checker"

// call is a statement that is being carried out.
type call struct {
	*statement
	row *row
}

// table is what may stand in a block.
type table struct {
	block string
	rows  []row
	also  []string             // tables whose rows may stand here, too
	item  func(*reader, *call) // of a list: what is done with each line
}

// tables are all tables.
var tables = sync.OnceValue(func() []table {
	var out []table
	for _, t := range slices.Concat(globalTables(), vrrpTables(), trackTables(), routingTables(), serverTables(), checkTables(), otherTables()) {
		if i := slices.IndexFunc(out, func(x table) bool { return x.block == t.block }); i >= 0 {
			out[i].rows = append(out[i].rows, t.rows...)
			continue
		}
		out = append(out, t)
	}
	return out
})

// book finds rows.
type book struct {
	rows  map[string]map[string]*row
	items map[string]func(*reader, *call)
	homes map[string][]string // the blocks that a keyword may stand in
}

var library = sync.OnceValue(func() *book {
	b := &book{map[string]map[string]*row{}, map[string]func(*reader, *call){}, map[string][]string{}}
	all := map[string]*table{}
	list := tables()
	for i := range list {
		all[list[i].block] = &list[i]
	}
	for _, t := range list {
		rows := map[string]*row{}
		for _, from := range append(slices.Clone(t.also), t.block) { // its own rows win
			for i := range all[from].rows {
				rows[all[from].rows[i].name] = &all[from].rows[i]
			}
		}
		for name := range rows {
			if t.block == anyChecker {
				continue
			}
			b.homes[name] = append(b.homes[name], t.block)
		}
		b.rows[t.block], b.items[t.block] = rows, t.item
	}
	for _, h := range b.homes {
		slices.Sort(h)
	}
	return b
})

// unknown says that a keyword does not exist here, and what may have been meant.
func (r *reader) unknown(in string, s *statement) {
	where := "at the top level"
	if in != "" {
		where = "in " + in
	}
	home := r.book.homes[s.text]
	switch {
	case s.text == "":
		return // the parser has said that the block has no name
	case len(home) > 0 && home[0] == "":
		r.fail(s.pos, "%s does not belong %s: is a closing brace missing before it?", s.text, where)
	case len(home) > 3:
		r.fail(s.pos, "%s does not belong %s, but in %s and others", s.text, where, strings.Join(home[:3], ", "))
	case len(home) > 0:
		r.fail(s.pos, "%s does not belong %s, but in %s", s.text, where, strings.Join(home, ", "))
	default:
		hint := ""
		if near := r.nearest(in, s.text); near != "" {
			hint = fmt.Sprintf("; did you mean %s?", near)
		}
		r.fail(s.pos, "there is no keyword %q %s%s", s.text, where, hint)
	}
}

// nearest returns the keyword of a block that is spelled most like a word, "" if none is near. After some hundred
// words it does not look any more: such a file is no configuration.
func (r *reader) nearest(in, wrong string) string {
	key := in + " " + wrong
	if near, known := r.near[key]; known || len(r.near) > 300 || len(wrong) > 40 {
		return near
	}
	best, most := "", 1+len(wrong)/4
	for name := range r.book.rows[in] {
		if d := distance(wrong, name); d < most || d == most && (best == "" || name < best) {
			best, most = name, d
		}
	}
	r.near[key] = best
	return best
}

// distance counts the letters that must be put in, taken out or changed to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, diagonal+1, row[j]+1)
		}
	}
	return row[len(b)]
}
