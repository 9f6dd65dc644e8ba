package lab

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// maxRequest bounds a request on ctl.sock: arguments and environment.
const maxRequest = 4 << 20

// handle serves one connection on ctl.sock.
func (n *node) handle(conn *net.UnixConn) {
	defer conn.Close()
	q, r, files, err := readRequest(conn)
	defer closeAll(files)
	var p response
	if err == nil {
		p, err = n.answer(q, r, files)
	}
	if err != nil {
		p.Error = err.Error()
	}
	_ = json.NewEncoder(conn).Encode(p) // a caller that left does not need it
}

func (n *node) answer(q request, r *bufio.Reader, files []*os.File) (p response, err error) {
	switch q.Op {
	case "exec":
		p.Exit, err = n.execute(q, r, files)
	case "kill":
		p.Count, err = signalMatching(q.Match, syscall.Signal(q.Signal))
	case "daemon-start":
		err = n.service.start()
	case "daemon-stop":
		err = n.service.stop()
	case "daemon-unkeep":
		err = n.service.unkeep()
	case "daemon-kill":
		p.PID, err = n.service.kill()
	case "daemon-status":
		p.PID = n.service.running()
	default:
		err = fmt.Errorf("unknown request %q to node %s", q.Op, n.config.Name)
	}
	return p, err
}

// readRequest reads the first line with the descriptors that came along; the
// reader holds what follows.
func readRequest(conn *net.UnixConn) (request, *bufio.Reader, []*os.File, error) {
	var q request
	data, oob := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(3*4))
	got, gotOOB, _, _, err := conn.ReadMsgUnix(data, oob)
	if err != nil {
		return q, nil, nil, err
	}
	files, err := passedFiles(oob[:gotOOB])
	if err != nil {
		return q, nil, files, err
	}
	r := bufio.NewReader(io.MultiReader(strings.NewReader(string(data[:got])), conn))
	line, err := readLine(r, maxRequest)
	if err != nil {
		return q, nil, files, fmt.Errorf("read request: %w", err)
	}
	return q, r, files, json.Unmarshal(line, &q)
}

func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		switch {
		case err == nil:
			return line, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		case len(line) > limit:
			return nil, fmt.Errorf("longer than %d bytes", limit)
		}
	}
}

func passedFiles(oob []byte) ([]*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, err
	}
	var files []*os.File
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return files, err
		}
		for _, fd := range fds {
			unix.CloseOnExec(fd)
			files = append(files, os.NewFile(uintptr(fd), "passed"))
		}
	}
	return files, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}

// execute runs a command with the caller's descriptors and returns its exit
// status. Signals that the caller sends go to the command's process group; if
// the caller vanishes, the group is killed. What the command put into other
// sessions stays, as services should.
func (n *node) execute(q request, r *bufio.Reader, files []*os.File) (int, error) {
	if len(q.Argv) == 0 || len(files) != 3 {
		return 0, errors.New("exec needs a command and three descriptors")
	}
	env := mergeEnv(n.environment(), q.Env)
	path, err := lookPath(q.Argv[0], env)
	if err != nil {
		fmt.Fprintf(files[2], "%s: no such command in node %s\n", q.Argv[0], n.config.Name)
		return 127, nil
	}
	attr := &syscall.ProcAttr{Dir: q.Dir, Env: env, Sys: &syscall.SysProcAttr{Setpgid: true}}
	if !isDir(q.Dir) {
		attr.Dir = "/"
	}
	for _, f := range files {
		attr.Files = append(attr.Files, f.Fd())
	}
	pid, done, err := n.reaper.start(path, q.Argv, attr)
	if err != nil {
		fmt.Fprintf(files[2], "%s: not started in node %s: %v\n", path, n.config.Name, err)
		return 126, nil
	}
	closeAll(files) // the command holds its own; an end of file must come through
	signals := make(chan syscall.Signal)
	finished := make(chan struct{})
	defer close(finished)
	go forwardSignals(r, signals, finished)
	for {
		select {
		case code := <-done:
			return code, nil
		case sig := <-signals:
			_ = syscall.Kill(-pid, sig)
		}
	}
}

// forwardSignals reads signal lines until the caller leaves, which counts as
// SIGKILL. It ends at the latest when the connection is closed.
func forwardSignals(r *bufio.Reader, signals chan<- syscall.Signal, finished <-chan struct{}) {
	for {
		sig := syscall.SIGKILL
		line, err := readLine(r, 4096)
		if err == nil {
			var q request
			if json.Unmarshal(line, &q) != nil || q.Signal <= 0 {
				continue
			}
			sig = syscall.Signal(q.Signal)
		}
		select {
		case signals <- sig:
		case <-finished:
			return
		}
		if err != nil {
			return
		}
	}
}

// mergeEnv lets over's variables win.
func mergeEnv(base, over []string) []string {
	named := make(map[string]bool)
	for _, v := range over {
		name, _, _ := strings.Cut(v, "=")
		named[name] = true
	}
	merged := append([]string(nil), over...)
	for _, v := range base {
		if name, _, _ := strings.Cut(v, "="); !named[name] {
			merged = append(merged, v)
		}
	}
	return merged
}

func lookPath(name string, env []string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	for _, v := range env {
		list, ok := strings.CutPrefix(v, "PATH=")
		if !ok {
			continue
		}
		for _, dir := range filepath.SplitList(list) {
			path := filepath.Join(dir, name)
			if info, err := os.Stat(path); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				return path, nil
			}
		}
	}
	return "", os.ErrNotExist
}
