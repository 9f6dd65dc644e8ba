package vm

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// archive is an initramfs in the making: cpio's format "newc" (Documentation/driver-api/early-userspace/buffer-format.rst
// of Linux). The first error stays, and is what end returns.
type archive struct {
	w    io.Writer
	n    int // entries
	at   int // bytes
	have map[string]bool
	err  error
}

func newArchive(w io.Writer) *archive { return &archive{w: w, have: map[string]bool{}} }

// Kinds of files in cpio's mode.
const (
	kindFolder = 0o040000
	kindFile   = 0o100000
)

// add adds a file, with the folders above it. One that is there already stays.
func (a *archive) add(name string, mode fs.FileMode, data []byte) {
	name = clean(name)
	if a.have[name] {
		return
	}
	a.folder(path.Dir(name))
	a.entry(name, kindFile|uint32(mode.Perm()), data)
}

// folder adds a folder, with those above it.
func (a *archive) folder(name string) {
	name = clean(name)
	if name == "." || name == "" || a.have[name] {
		return
	}
	a.folder(path.Dir(name))
	mode := uint32(0o755)
	if name == "tmp" {
		mode = 0o1777
	}
	a.entry(name, kindFolder|mode, nil)
}

func clean(name string) string { return strings.TrimPrefix(path.Clean(name), "/") }

func (a *archive) entry(name string, mode uint32, data []byte) {
	a.n++
	a.have[name] = true
	a.write([]byte(fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.n, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)))
	a.pad()
	a.write(data)
	a.pad()
}

func (a *archive) write(b []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(b)
		a.at += len(b)
	}
}

func (a *archive) pad() { a.write(make([]byte, -a.at&3)) }

// end writes what ends an archive.
func (a *archive) end() error {
	a.entry("TRAILER!!!", 0, nil)
	return a.err
}
