package cli

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/takt-ha/takt/importer/drbd"
	"github.com/takt-ha/takt/internal/errs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/config"
)

// found is a volume's configuration and where it comes from.
type found struct {
	volume.Config
	from     string
	drbd     bool // from a configuration of DRBD
	noSecret bool // which has no shared-secret
}

// load reads a volume's file as this node sees it.
func (v *volumes) load(name string) (volume.Config, error) {
	f, err := v.find(name)
	return f.Config, err
}

// find reads what describes a volume, and refuses one whose resync would wait for itself.
func (v *volumes) find(name string) (found, error) {
	f, err := v.read(name)
	chain := []string{name}
	for next := f.Sync.After; err == nil && next != ""; {
		if next == name {
			return f, errs.E("read volume", errs.Invalid, name, "Take one resync-after out.", fmt.Errorf("%s: the volumes wait for one another: %s", f.from, strings.Join(append(chain, name), " after ")))
		}
		other, missing := v.read(next) // one that is not there is not waited for
		if missing != nil || slices.Contains(chain, next) {
			break
		}
		chain, next = append(chain, next), other.Sync.After
	}
	return f, err
}

// read reads a volume's own file or, if there is none, its resource in the configuration of DRBD.
func (v *volumes) read(name string) (found, error) {
	path := v.paths(name).Config
	_, err := os.Stat(path)
	if !errors.Is(err, os.ErrNotExist) {
		c, err := config.Load(path, v.node, v.derive)
		c.Cluster = v.cluster != ""
		return found{Config: c, from: path}, err
	}
	all, src, err := v.drbd()
	if errors.Is(err, config.ErrNoDRBD) {
		return found{}, errs.E("find volume", errs.NotFound, name, "\"takt volume create\" makes one.", fmt.Errorf("there is neither %s nor a configuration of DRBD in %s", path, v.etc()))
	}
	if err != nil {
		return found{}, err
	}
	r, ok := all.Find(name)
	if wrong := all.WrongWith(resourceOf(name, r, ok)); len(wrong) > 0 && (ok || wrong[0].Resource != "") {
		return found{}, errs.E("read volume", errs.Invalid, name, "\"takt volume import --dry-run "+src.Path+"\" lists all that is wrong.", errors.New(wrongText(wrong)))
	}
	several := v.volumesOf(name)
	switch {
	case len(several) > 0:
		return found{}, errs.E("find volume", errs.NotFound, name, "Name one of them.", fmt.Errorf("the resource %s in %s has several volumes: %s", name, src.Path, strings.Join(several, ", ")))
	case !ok:
		return found{}, errs.E("find volume", errs.NotFound, name, "\"takt volume create\" makes one.", fmt.Errorf("there is neither %s nor a resource %s in %s", path, name, src.Path))
	case r.NotHere:
		return found{}, errs.E("read volume", errs.Invalid, name, "Name this node with --node, as it stands in the file.", fmt.Errorf("%s: no host of the resource is called %q", r.From, v.hostname()))
	}
	if r.Config.Cluster = v.cluster != ""; r.Config.Cluster && r.NoSecret {
		if _, r.Config.Net.Secret, err = v.derive(name); err != nil {
			return found{}, err
		}
		r.NoSecret, r.Config.Net.Plain = false, false
	}
	return found{Config: r.Config, from: r.From.String(), drbd: true, noSecret: r.NoSecret}, nil
}

// resourceOf is the name under which findings about a volume stand.
func resourceOf(name string, r drbd.Resource, ok bool) string {
	if ok {
		return r.Resource
	}
	return name
}

// wrongText is the first few things that are wrong, a line each.
func wrongText(all []drbd.Finding) string {
	const most = 5
	var lines []string
	for i, f := range all {
		if i == most {
			lines = append(lines, fmt.Sprintf("… and %d more", len(all)-most))
			break
		}
		lines = append(lines, fmt.Sprintf("%s: %s: %s", f.Pos, f.What, f.Words))
	}
	return strings.Join(lines, "\n  ")
}

// etc is the folder of configurations that are not Takt's.
func (v *volumes) etc() string {
	if v.dir != "" {
		return v.dir
	}
	return "/etc"
}

// drbd reads the configuration of DRBD, if there is one.
func (v *volumes) drbd() (drbd.Result, drbd.Source, error) {
	src, err := config.FindDRBD(v.etc())
	if err != nil {
		return drbd.Result{}, src, err
	}
	all, err := config.ReadDRBD(src, v.node)
	return all, src, err
}

// all names the volumes of this node: those with a file, then DRBD's resources without one.
func (v *volumes) all() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(filepath.Dir(v.paths("x").Config), "*.toml"))
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(filepath.Base(f), ".toml"))
	}
	slices.Sort(names)
	more, _, foreign := v.drbd()
	if foreign != nil && !errors.Is(foreign, config.ErrNoDRBD) {
		return names, errors.Join(err, foreign)
	}
	for _, r := range more.Resources {
		if !r.NotHere && !slices.Contains(names, r.Name) {
			names = append(names, r.Name)
		}
	}
	return names, err
}

// chosen are the volumes that the arguments name; "all", or nothing, is all there are.
func (v *volumes) chosen(args []string) ([]string, error) {
	if len(args) > 0 && args[0] != "all" {
		return v.expand(args), nil
	}
	names, err := v.all()
	if err == nil && len(names) == 0 {
		err = errs.E("find volumes", errs.NotFound, filepath.Dir(v.paths("x").Config), "\"takt volume create\" makes one.", errors.New("there is none"))
	}
	return names, err
}

// expand puts the volumes of a resource of DRBD, which has several, in the place of its name.
func (v *volumes) expand(args []string) (names []string) {
	for _, name := range args {
		if several := v.volumesOf(name); several != nil {
			names = append(names, several...)
		} else {
			names = append(names, name)
		}
	}
	return names
}

// volumesOf are the volumes that a resource of DRBD with several has become; nil if no volume has to be looked for there.
func (v *volumes) volumesOf(resource string) (names []string) {
	if _, err := os.Stat(v.paths(resource).Config); err == nil {
		return nil
	}
	all, _, err := v.drbd()
	if err != nil {
		return nil // what is wrong is said when the volume is looked for
	}
	for _, r := range all.Resources {
		if r.Name == resource {
			return nil
		}
		if r.Resource == resource {
			names = append(names, r.Name)
		}
	}
	return names
}

// oneName wants the name of one volume.
func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return errors.New("name one volume")
	}
	return nil
}

// nameAndPeer wants the name of a volume and, if not all peers are meant, one.
func nameAndPeer(_ *cobra.Command, args []string) error {
	if len(args) != 1 && len(args) != 2 {
		return errors.New("name one volume and, if not all are meant, one peer")
	}
	return nil
}

// nameArgs wants the names of volumes, or "all"; nothing only if none is allowed.
func nameArgs(none bool) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		switch {
		case len(args) == 0 && !none:
			return errors.New("name a volume, or \"all\"")
		case len(args) > 1 && slices.Contains(args, "all"):
			return errors.New("\"all\" stands alone")
		}
		return nil
	}
}

// completeVolumes completes names of volumes, and after the first one nothing or, with peers, its peers.
func (v *volumes) completeVolumes(several, peers bool) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var out []cobra.Completion
		switch {
		case len(args) == 0 || several:
			names, _ := v.all() // what is wrong is said when the command runs
			if len(args) == 0 && len(names) > 1 {
				names = append(names, "all")
			}
			for _, n := range names {
				if !slices.Contains(args, n) {
					out = append(out, n)
				}
			}
		case len(args) == 1 && peers:
			if c, err := v.load(args[0]); err == nil {
				for _, n := range c.Nodes {
					if n.ID != c.Self {
						out = append(out, n.Name)
					}
				}
			}
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	}
}

// each does something with every volume; the first error is the command's, the others are printed.
func each(cmd *cobra.Command, names []string, do func(string) error) error {
	var first error
	for _, name := range names {
		err := do(name)
		switch {
		case err == nil || cmd.Context().Err() != nil && first != nil:
		case first == nil:
			first = err
		default:
			report(cmd.ErrOrStderr(), err, false)
		}
	}
	return first
}
