package sim

import (
	"fmt"
	"io"
	"time"
)

// tell writes a line of the story: when, where, what and why, in words.
func (s *simulation) tell(m *machine, format string, args ...any) {
	if s.story == nil {
		return
	}
	name := "world"
	if m != nil {
		name = m.name
	}
	writeLine(s.story, s.w.now, name, fmt.Sprintf(format, args...))
}

func writeLine(to io.Writer, at int64, name, text string) {
	fmt.Fprintf(to, "%10.4f  %-5s  %s\n", time.Duration(at).Seconds(), name, text)
}
