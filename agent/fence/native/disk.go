package native

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/takt-ha/takt/agent/fence"
	"github.com/takt-ha/takt/agent/fence/disk"
)

// disks is fence_takt_disk: a poison pill on one or three shared disks.
type disks struct {
	opts Options

	mu   sync.Mutex
	sets map[string]*disk.Set // by their paths, guarded by mu: each knows which of its disks hang
}

func diskKind(opts Options) *kind {
	d := &disks{opts: opts, sets: map[string]*disk.Set{}}
	meta := describe("disk", "Has a node reset itself, by an order on shared disks",
		"Each node reads its slot on one or three disks that all nodes see. Whoever fences writes an order there; the node obeys it, or is reset by its watchdog because it cannot read it. "+
			"off and reboot succeed when that must have happened: after twice the watchdog's time-out. Each node needs an armed watchdog; of one without nothing is ever proven. takt fence disk create makes the disks.",
		[]string{fence.Off, fence.Reboot, fence.Status, fence.List, fence.Monitor},
		fence.Parameter{Name: "devices", Type: "string", Required: true, ShortDesc: "the disks, with commas or blanks between: one or three, best by /dev/disk/by-id"})
	meta.Resets, meta.Joins = true, true
	return &kind{meta: meta, run: d.run, check: d.check, inspect: d.inspect}
}

// DiskParams reads the disks that a primitive of fence_takt_disk names.
func DiskParams(params map[string]string) ([]string, error) {
	paths := strings.FieldsFunc(params["devices"], func(r rune) bool { return strings.ContainsRune(", ;\t", r) })
	if len(paths) < 1 || len(paths) > disk.MostDisks {
		return nil, fmt.Errorf("devices: %d disks; want one or three, with commas between", len(paths))
	}
	for i, p := range paths {
		if !filepath.IsAbs(p) {
			return nil, fmt.Errorf("devices: %q is not a whole path such as /dev/disk/by-id/NAME", p)
		}
		if slices.Contains(paths[:i], p) {
			return nil, fmt.Errorf("devices: %s stands there twice", p)
		}
	}
	return paths, nil
}

func (d *disks) set(params fence.Params) (*disk.Set, error) {
	paths, err := DiskParams(params)
	if err != nil {
		return nil, err
	}
	key := strings.Join(paths, "\n")
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.sets[key] == nil {
		opts := disk.Options{}
		if id, err := hex.DecodeString(d.opts.Cluster); err == nil {
			copy(opts.Cluster[:], id)
		}
		d.sets[key] = disk.NewSet(opts, paths...)
	}
	return d.sets[key], nil
}

func (d *disks) run(ctx context.Context, c call) (string, error) {
	set, err := d.set(c.params)
	if err != nil {
		return "", err
	}
	switch c.action {
	case fence.Off, fence.Reboot:
		order := disk.Off
		if c.action == fence.Reboot {
			order = disk.Reboot
		}
		sent, err := set.Off(ctx, c.plug, order, d.from())
		return sent.Why, err
	case fence.Status:
		off, err := set.IsOff(ctx, c.plug)
		if err == nil && off {
			err = errOff
		}
		return "", err
	case fence.Monitor:
		_, _, err := set.Headers(ctx)
		return "", err
	case fence.List:
		return list(ctx, set)
	}
	return "", nil
}

func (d *disks) from() string {
	if d.opts.Node != "" {
		return d.opts.Node
	}
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func list(ctx context.Context, set *disk.Set) (string, error) {
	_, slots, err := set.Slots(ctx)
	var out strings.Builder
	for _, s := range slots {
		out.WriteString(s.Owner.Node + ",\n")
	}
	return out.String(), err
}

func (d *disks) check(cfg fence.Config, _ []string) []fence.Finding {
	paths, err := DiskParams(cfg.Params)
	switch {
	case cfg.Params["devices"] == "":
		return nil // a required parameter is missed elsewhere
	case err != nil:
		return []fence.Finding{{Severity: fence.Error, Device: cfg.ID, Param: "devices", Text: err.Error()}}
	case len(paths) == 2:
		return []fence.Finding{{Severity: fence.Warning, Device: cfg.ID, Param: "devices", Text: "two disks are worse than one: the loss of either ends all; use one or three"}}
	}
	return nil
}

func (d *disks) inspect(ctx context.Context, cfg fence.Config) []fence.Finding {
	set, err := d.set(cfg.Params)
	if err != nil {
		return nil // check has said it
	}
	watchdog := int64(-1)
	if d.opts.Watchdog != nil {
		if watchdog = 0; d.opts.Watchdog().Device != "" {
			watchdog = int64(d.opts.Watchdog().Timeout)
		}
	}
	var found []fence.Finding
	for _, f := range set.Inspect(ctx, watchdog) {
		severity := fence.Warning
		if f.Fatal {
			severity = fence.Error
		}
		found = append(found, fence.Finding{Severity: severity, Device: cfg.ID, Param: "devices", Text: f.Text})
	}
	return append(found, d.patience(ctx, set, cfg)...)
}

// patience finds time-outs that end before an order has been obeyed.
func (d *disks) patience(ctx context.Context, set *disk.Set, cfg fence.Config) []fence.Finding {
	_, h, err := set.Headers(ctx)
	if err != nil {
		return nil
	}
	var found []fence.Finding
	for _, action := range []string{fence.Off, fence.Reboot} {
		if t := cfg.Calls[action].Timeout; t > 0 && t < h.Times.Wait+2*h.Times.Loop {
			found = append(found, fence.Finding{Severity: fence.Error, Device: cfg.ID, Param: "pcmk_" + action + "_timeout",
				Text: fmt.Sprintf("%s is over before a node counts as off, which takes %s; give it more", t, h.Times.Wait)})
		}
	}
	return found
}
