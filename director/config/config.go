// Package config reads a director's configuration from this machine's disk: the files, what they include, and what only
// the machine knows, such as its interfaces and users. What the words mean is importer/keepalived's.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/takt-ha/takt/importer/keepalived"
	"github.com/takt-ha/takt/internal/errs"
)

// Places are where a configuration is looked for, the first that is there counts.
var Places = []string{"/etc/takt/director.conf", "/etc/keepalived/keepalived.conf"}

// maxFile is how much of a file is read, in bytes; more than that is no configuration.
const maxFile = 64 << 20

// Options say who reads.
type Options struct {
	// ID is what lines that begin with "@" are compared with; "": the host's name up to its first dot.
	ID string
	// Elsewhere: the director does not run on this machine, so nobody asks for its interfaces, programs and users.
	Elsewhere bool
}

// Find returns path, or where it is empty the first of Places that exists.
func Find(path string) (string, error) {
	if path != "" {
		return path, nil
	}
	for _, p := range Places {
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", errs.E("find configuration", errs.NotFound, strings.Join(Places, ", "), "Name the file.", errors.New("there is none of these files"))
}

// Load reads the configuration in a file. An error says that the file itself cannot be read; what is wrong in it is in the
// result, which has no configuration then.
func Load(path string, o Options) (keepalived.Result, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return keepalived.Result{}, errs.E("read configuration", errs.Other, path, "", err)
	}
	src, err := read(path)
	if err != nil {
		kind := errs.Permission
		if errors.Is(err, fs.ErrNotExist) {
			kind = errs.NotFound
		}
		return keepalived.Result{}, errs.E("read configuration", kind, path, "", cause(err))
	}
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	ask := keepalived.Options{ConfigID: o.ID, Instance: host, Seed: uint64(len(host)), Read: include}
	if o.ID == "" {
		ask.ConfigID, _, _ = strings.Cut(host, ".")
	}
	if !o.Elsewhere {
		ask.Machine = thisMachine()
	}
	return keepalived.Load(src, ask), nil
}

// cause leaves the path out of an error that is told with it anyway.
func cause(err error) error {
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		return p.Err
	}
	return err
}

func read(path string) (keepalived.Source, error) {
	f, err := os.Open(path)
	if err != nil {
		return keepalived.Source{}, err
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return keepalived.Source{}, errors.New("it is a folder")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	return keepalived.Source{Path: path, Text: string(text)}, err
}

// include returns the files that a pattern names, which may have wildcards and braces.
func include(pattern, dir string) ([]keepalived.Source, error) {
	var out []keepalived.Source
	patterns, err := braces(pattern)
	if err != nil {
		return nil, err
	}
	for _, p := range patterns {
		if !filepath.IsAbs(p) {
			p = filepath.Join(dir, p)
		}
		names, err := filepath.Glob(p)
		if err != nil {
			return nil, err
		}
		slices.Sort(names)
		for _, name := range names {
			src, err := read(name)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, cause(err))
			}
			out = append(out, src)
		}
	}
	return out, nil
}

// maxBraces is how many patterns the braces of one may make.
const maxBraces = 10_000

// braces expands {a,b} as a shell does, also within one another.
func braces(pattern string) ([]string, error) {
	open, depth, from := -1, 0, 0
	var parts []string
	for i, c := range []byte(pattern) {
		switch {
		case c == '{':
			if depth++; depth == 1 {
				open, from, parts = i, i+1, nil
			}
		case c == ',' && depth == 1:
			parts, from = append(parts, pattern[from:i]), i+1
		case c == '}' && depth > 0:
			if depth--; depth > 0 {
				continue
			}
			return around(pattern[:open], append(parts, pattern[from:i]), pattern[i+1:])
		}
	}
	return []string{pattern}, nil
}

func around(before string, parts []string, after string) ([]string, error) {
	ends, err := braces(after)
	if err != nil {
		return nil, err
	}
	var out []string
	for _, p := range parts {
		inner, err := braces(p)
		if err != nil {
			return nil, err
		}
		if len(out)+len(inner)*len(ends) > maxBraces {
			return nil, fmt.Errorf("its braces make more than %d names", maxBraces)
		}
		for _, in := range inner {
			for _, end := range ends {
				out = append(out, before+in+end)
			}
		}
	}
	return out, nil
}
