package nbd

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestClientsAreNamed by their process, each once; who may only read is in nobody's way.
func TestClientsAreNamed(t *testing.T) {
	d := file(t, 1<<20)
	s, path := start(t, d, Config{})
	if got := s.Clients(); len(got) != 0 {
		t.Errorf("%q before anybody came", got)
	}
	for range 2 {
		c := connect(t, path, true)
		if code, words, _ := c.do(request{cmd: cmdFlush}, nil); code != 0 {
			t.Fatal(code, words)
		}
	}
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Skip("there is no /proc")
	}
	want := fmt.Sprintf("process %d (%s)", os.Getpid(), strings.TrimSpace(string(comm)))
	if got := s.Clients(); len(got) != 1 || got[0] != want {
		t.Errorf("%q, want %q once", got, want)
	}
}
