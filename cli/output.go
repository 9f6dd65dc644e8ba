package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

// style is a meaning that a terminal shows as a colour.
type style int

const (
	plain style = iota
	good
	bad
	warn
	dim
	bold
)

var sgr = [...]string{plain: "", good: "32", bad: "31;1", warn: "33", dim: "2", bold: "1"}

// painter decides whether colours are used. The zero value uses none.
type painter struct{ colour bool }

func (p painter) paint(s style, text string) string {
	if !p.colour || s == plain || text == "" {
		return text
	}
	return "\x1b[" + sgr[s] + "m" + text + "\x1b[0m"
}

// painterFor uses colours on a terminal, unless NO_COLOR (no-color.org) is set
// or the terminal is a dumb one.
func painterFor(w io.Writer) painter {
	return painter{colour: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// hideInput stops a terminal from showing what is typed; show lets it again.
func hideInput(f *os.File) (show func(), err error) {
	old, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	if err != nil {
		return nil, err
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &quiet); err != nil {
		return nil, err
	}
	return func() { _ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, old) }, nil // nothing can be done about a terminal that is gone
}

// cell is one field of a table.
type cell struct {
	text  string
	style style
}

// table aligns rows; the last cell of a row is not padded.
type table struct {
	painter painter
	indent  string
	rows    [][]cell
}

func (t *table) add(cells ...cell) { t.rows = append(t.rows, cells) }

func (t *table) write(w io.Writer) {
	var widths []int
	for _, row := range t.rows {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(row)-1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(c.text))
			}
		}
	}
	for _, row := range t.rows {
		fmt.Fprintln(w, strings.TrimRight(t.line(row, widths), " "))
	}
}

// line renders a row; a column that is empty in every row takes no room.
func (t *table) line(row []cell, widths []int) string {
	var b strings.Builder
	b.WriteString(t.indent)
	for i, c := range row {
		b.WriteString(t.painter.paint(c.style, c.text))
		if i < len(row)-1 && widths[i] > 0 {
			b.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(c.text)+2))
		}
	}
	return b.String()
}

// clean makes foreign words safe for a terminal: control characters, which
// could move the cursor or change the title, become spaces.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsGraphic(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
}

// cleanLines is clean for words of several lines.
func cleanLines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	return strings.Join(lines, "\n")
}

// printJSON prints a value for programs.
func printJSON(cmd *cobra.Command, v any) error {
	enc := json.NewEncoder(cmd.OutOrStdout())
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// printLine prints a value as one line of JSON.
func printLine(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
