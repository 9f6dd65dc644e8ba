package chaos

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/takt-ha/takt/api"
	"github.com/takt-ha/takt/cluster/cib"
)

// TestMain runs the tests, or, in a node of the laboratory, writes one number.
func TestMain(m *testing.M) {
	if number := os.Getenv("TAKT_CHAOS_WRITE"); number != "" {
		if err := write(number); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	code := m.Run()
	if built != "" {
		os.RemoveAll(built)
	}
	os.Exit(code)
}

// write makes one numbered change through the node's own daemon.
func write(number string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c := api.NewClient("")
	defer c.Close()
	_, err := c.Apply(ctx, api.Apply{Source: "number " + number, User: "writer", Ops: []api.Op{{
		Kind: string(cib.Create), Path: "//meta_attributes[@id='rsc-options']",
		XML: fmt.Sprintf(`<nvpair id="%s%s" name="%s%s" value="%s"/>`, writtenPrefix, number, writtenPrefix, number, number),
	}}})
	return err
}

// writtenPrefix begins the ids of what a writer writes.
const writtenPrefix = "written-"

// writer makes numbered changes of the configuration on random nodes.
type writer struct {
	c       *cluster
	program string // this test, in the laboratory
	random  *rand.Rand
	ended   chan struct{}
	stop    context.CancelFunc

	mu           sync.Mutex // guards acknowledged and tried
	acknowledged []int
	tried        int
}

func startWriter(c *cluster, seed uint64) *writer {
	self, err := os.Executable()
	if err != nil {
		c.t.Fatal(err)
	}
	w := &writer{c: c, program: filepath.Join(c.Dir(), "writer"), random: rand.New(rand.NewPCG(seed, 2)), ended: make(chan struct{})}
	if err := copyFile(self, w.program); err != nil {
		c.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	w.stop = stop
	go w.run(ctx)
	c.t.Cleanup(w.end)
	return w
}

// end stops writing and waits for the write in flight. It is idempotent.
func (w *writer) end() {
	w.stop()
	<-w.ended
}

func (w *writer) run(ctx context.Context) {
	defer close(w.ended)
	tick := time.NewTicker(150 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		w.mu.Lock()
		w.tried++
		number := w.tried
		w.mu.Unlock()
		node := w.c.Nodes()[w.random.IntN(len(w.c.Nodes()))]
		_, err := w.c.Exec(ctx, node, "/usr/bin/env", fmt.Sprintf("TAKT_CHAOS_WRITE=%d", number), w.program)
		if err == nil {
			w.mu.Lock()
			w.acknowledged = append(w.acknowledged, number)
			w.mu.Unlock()
		}
	}
}

// missing says which acknowledged numbers a CIB lacks, "" if none.
func (w *writer) missing(xml string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var lost []int
	for _, n := range w.acknowledged {
		if !strings.Contains(xml, fmt.Sprintf(`id="%s%d"`, writtenPrefix, n)) {
			lost = append(lost, n)
		}
	}
	if len(lost) == 0 {
		return ""
	}
	return fmt.Sprintf("acknowledged and lost: %v", lost)
}

// agree says what keeps the nodes' CIBs from being the same and complete.
func (w *writer) agree(ctx context.Context) string {
	sums := map[[sha256.Size]byte]string{}
	for _, node := range w.c.Nodes() {
		xml, err := w.c.Exec(ctx, node, "takt", "cib", "query")
		if err != nil {
			return err.Error()
		}
		if lost := w.missing(string(xml)); lost != "" {
			return node + ": " + lost
		}
		root, err := cib.Parse(xml)
		if err != nil {
			return node + ": " + err.Error()
		}
		sums[cib.Digest(root)] += fmt.Sprintf("%s has %s ", node, cib.VersionOf(root))
	}
	if len(sums) != 1 {
		return fmt.Sprintf("the CIBs differ: %v", sums)
	}
	return ""
}

// readEvents reads a node's part of the story, as far as it can be read.
func readEvents(path string) []api.Event {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	var events []api.Event
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e api.Event
		if json.Unmarshal(lines.Bytes(), &e) == nil {
			events = append(events, e)
		}
	}
	return events
}
