package fence

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/takt-ha/takt/internal/errs"
)

// Folder is where distributions install fence agents.
const Folder = "/usr/sbin"

// Options of a Registry. The zero value is right for an ordinary machine.
type Options struct {
	Folders  []string // searched in this order; nil is Folder
	Native   []Agent  // agents inside Takt; they win over a program of the same name
	Settings Settings // of the devices
	// RuntimeDir is where it is kept which resources were started, so that a
	// daemon's restart is no failure of every device; a reboot must clear it.
	// "" keeps it in memory alone.
	RuntimeDir string
}

// Registry finds fence agents and makes devices.
type Registry struct {
	opts       Options
	native     map[string]Agent
	background background

	mu       sync.Mutex
	programs map[string]*Program // by path, guarded by mu; keeps what they have told of themselves
	devices  map[string]*Device  // by id, guarded by mu: the newest that was made
}

// NewRegistry returns the registry.
func NewRegistry(opts Options) *Registry {
	if opts.Folders == nil {
		opts.Folders = []string{Folder}
	}
	r := &Registry{opts: opts, native: map[string]Agent{}, programs: map[string]*Program{}, devices: map[string]*Device{}}
	r.background.ctx, r.background.end = context.WithCancel(context.Background())
	for _, a := range opts.Native {
		r.native[a.Name()] = a
	}
	return r
}

// Close ends what devices do in the background, and waits for it.
func (r *Registry) Close() { r.background.close() }

// valid says whether a type can be a fence agent's: never a path.
func valid(name string) bool {
	for _, c := range []byte(name) {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.') {
			return false
		}
	}
	return strings.HasPrefix(name, "fence_") && len(name) > len("fence_")
}

// Lookup returns the agent of a type such as fence_ipmilan, or an *errs.Error
// of kind NotFound that names the folders looked through.
func (r *Registry) Lookup(name string) (Agent, error) {
	const op = "find fence agent"
	if !valid(name) {
		return nil, errs.E(op, errs.NotFound, name, "The type of a stonith resource is a program such as fence_ipmilan.", fmt.Errorf("a fence agent is called fence_ and letters, digits, _, - or dots"))
	}
	if a := r.native[name]; a != nil {
		return a, nil
	}
	var unusable error
	for _, folder := range r.opts.Folders {
		path := filepath.Join(folder, name)
		err := usable(path)
		if err == nil {
			return r.program(name, path), nil
		}
		if _, stat := os.Stat(path); stat == nil && unusable == nil {
			unusable = err
		}
	}
	if unusable != nil {
		return nil, errs.E(op, errs.NotFound, name, "Repair the file, or install the package that holds it anew.", unusable)
	}
	return nil, errs.E(op, errs.NotFound, name, "Install the package that holds it (fence-agents).",
		fmt.Errorf("not in %s%s", strings.Join(r.opts.Folders, ", "), didYouMean(name, r.List())))
}

func (r *Registry) program(name, path string) *Program {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.programs[path] == nil {
		r.programs[path] = &Program{name: name, path: path}
	}
	return r.programs[path]
}

// List returns the names of all agents of this node, sorted.
func (r *Registry) List() []string {
	names := slices.Collect(maps.Keys(r.native))
	for _, folder := range r.opts.Folders {
		entries, err := os.ReadDir(folder)
		if err != nil {
			continue
		}
		for _, e := range entries {
			if valid(e.Name()) && usable(filepath.Join(folder, e.Name())) == nil {
				names = append(names, e.Name())
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Device makes the device of a primitive and says what is wrong with it. With
// an Error among the findings there is no device. nodes are the names of the
// cluster's nodes, nil if they are not known. Asked again with the same
// primitive it returns the same device.
func (r *Registry) Device(ctx context.Context, p Primitive, nodes []string) (*Device, []Finding) {
	d, findings := r.Check(ctx, p, nodes)
	if d != nil {
		d = r.known(d)
	}
	return d, findings
}

// Check is Device for a primitive that is only looked at: perhaps it will never
// be one of the cluster's.
func (r *Registry) Check(ctx context.Context, p Primitive, nodes []string) (*Device, []Finding) {
	cfg, findings := ParseConfig(p)
	stop := func(err error) (*Device, []Finding) {
		text := err.Error()
		if hint := errs.HintOf(err); hint != "" {
			text += ". " + hint
		}
		return nil, append(findings, Finding{Error, p.ID, "", newRedactor(cfg.Params).clean(text)})
	}
	a, err := r.Lookup(p.Type)
	if err != nil {
		return stop(err)
	}
	meta, err := a.Metadata(ctx)
	if err != nil {
		return stop(err)
	}
	d := New(cfg, a, meta, r.opts.Settings)
	if findings = append(findings, d.Check(nodes)...); !Usable(findings) {
		return nil, findings
	}
	return d, findings
}

// known returns the device of the same configuration that there was before, so
// that all who use a switch take turns and share what it has listed; else d.
func (r *Registry) known(d *Device) *Device {
	r.mu.Lock()
	defer r.mu.Unlock()
	if o := r.devices[d.cfg.ID]; o != nil && o.agent == d.agent && o.meta == d.meta && reflect.DeepEqual(o.cfg, d.cfg) {
		return o
	}
	d.background = &r.background
	r.devices[d.cfg.ID] = d
	return d
}

// Devices is Device for all stonith primitives of a cluster, and looks at them
// together, too. Only those without an Error are returned, in the order given.
func (r *Registry) Devices(ctx context.Context, primitives []Primitive, nodes []string) ([]*Device, []Finding) {
	var devices []*Device
	var findings []Finding
	for _, p := range primitives {
		d, found := r.Device(ctx, p, nodes)
		if findings = append(findings, found...); d != nil {
			devices = append(devices, d)
		}
	}
	together := CheckTogether(devices)
	devices = slices.DeleteFunc(devices, func(d *Device) bool {
		return slices.ContainsFunc(together, func(f Finding) bool { return f.Device == d.ID() })
	})
	return devices, append(findings, together...)
}
