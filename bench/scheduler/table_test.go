package main

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestMedian(t *testing.T) {
	m := median([]figures{{3e9, 10}, {1e9, 30}, {2e9, 20}})
	if m.wall != 2*time.Second || m.peak != 20 {
		t.Errorf("the median is %+v", m)
	}
}

func TestKept(t *testing.T) {
	ours := figures{time.Second, 10}
	for _, c := range []struct {
		bars   bars
		theirs figures
		asked  bool
		want   string
	}{
		{bars{faster: 10}, figures{9 * time.Second, 30}, true, "no"},
		{bars{faster: 10}, figures{10 * time.Second, 30}, true, "yes"},
		{bars{faster: 10, memory: 1. / 4}, figures{10 * time.Second, 30}, true, "no"},
		{bars{faster: 10, memory: 1. / 3}, figures{10 * time.Second, 30}, true, "yes"},
		{bars{faster: 10}, figures{}, false, "?"},
		{bars{within: 2 * time.Second}, figures{}, false, "yes"},
		{bars{within: time.Second / 2}, figures{}, false, "no"},
	} {
		r := result{bars: c.bars, ours: ours, theirs: c.theirs, asked: c.asked, ended: c.asked}
		if got := r.kept(); got != c.want {
			t.Errorf("%s beside %+v: %s, want %s", c.bars, c.theirs, got, c.want)
		}
	}
}

func TestCount(t *testing.T) {
	for _, c := range []struct {
		count func(string) (int, error)
		text  string
	}{
		{countOurs, `{"actions":[{"id":"0","kind":"rsc"},{"id":"1","kind":"pseudo"},{"id":"2","kind":"crm"}],"order":[[0,1]]}`},
		{countTheirs, "<transition_graph>\n <synapse>\n  <action_set>\n   <rsc_op id=\"1\"/>\n  </action_set>\n  <inputs>\n   <trigger>\n    <rsc_op id=\"2\"/>\n" +
			"   </trigger>\n  </inputs>\n </synapse>\n <action_set>\n  <pseudo_event id=\"3\"/>\n </action_set>\n <action_set>\n  <crm_event id=\"4\"/>\n </action_set>\n</transition_graph>\n"},
	} {
		name := filepath.Join(t.TempDir(), "graph")
		if err := os.WriteFile(name, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if n, err := c.count(name); err != nil || n != 2 {
			t.Errorf("%d actions, %v, want 2 in %s", n, err, c.text)
		}
	}
}
