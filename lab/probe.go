package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/takt-ha/takt/internal/errs"
)

// ProbeOptions says what to ask and how often.
type ProbeOptions struct {
	Address  string        // HOST:PORT
	For      time.Duration // how long; 0: until ctx ends
	Interval time.Duration // between attempts; 0: 2 ms; at least 100 µs
	Timeout  time.Duration // of one attempt; 0: 200 ms
	Path     string        // 0: /
}

// maxOutstanding bounds attempts in flight; 200 ms at 2 ms each are 100.
const maxOutstanding = 128

// Attempt is one connection and request.
type Attempt struct {
	Start int64  `json:"start_ns"`        // wall clock, Unix ns
	End   int64  `json:"end_ns"`          // when the answer or the failure came; from Start on by the monotonic clock
	Node  string `json:"node,omitempty"`  // first line of the body; "" if it failed
	Visit uint64 `json:"visit,omitempty"` // second line of the body, where it is a number
	Error string `json:"error,omitempty"` // "" if it was answered
}

func (o ProbeOptions) withDefaults() (ProbeOptions, error) {
	if o.Interval == 0 {
		o.Interval = 2 * time.Millisecond
	}
	if o.Timeout == 0 {
		o.Timeout = 200 * time.Millisecond
	}
	if o.Path == "" {
		o.Path = "/"
	}
	if _, _, err := net.SplitHostPort(o.Address); err != nil {
		return o, errs.E("probe", errs.Invalid, o.Address, "Give HOST:PORT, such as 10.88.1.100:80.", err)
	}
	if o.Interval < 100*time.Microsecond || o.Timeout < time.Millisecond || o.For < 0 || strings.ContainsAny(o.Path, " \r\n") {
		return o, errs.E("probe", errs.Invalid, o.Address, "Use an interval of at least 100µs, a time-out of at least 1ms and a plain path.", nil)
	}
	return o, nil
}

// Probe asks from this process's own network namespace until o.For has passed or
// ctx ends. Each attempt is a new connection, independent of the others: a lost
// SYN is retransmitted only after a second, so one persistent client would see
// an outage longer than it is. each, if not nil, is called once for every
// attempt in order of its end, from one goroutine.
func Probe(ctx context.Context, o ProbeOptions, each func(Attempt)) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	if o.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.For)
		defer cancel()
	}
	results := make(chan Attempt, maxOutstanding)
	go func() {
		defer close(results)
		o.attempts(ctx, results)
	}()
	var gaps gapFinder
	for a := range results {
		gaps.add(a)
		if each != nil {
			each(a)
		}
	}
	return gaps.report(o.Address), nil
}

// attempts starts one attempt each interval until ctx ends, and returns when all
// have ended.
func (o ProbeOptions) attempts(ctx context.Context, results chan<- Attempt) {
	question := fmt.Appendf(nil, "GET %s HTTP/1.0\r\nHost: %s\r\n\r\n", o.Path, o.Address)
	slots := make(chan struct{}, maxOutstanding)
	var running sync.WaitGroup
	defer running.Wait()
	tick := time.NewTicker(o.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case slots <- struct{}{}:
		default:
			continue // all slots wait for a silent server: the outage shows anyway
		}
		running.Go(func() {
			results <- o.attempt(question)
			<-slots
		})
	}
}

// attempt makes one connection. It is closed with a reset after the answer was
// read, because five hundred a second left in TIME_WAIT would use up the ports.
func (o ProbeOptions) attempt(question []byte) Attempt {
	start := time.Now()
	node, visit, err := o.ask(start, question)
	a := Attempt{Start: start.UnixNano(), End: start.UnixNano() + time.Since(start).Nanoseconds(), Node: node, Visit: visit}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}

func (o ProbeOptions) ask(start time.Time, question []byte) (node string, visit uint64, err error) {
	dialer := net.Dialer{Deadline: start.Add(o.Timeout), KeepAlive: -1}
	conn, err := dialer.Dial("tcp", o.Address)
	if err != nil {
		return "", 0, err
	}
	defer conn.Close()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	conn.SetDeadline(start.Add(o.Timeout))
	if _, err := conn.Write(question); err != nil {
		return "", 0, err
	}
	data, err := io.ReadAll(io.LimitReader(conn, 4096))
	if err != nil {
		return "", 0, err
	}
	return readAnswer(data)
}

// readAnswer checks the status of an HTTP answer and returns its body's first line, and the second if it is a number.
func readAnswer(data []byte) (name string, visit uint64, err error) {
	head, body, ok := bytes.Cut(data, []byte("\r\n\r\n"))
	if !ok {
		return "", 0, errors.New("the answer ended within its header")
	}
	status, _, _ := bytes.Cut(head, []byte("\r\n"))
	words := bytes.Fields(status)
	if len(words) < 2 || !bytes.HasPrefix(words[0], []byte("HTTP/")) || string(words[1]) != "200" {
		return "", 0, fmt.Errorf("the answer is not 200: %.80q", status)
	}
	line, rest, _ := bytes.Cut(body, []byte("\n"))
	if name = strings.TrimSpace(string(line)); name == "" {
		return "", 0, errors.New("the answer names no node")
	}
	if n, err := strconv.ParseUint(strings.TrimSpace(string(rest)), 10, 64); err == nil && bytes.HasSuffix(rest, []byte("\n")) {
		visit = n
	}
	return name, visit, nil
}

// Probe asks from a node of the laboratory, as a rule from Client.
func (l *Lab) Probe(ctx context.Context, from string, o ProbeOptions, each func(Attempt)) (*Report, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	argv := []string{l.state.Exe, "lab", "probe", o.Address, "--stream", "--for", o.For.String(),
		"--interval", o.Interval.String(), "--timeout", o.Timeout.String(), "--path", o.Path}
	r, w := io.Pipe()
	var gaps gapFinder
	decoded := make(chan error, 1)
	go func() {
		err := decodeAttempts(r, func(a Attempt) {
			gaps.add(a)
			if each != nil {
				each(a)
			}
		})
		r.CloseWithError(err)
		decoded <- err
	}()
	var words bytes.Buffer
	code, err := l.stream(ctx, Command{Node: from, Argv: argv}, w, &words)
	w.Close()
	badStream := <-decoded
	switch {
	case err != nil && (ctx.Err() == nil || o.For > 0):
		return nil, err
	case err == nil && code != 0:
		return nil, &ExitError{Node: from, Argv: argv, Code: code, Stderr: words.String()}
	case badStream != nil && ctx.Err() == nil: // killed in mid-line is no error
		return nil, badStream
	}
	return gaps.report(o.Address), nil
}

func decodeAttempts(r io.Reader, each func(Attempt)) error {
	d := json.NewDecoder(r)
	for {
		var a Attempt
		if err := d.Decode(&a); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("read attempts: %w", err)
		}
		each(a)
	}
}
