package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// standInProbe is `takt lab probe ADDRESS --stream --for D --interval D --timeout D --path P`.
func standInProbe(args []string) error {
	o := ProbeOptions{Address: args[1]}
	for i, to := range map[int]*time.Duration{4: &o.For, 6: &o.Interval, 8: &o.Timeout} {
		d, err := time.ParseDuration(args[i])
		if err != nil {
			return err
		}
		*to = d
	}
	out := json.NewEncoder(os.Stdout)
	_, err := Probe(context.Background(), o, func(a Attempt) { _ = out.Encode(a) })
	return err
}

// serveOn starts the small web service on a node.
func serveOn(t *testing.T, l *Lab, node string) {
	t.Helper()
	mustExec(t, l, node, "/bin/sh", "-c", l.State().Exe+" lab serve 0.0.0.0:80 >/tmp/serve.log 2>&1 </dev/null &")
	awaitTrue(t, "the service on "+node, func() bool { return reach(t, l, node, node, 1) })
}

// reach reports whether node from gets an answer of node to on a link.
func reach(t *testing.T, l *Lab, from, to string, link int) bool {
	t.Helper()
	o := ProbeOptions{Address: Address(to, link) + ":80", For: 60 * time.Millisecond, Interval: 20 * time.Millisecond, Timeout: 150 * time.Millisecond}
	r, err := l.Probe(context.Background(), from, o, nil)
	must(t, err)
	return r.OK > 0 && r.Failed == 0
}

// matrix says who reaches whom over each link: "n1>n2/1 …".
func matrix(t *testing.T, l *Lab) string {
	t.Helper()
	var all []string
	for link := 1; link <= l.State().Links; link++ {
		for _, from := range []string{"n1", Client} {
			if reach(t, l, from, "n2", link) {
				all = append(all, fmt.Sprintf("%s>n2/%d", from, link))
			}
		}
	}
	return strings.Join(all, " ")
}

// awaitMatrix waits until all reach each other who should. Who should not, must not
// from the start; a way that was healed carries nothing until the neighbours have found
// each other again, which may take the kernel a second.
func awaitMatrix(t *testing.T, l *Lab, want string) {
	t.Helper()
	awaitTrue(t, "the ways "+want, func() bool {
		got := matrix(t, l)
		for way := range strings.FieldsSeq(got) {
			if !slices.Contains(strings.Fields(want), way) {
				t.Fatalf("%s is open\ngot  %s\nwant %s", way, got, want)
			}
		}
		return got == want
	})
}

func TestCutAndHeal(t *testing.T) {
	l := bareLab(t, 2, 2)
	serveOn(t, l, "n2")
	const whole = "n1>n2/1 client>n2/1 n1>n2/2 client>n2/2"
	for _, c := range []struct {
		name string
		cut  CutOptions
		want string
	}{
		{"nothing", CutOptions{}, whole},
		{"one cable", CutOptions{Node: "n2", Link: 1}, "n1>n2/2 client>n2/2"},
		{"all cables", CutOptions{Node: "n2"}, ""},
		{"a pair", CutOptions{Node: "n1", From: "n2"}, "client>n2/1 client>n2/2"},
		{"a pair on one link", CutOptions{Node: "n2", From: "n1", Link: 2}, "n1>n2/1 client>n2/1 client>n2/2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.cut.Node != "" {
				must(t, l.Cut(c.cut))
			}
			awaitMatrix(t, l, c.want)
			must(t, l.Heal(CutOptions{}))
			if s, err := l.Status(); err != nil || len(s.Cuts) != 0 {
				t.Errorf("cuts after heal: %v, %v", s, err)
			}
		})
	}
	awaitMatrix(t, l, whole)
}

// TestOneWayCut counts at the receiver what arrives of UDP, which needs no answer.
func TestOneWayCut(t *testing.T) {
	l := bareLab(t, 2, 1)
	send := func(from, to string) {
		mustExec(t, l, from, "/bin/bash", "-c", fmt.Sprintf("for i in 1 2 3; do echo x > /dev/udp/%s/9; done", Address(to, 1)))
	}
	arrive := func(to string, all uint64) {
		awaitTrue(t, fmt.Sprintf("%d packets at %s", all, to), func() bool { return received(t, l, to) >= all })
	}
	send("n1", "n2") // also fills both neighbour tables
	send("n2", "n1")
	arrive("n2", 3)
	arrive("n1", 3)
	must(t, l.Cut(CutOptions{Node: "n1", From: "n2", OneWay: true}))
	send("n1", "n2")
	send("n2", "n1")
	arrive("n1", 6) // what goes the other way has had its time, too
	if got := received(t, l, "n2"); got != 3 {
		t.Errorf("n1 to n2 is cut, %d packets arrived", got-3)
	}
}

// received counts UDP datagrams that came to a closed port (Udp NoPorts).
func received(t *testing.T, l *Lab, node string) uint64 {
	t.Helper()
	var n uint64
	for line := range strings.Lines(mustExec(t, l, node, "cat", "/proc/net/snmp")) {
		var in, noPorts uint64
		if got, _ := fmt.Sscanf(line, "Udp: %d %d", &in, &noPorts); got == 2 {
			n = noPorts
		}
	}
	return n
}

func TestCrashIsSilent(t *testing.T) {
	l := bareLab(t, 2, 1)
	serveOn(t, l, "n2")
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	crashed := false
	var refused []string
	var last time.Time
	var gone atomic.Int64 // when the crash had happened
	crash := make(chan error, 1)
	report, err := l.Probe(ctx, Client, ProbeOptions{Address: Address("n2", 1) + ":80"}, func(a Attempt) {
		if a.Error == "" && !crashed {
			crashed = true
			go func() {
				crash <- l.Crash("n2")
				gone.Store(time.Now().UnixNano())
			}()
		}
		if at := gone.Load(); at != 0 && a.Start > at {
			cancel() // enough was seen
		}
		if strings.Contains(a.Error, "refused") || strings.Contains(a.Error, "reset") {
			refused = append(refused, a.Error)
		}
		if a.Error == "" {
			last = time.Unix(0, a.End)
		}
	})
	must(t, err)
	if !crashed {
		t.Fatal("it never answered")
	}
	must(t, <-crash)
	if len(refused) > 0 {
		t.Errorf("a crashed node said goodbye: %s", refused[0])
	}
	if report.Failed == 0 || len(report.Gaps) == 0 || report.Gaps[len(report.Gaps)-1].After != "" {
		t.Errorf("no outage seen; last answer %v; %+v", last, report)
	}
	if s, err := l.Status(); err != nil || s.Nodes[1].State != "off" {
		t.Errorf("status after a crash: %+v, %v", s, err)
	}
	if err := l.Crash("n2"); err == nil {
		t.Error("a node crashed twice")
	}
	must(t, l.Start("n2"))
	mustExec(t, l, "n2", "true")
}

func TestPauseAndResume(t *testing.T) {
	l := bareLab(t, 2, 1)
	serveOn(t, l, "n2")
	must(t, l.Pause("n2"))
	if reach(t, l, Client, "n2", 1) {
		t.Error("a paused node answers")
	}
	if s, err := l.Status(); err != nil || s.Nodes[1].State != "paused" {
		t.Errorf("status: %+v, %v", s, err)
	}
	must(t, l.Resume("n2"))
	awaitTrue(t, "the resumed node", func() bool { return reach(t, l, Client, "n2", 1) })
}

func TestAddressesInStatus(t *testing.T) {
	l := bareLab(t, 1, 2)
	s, err := l.Status()
	must(t, err)
	if got := strings.Join(s.Nodes[0].Addresses, " "); got != "10.88.1.1 10.88.2.1" {
		t.Errorf("n1 has %s", got)
	}
	if got := strings.Join(s.Nodes[1].Addresses, " "); got != "10.88.1.250 10.88.2.250" {
		t.Errorf("client has %s", got)
	}
}

// TestBrokerAnswers checks that a node's process gets real-time priority through
// the supervisor, where that itself may give it.
func TestBrokerAnswers(t *testing.T) {
	l := bareLab(t, 1, 1)
	if _, err := l.Exec(context.Background(), "n1", "/bin/sh", "-c", "test -S "+brokerPath); err != nil {
		t.Skip("the supervisor may not give real-time priority here: run as root to test it")
	}
	for request, want := range map[string]string{"rt 50": "ok policy 2", "rt 99": "error: want", "nonsense": "error: want"} {
		got := mustExec(t, l, "n1", l.State().Exe, "lab", "ask-broker", request)
		if !strings.HasPrefix(got, want) {
			t.Errorf("%q: got %q, want %q", request, got, want)
		}
	}
}

// standInBroker asks the broker and prints its answer and this process's policy.
func standInBroker(question string) error {
	conn, err := dialSocket(brokerPath)
	if err != nil {
		return err
	}
	defer conn.Close()
	fmt.Fprintln(conn, question)
	answer, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	attr, err := unix.SchedGetAttr(os.Getpid(), 0)
	if err != nil {
		return err
	}
	fmt.Printf("%s policy %d\n", strings.TrimSpace(answer), attr.Policy)
	return nil
}

func TestSignal(t *testing.T) {
	l := bareLab(t, 1, 1)
	mustExec(t, l, "n1", "/bin/sh", "-c", "sleep 7654 >/dev/null 2>&1 </dev/null &")
	must(t, l.Signal("n1", "sleep 7654", syscall.SIGKILL))
	awaitTrue(t, "the process to end", func() bool { return l.Signal("n1", "sleep 7654", syscall.SIGKILL) != nil })
}
