package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
)

// countOurs counts the real actions in a transition as takt-json, action by
// action, so that a big one needs no memory here.
func countOurs(name string) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	d := json.NewDecoder(bufio.NewReader(f))
	for range 3 { // { "actions" [
		if _, err := d.Token(); err != nil {
			return 0, err
		}
	}
	real := 0
	for d.More() {
		var a struct{ Kind string }
		if err := d.Decode(&a); err != nil {
			return 0, err
		}
		if a.Kind != "pseudo" {
			real++
		}
	}
	return real, nil
}

// countTheirs counts the real actions in a transition graph, which has one
// element a line: an action is what follows <action_set>, elsewhere it is
// referred to.
func countTheirs(name string) (int, error) {
	f, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	real, opened := 0, false
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, io.EOF) {
			return real, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return 0, err
		}
		line = bytes.TrimSpace(line)
		if opened && !bytes.HasPrefix(line, []byte("<pseudo_event ")) {
			real++
		}
		opened = bytes.Equal(line, []byte("<action_set>"))
	}
}
