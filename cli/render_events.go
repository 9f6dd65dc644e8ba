package cli

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/takt-ha/takt/api"
)

// eventStyle colours the kinds that a person looks for.
func eventStyle(kind string) style {
	switch kind {
	case "failure":
		return bad
	case "membership", "link", "quorum", "fencing":
		return warn
	case "decision", "config":
		return bold
	case "daemon":
		return dim
	}
	return plain
}

// eventLine renders one event: time, how long, who says it, what kind, in which
// transition, about what. Columns have fixed widths, because a stream cannot
// wait for its widest line.
func eventLine(e api.Event, p painter, zone *time.Location) string {
	took := ""
	if e.Duration > 0 {
		took = duration(time.Duration(e.Duration) * time.Microsecond)
	}
	about := clean(e.Resource)
	if e.On != "" && e.Resource != "" {
		about += " on " + clean(e.On)
	} else if e.On != "" {
		about = clean(e.On)
	}
	text := clean(e.Text)
	if about != "" && !strings.HasPrefix(text, about) {
		text = about + ": " + text
	}
	line := fmt.Sprintf("%s  %s  %s  %s  %s  %s",
		p.paint(dim, e.Time.In(zone).Format("2006-01-02 15:04:05.000")), left(took, 8), pad(clean(e.Node), 6),
		p.paint(eventStyle(e.Kind), pad(clean(e.Kind), 10)), p.paint(dim, pad(clean(e.Transition), 7)), text)
	return strings.TrimRight(line, " ")
}

func pad(s string, width int) string {
	return s + strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
}

func left(s string, width int) string {
	return strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s))) + s
}
