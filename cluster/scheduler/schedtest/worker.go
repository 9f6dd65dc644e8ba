package schedtest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// workerEnv makes a process a worker; see Serve.
const workerEnv = "TAKT_SCHEDULE_WORKER"

// workerMemory bounds the address space of a worker, in bytes, so that an
// endless loop that allocates dies before the machine suffers.
const workerMemory = 6 << 30

// question is what a worker is asked, one JSON value each on its input.
type question struct {
	CIB []byte
	Now time.Time
}

// answer is what it says, one JSON value each on its output.
type answer struct {
	Is    *Expectation
	Error string
}

// Serve makes this process a worker if it was started as one, and then never
// returns. A test's TestMain calls it first.
func Serve() {
	if os.Getenv(workerEnv) == "" {
		return
	}
	limit := syscall.Rlimit{Cur: workerMemory, Max: workerMemory}
	_ = syscall.Setrlimit(syscall.RLIMIT_AS, &limit)
	in, out := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	for {
		var q question
		if in.Decode(&q) != nil {
			os.Exit(0)
		}
		if out.Encode(decide(q)) != nil {
			os.Exit(1)
		}
	}
}

func decide(q question) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = answer{Error: fmt.Sprintf("panic: %v at %s", p, panicSite())}
		}
	}()
	root, err := cib.Parse(q.CIB)
	if err != nil {
		return answer{Error: err.Error()}
	}
	return answer{Is: Decide(root, q.Now)}
}

// Worker runs the scheduler in a process of its own, for one caller at a time.
type Worker struct {
	Timeout time.Duration // how long one question may take; 10 s if 0
	cmd     *exec.Cmd
	in      io.WriteCloser
	enc     *json.Encoder
	dec     *json.Decoder
	stderr  *strings.Builder
}

// Schedule asks for the transition of a CIB. A panic, a crash and a time-out
// are errors; the next question gets a new process.
func (w *Worker) Schedule(text []byte, now time.Time) (*Expectation, error) {
	if w.cmd == nil {
		if err := w.start(); err != nil {
			return nil, err
		}
	}
	cmd := w.cmd
	limit := w.Timeout
	if limit == 0 {
		limit = 10 * time.Second
	}
	timer := time.AfterFunc(limit, func() { _ = cmd.Process.Kill() })
	var a answer
	err := w.enc.Encode(question{text, now})
	if err == nil {
		err = w.dec.Decode(&a)
	}
	late := !timer.Stop()
	switch {
	case late:
		w.Close()
		return nil, fmt.Errorf("no answer within %v", limit)
	case err != nil:
		w.Close()
		first, _, _ := strings.Cut(w.stderr.String(), "\n")
		return nil, fmt.Errorf("crash: %s", first)
	}
	if a.Error != "" {
		return nil, errors.New(a.Error)
	}
	return a.Is, nil
}

func (w *Worker) start() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe)
	cmd.Env = append(os.Environ(), workerEnv+"=1")
	w.stderr = &strings.Builder{}
	cmd.Stderr = w.stderr
	if w.in, err = cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w.cmd, w.enc, w.dec = cmd, json.NewEncoder(w.in), json.NewDecoder(out)
	return nil
}

// Close ends the process.
func (w *Worker) Close() {
	if w.cmd == nil {
		return
	}
	_ = w.in.Close()
	_ = w.cmd.Process.Kill()
	_ = w.cmd.Wait()
	w.cmd = nil
}
