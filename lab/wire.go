package lab

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// request is one line of JSON on D/lab.sock (to the supervisor) or on a node's
// ctl.sock (to its node-init). One request a connection; the answer is one line.
type request struct {
	Op string `json:"op"`

	// to the supervisor
	Node  string       `json:"node,omitempty"`
	Cuts  []CutOptions `json:"cuts,omitempty"`     // "cut"
	Heal  CutOptions   `json:"heal"`               // "heal"
	Fault string       `json:"fault,omitempty"`    // "power": PowerFault
	Delay int64        `json:"delay_ms,omitempty"` // "power": < 0 leaves it

	// to a node-init; stdin, stdout and stderr come with it as SCM_RIGHTS
	Argv   []string `json:"argv,omitempty"`
	Env    []string `json:"env,omitempty"`
	Dir    string   `json:"dir,omitempty"`
	Signal int      `json:"signal,omitempty"` // a later line: pass it to the command; with "kill": send it
	Match  string   `json:"match,omitempty"`  // "kill": part of a command line, words separated by a space
}

type response struct {
	Error string       `json:"error,omitempty"`
	Nodes []NodeStatus `json:"nodes,omitempty"`
	Cuts  []string     `json:"cuts,omitempty"`
	Exit  int          `json:"exit"`          // of a command; 128+N if ended by signal N
	PID   int          `json:"pid,omitempty"` // of the daemon, in its node's PID namespace
	Count int          `json:"count"`         // of processes that got the signal
}

// socketPath calls f with a short path for a socket in a folder whose own name may
// exceed what a socket address can hold (108 bytes, unix(7)).
func socketPath(path string, f func(short string) error) error {
	dir, err := os.OpenFile(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return f(fmt.Sprintf("/proc/self/fd/%d/%s", dir.Fd(), filepath.Base(path)))
}

func dialSocket(path string) (conn *net.UnixConn, err error) {
	err = socketPath(path, func(short string) error {
		conn, err = net.DialUnix("unix", nil, &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	return conn, err
}

func listenSocket(path string) (l *net.UnixListener, err error) {
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return nil, err
	}
	err = socketPath(path, func(short string) error {
		l, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err == nil {
		l.SetUnlinkOnClose(false) // the short path is gone by then
		err = os.Chmod(path, 0o600)
	}
	return l, err
}

// call sends one request without descriptors and reads its answer.
func call(path string, q request, within time.Duration) (*response, error) {
	conn, err := dialSocket(path)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(within))
	if err := json.NewEncoder(conn).Encode(q); err != nil {
		return nil, err
	}
	return readResponse(bufio.NewReader(conn))
}

func readResponse(r *bufio.Reader) (*response, error) {
	var p response
	if err := json.NewDecoder(r).Decode(&p); err != nil {
		return nil, err
	}
	if p.Error != "" {
		return nil, fmt.Errorf("%s", p.Error)
	}
	return &p, nil
}
