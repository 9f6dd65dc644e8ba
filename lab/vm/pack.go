package vm

import (
	"bufio"
	"bytes"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Where things are in the guest's first file system.
const (
	jobFile    = "job"
	moduleDir  = "modules"
	hostDir    = "host"
	memoryDir  = "memory"
	overlayDir = "root"
)

// pack writes the guest's first file system: the calling program, the modules in an order in which they can be loaded, the job, and
// where the host's files cannot be shared those that were named. Nothing is compressed, since unpacking is dear in the guest.
func (m Machine) pack(path, root string, j job) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	a := newArchive(w)
	if err := m.fill(a, root, j); err != nil {
		return err
	}
	return errors.Join(a.end(), w.Flush())
}

func (m Machine) fill(a *archive, root string, j job) error {
	program, err := self()
	if err != nil {
		return err
	}
	order, err := moduleOrder(root, m.Modules)
	if err != nil {
		return err
	}
	b, err := json.Marshal(j)
	if err != nil {
		return err
	}
	for _, d := range []string{"dev", "proc", "sys", hostDir, memoryDir, overlayDir, moduleDir} {
		a.folder(d)
	}
	a.add(jobFile, 0o644, b)
	a.add("init", 0o755, program)
	for i, m := range order {
		a.add(fmt.Sprintf("%s/%03d-%s.ko", moduleDir, i, m.name), 0o644, m.data)
	}
	if j.Shared {
		return nil
	}
	files := m.Files
	for _, s := range j.Steps {
		files = append(files[:len(files):len(files)], s.Args[0])
	}
	for _, f := range files {
		if err := a.tree(f); err != nil {
			return fmt.Errorf("pack %s: %w", f, err)
		}
	}
	return nil
}

// self is the calling program, which must need no library.
func self() ([]byte, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if e, err := elf.NewFile(bytes.NewReader(b)); err != nil || e.Section(".interp") != nil {
		return nil, fmt.Errorf("%s needs libraries, and is to be the guest's first process: build it with CGO_ENABLED=0", path)
	}
	return b, nil
}

// tree adds a file of the host, or all in a folder, at the same place, programs with their libraries.
func (a *archive) tree(from string) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path) // of what a link leads to
		switch {
		case err != nil:
			return err
		case info.IsDir():
			a.folder(path)
			return nil
		case !info.Mode().IsRegular():
			return nil // sockets and pipes
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		a.add(path, info.Mode(), b)
		libraries, err := needed(path, b)
		if err != nil {
			return err
		}
		for _, l := range libraries {
			if b, err = os.ReadFile(l); err != nil {
				return err
			}
			a.add(l, 0o755, b)
		}
		return nil
	})
}

// needed asks the loader which libraries a program loads.
func needed(path string, program []byte) (libraries []string, err error) {
	e, err := elf.NewFile(bytes.NewReader(program))
	if err != nil || e.Section(".interp") == nil {
		return nil, nil
	}
	out, err := exec.Command("ldd", path).Output()
	if err != nil {
		return nil, fmt.Errorf("ldd: %w", err)
	}
	for _, word := range strings.Fields(string(out)) {
		if filepath.IsAbs(word) {
			libraries = append(libraries, word)
		}
	}
	return libraries, nil
}
