package config

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/takt-ha/takt/importer/drbd"
	"github.com/takt-ha/takt/internal/errs"
)

// ErrNoDRBD says that there is no configuration of DRBD at a place.
var ErrNoDRBD = errors.New("there is neither drbd.conf nor a folder drbd.d")

// FindDRBD returns what a folder has of DRBD's configuration: drbd.conf, or the files of drbd.d.
func FindDRBD(dir string) (drbd.Source, error) {
	path := filepath.Join(dir, "drbd.conf")
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		return drbd.Source{Path: path, Text: string(text)}, nil
	case !errors.Is(err, fs.ErrNotExist):
		return drbd.Source{}, errs.E("read", errs.Permission, path, "", err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "drbd.d", "*.res")); len(files) > 0 {
		return drbd.Source{Path: filepath.Join(dir, "drbd.d"), Text: "include \"drbd.d/*common.conf\"; include \"drbd.d/*.res\";"}, nil
	}
	return drbd.Source{}, ErrNoDRBD
}

// ReadDRBD reads a configuration of DRBD as the node called self ("": the host name) sees it. A file that cannot be
// read as drbd.conf is an error; what is wrong in it otherwise is among the findings.
func ReadDRBD(src drbd.Source, self string) (drbd.Result, error) {
	tree, err := drbd.Parse(src, include)
	if err != nil {
		return drbd.Result{}, errs.E("read", errs.Invalid, "the configuration of DRBD", "See drbd.conf(5).", err)
	}
	if self == "" {
		self, _ = os.Hostname() // without a name no host is this one, which is said
	}
	found := drbd.Convert(tree, drbd.Options{Self: self, Local: localAddress})
	for i := range found.Resources {
		r := &found.Resources[i]
		r.Config = r.WithDefaults()
		if err := Validate(r.Config); err != nil {
			found.Findings = append(found.Findings, drbd.Finding{Pos: r.From, Resource: r.Resource, Level: drbd.Wrong, What: "resource " + r.Resource, Words: err.Error()})
		}
	}
	return found, nil
}

// include reads the files of an include statement; a relative name is meant relative to the file that it stands in.
func include(pattern, from string) ([]drbd.Source, error) {
	if !filepath.IsAbs(pattern) {
		pattern = filepath.Join(filepath.Dir(from), pattern)
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	if len(files) == 0 && !strings.ContainsAny(pattern, "*?[") {
		return nil, fmt.Errorf("there is no file %s", pattern)
	}
	slices.Sort(files)
	var out []drbd.Source
	for _, f := range files {
		if fi, err := os.Stat(f); err == nil && fi.Size() > drbd.MaxSize {
			return nil, fmt.Errorf("%s is larger than 4 MiB", f)
		}
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		out = append(out, drbd.Source{Path: f, Text: string(text)})
	}
	return out, nil
}

// localAddress says whether an address is one of this machine.
func localAddress(host string) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	want := net.ParseIP(host)
	return want != nil && slices.ContainsFunc(all, func(a net.Addr) bool {
		ip, ok := a.(*net.IPNet)
		return ok && ip.IP.Equal(want)
	})
}
