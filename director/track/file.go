package track

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/director/program"
)

// makeFiles makes the files that are to be there from the start.
func makeFiles(list []director.TrackedFile, log *slog.Logger) {
	for _, f := range list {
		if !f.Create {
			continue
		}
		if _, err := os.Stat(f.Path); err == nil && !f.Force {
			continue
		}
		if err := os.WriteFile(f.Path, []byte(strconv.Itoa(f.Value)+"\n"), 0o644); err != nil { //nolint:gosec // others write their wishes into it
			log.Error("a tracked file cannot be made", "file", f.Path, "error", err)
		}
	}
}

// files tells the numbers in files. One that is missing is 0, and so is one without a number.
func (w *Watcher) files(ctx context.Context, list []director.TrackedFile) {
	last := make([]int, len(list))
	tick := time.NewTicker(fileEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		for i, f := range list {
			n, err := readNumber(f.Path)
			if program.Starved(err) && !first {
				w.starved("the tracked file "+f.Path, err)
				continue
			}
			if err != nil && (first || last[i] != 0) {
				w.log.Warn("a tracked file counts as 0", "file", f.Path, "error", err)
			}
			if first || n != last[i] {
				last[i] = n
				w.tell(Value{Kind: File, Name: f.Name, Up: true, Number: n})
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func readNumber(path string) (int, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return 0, nil
	case err != nil:
		return 0, err
	case len(strings.TrimSpace(string(data[:min(len(data), 64)]))) == 0:
		return 0, nil
	}
	return strconv.Atoi(strings.Fields(string(data[:min(len(data), 64)]))[0])
}
