package schedtest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/takt-ha/takt/cluster/cib"
)

// ErrNoOracle says that crm_simulate is not installed here.
var ErrNoOracle = errors.New("crm_simulate is not installed (Debian: pacemaker-cli-utils)")

// ErrNoAnswer says that the oracle refused the question: the CIB is invalid, or
// it took too long.
var ErrNoAnswer = errors.New("crm_simulate gave no answer")

// oracleTimeout is how long one question may take.
const oracleTimeout = 30 * time.Second

// Oracle asks the real crm_simulate, in a temporary folder of its own.
type Oracle struct {
	// Unvalidated leaves out the check against the schema, which takes most of
	// the time for a small CIB. It also leaves out the upgrade of old ones.
	Unvalidated bool
	program     string
	dir         string
}

// NewOracle finds crm_simulate, or returns ErrNoOracle. Close the oracle.
func NewOracle() (*Oracle, error) {
	program, err := exec.LookPath("crm_simulate")
	if err != nil {
		return nil, ErrNoOracle
	}
	dir, err := os.MkdirTemp("", "takt-oracle-")
	return &Oracle{program: program, dir: dir}, err
}

// Close removes the temporary folder.
func (o *Oracle) Close() error { return os.RemoveAll(o.dir) }

var validateWith = regexp.MustCompile(`validate-with="[^"]*"`)

// Ask returns what the real one does with a CIB at a time; the zero time is its
// own choice. One call at a time.
func (o *Oracle) Ask(text []byte, now time.Time) (*Expectation, error) {
	if o.Unvalidated {
		text = validateWith.ReplaceAll(text, []byte(`validate-with="none"`))
	}
	in, graph := filepath.Join(o.dir, "cib.xml"), filepath.Join(o.dir, "graph.xml")
	if err := os.WriteFile(in, text, 0o600); err != nil {
		return nil, err
	}
	if err := os.Remove(graph); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	args := []string{"-x", in, "-sSQ", "--output-as=xml", "-G", graph}
	if !now.IsZero() {
		args = append(args, "-t", now.UTC().Format("2006-01-02 15:04:05Z"))
	}
	ctx, stop := context.WithTimeout(context.Background(), oracleTimeout)
	defer stop()
	cmd := exec.CommandContext(ctx, o.program, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C", "CIB_shadow_dir="+o.dir)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	runErr := cmd.Run()
	made, err := os.ReadFile(graph)
	if err != nil {
		return nil, fmt.Errorf("%w: %v: %s", ErrNoAnswer, runErr, bytes.TrimSpace(said.Bytes()))
	}
	e, err := readGraph(made)
	if err != nil {
		return nil, err
	}
	if runErr != nil || bytes.Contains(out.Bytes(), []byte("Please specify the ")) {
		// The simulated run did not end well, or not at all where an agent's class or
		// provider is missing: nothing is known of the state afterwards.
		return e, nil
	}
	return e, readStatus(e, out.Bytes())
}

func parseOutput(text []byte, start string) (*cib.Node, error) {
	at := bytes.Index(text, []byte(start))
	if at < 0 {
		return nil, fmt.Errorf("crm_simulate: no %s in what it says", start)
	}
	root, err := cib.Parse(text[at:])
	if err != nil {
		return nil, fmt.Errorf("crm_simulate: %w", err)
	}
	return root, nil
}
