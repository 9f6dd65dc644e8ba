package ipvs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// modules knows which parts of IPVS the kernel can have: schedulers and persistence engines are modules of their own, which the kernel loads
// when a service wants them.
type modules struct {
	loaded string // folder of those that are loaded: /sys/module
	files  string // folder of those that can be: /lib/modules/RELEASE

	mu      sync.Mutex
	read    time.Time       // guarded by mu; what lists had as their time
	known   string          // guarded by mu; what the lists say; "": there are none
	missing map[string]bool // guarded by mu; the kernel said so itself
}

func newModules() *modules {
	m := &modules{loaded: "/sys/module", missing: map[string]bool{}}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.files = filepath.Join("/lib/modules", unix.ByteSliceToString(u.Release[:]))
	}
	return m
}

// has reports whether the kernel has a module, as far as that can be known without asking it.
func (m *modules) has(name string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := os.Stat(filepath.Join(m.loaded, name)); err == nil {
		return true
	}
	m.list()
	return !m.missing[name] && (m.known == "" || strings.Contains(m.known, "/"+name+".ko"))
}

// list reads which modules are on the disk or part of the kernel, if that has changed. m.mu is held.
func (m *modules) list() {
	on, err := os.Stat(filepath.Join(m.files, "modules.dep"))
	if err != nil {
		m.known, m.read = "", time.Time{} // a container's, for one
		return
	}
	if on.ModTime().Equal(m.read) {
		return
	}
	m.read = on.ModTime()
	clear(m.missing)
	var all bytes.Buffer
	for _, name := range []string{"modules.dep", "modules.builtin"} {
		b, err := os.ReadFile(filepath.Join(m.files, name))
		if err == nil {
			all.Write(bytes.ReplaceAll(b, []byte("-"), []byte("_")))
		}
	}
	m.known = all.String()
}

// lack takes it that the kernel has not what a service needs: the first of the modules that is not there already.
func (m *modules) lack(s *service) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range s.needs() {
		if _, err := os.Stat(filepath.Join(m.loaded, name)); err != nil {
			m.missing[name] = true
			return
		}
	}
}

// needs are the modules of a service.
func (s *service) needs() (list []string) {
	list = append(list, "ip_vs_"+s.scheduler)
	if s.engine != "" {
		list = append(list, "ip_vs_pe_"+s.engine)
	}
	return list
}

// check says which part of IPVS the kernel lacks for a service.
func (m *modules) check(s *service) error {
	for _, name := range s.needs() {
		if !m.has(name) {
			return fmt.Errorf("this kernel's IPVS lacks %s (module %s)", strings.TrimPrefix(strings.TrimPrefix(name, "ip_vs_"), "pe_"), name)
		}
	}
	return nil
}
