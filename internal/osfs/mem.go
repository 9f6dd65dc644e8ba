package osfs

import (
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Mem is a disk in memory with the durability of a strict real one: data is
// durable after File.Sync, names are durable after SyncDir of their folder, and
// a Crash forgets everything else. Safe for concurrent use.
type Mem struct {
	mu    sync.Mutex
	dirs  map[string]*memDir
	epoch int // counts crashes: files opened before one are dead
}

// memDir is a folder. Names are what programs see, durable what a crash leaves.
type memDir struct {
	names   map[string]*memNode
	durable map[string]*memNode
	pending []dirChange // since the last SyncDir, in order
}

type dirChange struct {
	name string
	node *memNode // nil: removed
}

// memNode is a file's content.
type memNode struct {
	data    []byte
	durable []byte
	pending []memWrite // since the last Sync, in order
	mode    os.FileMode
	holder  *memFile // who has locked it
}

type memWrite struct {
	off      int64
	data     []byte
	truncate bool // set the size to off instead
}

var _ FS = (*Mem)(nil)

// NewMem makes an empty disk with the folder "/" (and ".").
func NewMem() *Mem {
	return &Mem{dirs: map[string]*memDir{"/": newMemDir(), ".": newMemDir()}}
}

func newMemDir() *memDir {
	return &memDir{names: map[string]*memNode{}, durable: map[string]*memNode{}}
}

// Crash cuts the power: unsynced data and unsynced names are gone, and files
// that were open answer fs.ErrClosed. With rnd, part of what was not synced
// may have reached the disk all the same: a random selection of the 512-byte
// sectors of each unsynced write, and a random number of the oldest name
// changes of each folder.
func (m *Mem) Crash(rnd *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.epoch++
	for _, path := range m.sortedDirsLocked() {
		d := m.dirs[path]
		keep := 0
		if rnd != nil {
			keep = rnd.IntN(len(d.pending) + 1)
		}
		for _, ch := range d.pending[:keep] {
			applyName(d.durable, ch)
		}
		d.pending = nil
		d.names = map[string]*memNode{}
		names := make([]string, 0, len(d.durable))
		for name := range d.durable {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			n := d.durable[name]
			n.crash(rnd)
			d.names[name] = n
		}
	}
}

func (m *Mem) sortedDirsLocked() []string {
	paths := make([]string, 0, len(m.dirs))
	for p := range m.dirs {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths
}

func applyName(names map[string]*memNode, ch dirChange) {
	if ch.node == nil {
		delete(names, ch.name)
		return
	}
	names[ch.name] = ch.node
}

func (n *memNode) crash(rnd *rand.Rand) {
	data := slices.Clone(n.durable)
	if rnd != nil {
		for _, w := range n.pending[:rnd.IntN(len(n.pending)+1)] {
			data = w.applyTorn(data, rnd)
		}
	}
	n.data, n.durable, n.pending = data, slices.Clone(data), nil
}

const sector = 512

func (w memWrite) applyTorn(data []byte, rnd *rand.Rand) []byte {
	if w.truncate {
		return resize(data, w.off)
	}
	for i := 0; i < len(w.data); {
		// A sector is atomic: cut at multiples of its size in the file.
		end := min(len(w.data), i+sector-int((w.off+int64(i))%sector))
		if rnd.IntN(4) > 0 {
			data = writeAt(data, w.data[i:end], w.off+int64(i))
		}
		i = end
	}
	return data
}

func resize(data []byte, size int64) []byte {
	if int64(len(data)) >= size {
		return data[:size:size]
	}
	return append(data, make([]byte, size-int64(len(data)))...)
}

func writeAt(data, p []byte, off int64) []byte {
	if end := off + int64(len(p)); end > int64(len(data)) {
		data = resize(data, end)
	}
	copy(data[off:], p)
	return data
}

func (m *Mem) dirLocked(path string) (*memDir, error) {
	d := m.dirs[filepath.Clean(path)]
	if d == nil {
		return nil, fs.ErrNotExist
	}
	return d, nil
}

// change records one change of a name, seen at once and durable after SyncDir.
func (d *memDir) change(name string, n *memNode) {
	ch := dirChange{name: name, node: n}
	applyName(d.names, ch)
	d.pending = append(d.pending, ch)
}

func pathErr(op, call, name string, err error) error {
	return named(op, &fs.PathError{Op: call, Path: name, Err: err})
}

// OpenFile opens or creates a file; the flags are those of the os package.
func (m *Mem) OpenFile(op, name string, flag int, perm os.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	d, err := m.dirLocked(filepath.Dir(name))
	if err != nil {
		return nil, pathErr(op, "open", name, err)
	}
	base := filepath.Base(name)
	n := d.names[base]
	switch {
	case m.dirs[name] != nil:
		return nil, pathErr(op, "open", name, syscall.EISDIR)
	case n == nil && flag&os.O_CREATE == 0:
		return nil, pathErr(op, "open", name, fs.ErrNotExist)
	case n != nil && flag&os.O_CREATE != 0 && flag&os.O_EXCL != 0:
		return nil, pathErr(op, "open", name, fs.ErrExist)
	case n == nil:
		n = &memNode{mode: perm}
		d.change(base, n)
	}
	if flag&os.O_TRUNC != 0 && len(n.data) > 0 {
		n.truncate(0)
	}
	return &memFile{disk: m, node: n, name: name, flag: flag, epoch: m.epoch}, nil
}

// ReadFile reads a whole file.
func (m *Mem) ReadFile(op, name string) ([]byte, error) {
	f, err := m.OpenFile(op, name, os.O_RDONLY, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	return b, named(op, err)
}

// ReadDir lists a folder, sorted by name.
func (m *Mem) ReadDir(op, name string) ([]fs.DirEntry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	d, err := m.dirLocked(name)
	if err != nil {
		return nil, pathErr(op, "readdir", name, err)
	}
	var es []fs.DirEntry
	for base, n := range d.names {
		es = append(es, fs.FileInfoToDirEntry(memInfo{base, int64(len(n.data)), n.mode}))
	}
	for path := range m.dirs {
		if path != name && filepath.Dir(path) == name {
			es = append(es, fs.FileInfoToDirEntry(memInfo{filepath.Base(path), 0, fs.ModeDir | 0o755}))
		}
	}
	slices.SortFunc(es, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return es, nil
}

// Stat describes a file or folder.
func (m *Mem) Stat(op, name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	if m.dirs[name] != nil {
		return memInfo{filepath.Base(name), 0, fs.ModeDir | 0o755}, nil
	}
	if d := m.dirs[filepath.Dir(name)]; d != nil {
		if n := d.names[filepath.Base(name)]; n != nil {
			return memInfo{filepath.Base(name), int64(len(n.data)), n.mode}, nil
		}
	}
	return nil, pathErr(op, "stat", name, fs.ErrNotExist)
}

// MkdirAll makes a folder and its parents. Folders are durable at once: what
// matters to Takt's rooms is the durability of files in them.
func (m *Mem) MkdirAll(op, name string, _ os.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for p := filepath.Clean(name); m.dirs[p] == nil; p = filepath.Dir(p) {
		if d := m.dirs[filepath.Dir(p)]; d != nil && d.names[filepath.Base(p)] != nil {
			return pathErr(op, "mkdir", p, syscall.ENOTDIR)
		}
		m.dirs[p] = newMemDir()
	}
	return nil
}

// Rename moves a file, replacing what was at newName.
func (m *Mem) Rename(op, oldName, newName string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, err := m.dirLocked(filepath.Dir(filepath.Clean(oldName)))
	if err != nil {
		return pathErr(op, "rename", oldName, err)
	}
	to, err := m.dirLocked(filepath.Dir(filepath.Clean(newName)))
	if err != nil {
		return pathErr(op, "rename", newName, err)
	}
	n := from.names[filepath.Base(oldName)]
	if n == nil {
		return pathErr(op, "rename", oldName, fs.ErrNotExist)
	}
	to.change(filepath.Base(newName), n)
	from.change(filepath.Base(oldName), nil)
	return nil
}

// Remove deletes a file or an empty folder.
func (m *Mem) Remove(op, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	name = filepath.Clean(name)
	if d := m.dirs[name]; d != nil {
		for path := range m.dirs {
			if path != name && filepath.Dir(path) == name {
				return pathErr(op, "remove", name, syscall.ENOTEMPTY)
			}
		}
		if len(d.names) > 0 {
			return pathErr(op, "remove", name, syscall.ENOTEMPTY)
		}
		delete(m.dirs, name)
		return nil
	}
	d, err := m.dirLocked(filepath.Dir(name))
	if err != nil || d.names[filepath.Base(name)] == nil {
		return pathErr(op, "remove", name, fs.ErrNotExist)
	}
	d.change(filepath.Base(name), nil)
	return nil
}

// SyncDir makes the names in a folder durable.
func (m *Mem) SyncDir(op, name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	d, err := m.dirLocked(name)
	if err != nil {
		return pathErr(op, "sync", name, err)
	}
	for _, ch := range d.pending {
		applyName(d.durable, ch)
	}
	d.pending = nil
	return nil
}

func (n *memNode) truncate(size int64) {
	n.data = resize(n.data, size)
	n.pending = append(n.pending, memWrite{off: size, truncate: true})
}

func (n *memNode) write(p []byte, off int64) {
	n.data = writeAt(n.data, p, off)
	n.pending = append(n.pending, memWrite{off: off, data: slices.Clone(p)})
}

// sync makes durable what was written. It costs what was written, not what is there.
func (n *memNode) sync() {
	for _, w := range n.pending {
		if w.truncate {
			n.durable = resize(n.durable, w.off)
		} else {
			n.durable = writeAt(n.durable, w.data, w.off)
		}
	}
	clear(n.pending)
	n.pending = n.pending[:0]
}

type memInfo struct {
	name string
	size int64
	mode os.FileMode
}

func (i memInfo) Name() string       { return i.name }
func (i memInfo) Size() int64        { return i.size }
func (i memInfo) Mode() fs.FileMode  { return i.mode }
func (i memInfo) ModTime() time.Time { return time.Time{} }
func (i memInfo) IsDir() bool        { return i.mode.IsDir() }
func (i memInfo) Sys() any           { return nil }
