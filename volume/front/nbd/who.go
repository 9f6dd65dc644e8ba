package nbd

import (
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Clients names who may write through a connection, as in "process 4711 (qemu-system-x86)", sorted: no tool shows who
// is at the other end of a unix socket.
func (s *Server) Clients() []string {
	var names []string
	for _, c := range s.all() {
		if c.mayWrite() {
			names = append(names, c.who())
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *conn) who() string {
	if c.pid == 0 {
		return "a process"
	}
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", c.pid))
	if err != nil { // it has given the socket to another one, and ended
		return fmt.Sprintf("process %d", c.pid)
	}
	return fmt.Sprintf("process %d (%s)", c.pid, strings.TrimSpace(string(name)))
}

// pidOf is the process at the other end of a unix socket (unix(7), SO_PEERCRED); 0: unknown.
func pidOf(nc net.Conn) (pid int32) {
	u, ok := nc.(*net.UnixConn)
	if !ok {
		return 0
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // of a socket that is closed already: unknown
		if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = cred.Pid
		}
	})
	return pid
}
