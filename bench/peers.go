package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/takt-ha/takt/lab"
)

// measurePeers runs other systems in the same namespaces with the same client.
// What is not installed is left out, with a line that says so.
func measurePeers(ctx context.Context, o options) []row {
	var rows []row
	if !strings.Contains("keepalived crash of the active node", o.only) {
		return nil
	}
	bin, err := exec.LookPath("keepalived")
	if err != nil {
		fmt.Fprintln(os.Stderr, "keepalived is not installed: left out")
		return nil
	}
	for _, advert := range []string{"1", "0.1", "0.02"} {
		r, err := keepalived(ctx, o, bin, advert)
		if err != nil {
			fmt.Fprintf(os.Stderr, "keepalived, adverts every %s s: left out: %v\n", advert, err)
			continue
		}
		rows = append(rows, r)
	}
	return rows
}

// keepalived measures the crash of a master: two routers, one address, the web
// service on both.
func keepalived(ctx context.Context, o options, bin, advert string) (row, error) {
	r := row{System: "keepalived", Step: "crash of the active node", Profile: "advert " + advert}
	for range o.runs {
		longest, err := keepalivedOnce(ctx, o, bin, advert)
		if err != nil {
			return r, err
		}
		r.Outages = append(r.Outages, longest)
	}
	r.finish(nil)
	fmt.Fprintf(os.Stderr, "keepalived, adverts every %s s: median %.0f ms (%.0f)\n", advert, r.Median, r.Outages)
	return r, nil
}

func keepalivedOnce(ctx context.Context, o options, bin, advert string) (float64, error) {
	dir, err := os.MkdirTemp("", "takt-bench-")
	if err != nil {
		return 0, err
	}
	l, err := lab.Up(ctx, lab.Options{Dir: dir, Nodes: 2, Links: 1, Exe: o.takt, Bare: true, Attached: true, Purge: true})
	if err != nil {
		return 0, err
	}
	defer l.Down(context.Background(), true)
	for i, node := range l.Nodes() {
		file := filepath.Join(dir, node+".conf")
		if err := os.WriteFile(file, []byte(keepalivedConf(i, advert)), 0o600); err != nil {
			return 0, err
		}
		script := fmt.Sprintf("setsid %s lab serve --listen 0.0.0.0:80 >/dev/null 2>&1 & setsid %s -n -l -f %s >%s.log 2>&1 &", o.takt, bin, file, file)
		if _, err := l.Exec(ctx, node, "sh", "-c", script); err != nil {
			return 0, err
		}
	}
	return keepalivedCrash(ctx, l)
}

func keepalivedConf(i int, advert string) string {
	return fmt.Sprintf(`global_defs {
  vrrp_version 3
}
vrrp_instance V {
  state BACKUP
  interface eth1
  virtual_router_id 51
  priority %d
  advert_int %s
  virtual_ipaddress { %s/24 }
}
`, 150-50*i, advert, service)
}

func keepalivedCrash(ctx context.Context, l *lab.Lab) (float64, error) {
	probing, stop := context.WithCancel(ctx)
	defer stop()
	active := make(chan string, 1)
	done := make(chan *lab.Report, 1)
	go func() {
		r, _ := l.Probe(probing, lab.Client, lab.ProbeOptions{Address: service + ":80", Interval: 2 * time.Millisecond}, func(a lab.Attempt) {
			if a.Error == "" {
				select {
				case active <- a.Node:
				default:
				}
			}
		})
		done <- r
	}()
	select {
	case <-active:
	case <-time.After(15 * time.Second):
		return 0, fmt.Errorf("no answer within 15 s")
	}
	time.Sleep(5 * time.Second) // until the one with the higher priority has it for good
	began := time.Now()
	if err := l.Crash("n1"); err != nil {
		return 0, err
	}
	time.Sleep(4500 * time.Millisecond)
	stop()
	r := <-done
	longest := 0.0
	for _, g := range r.Gaps {
		if g.Start+int64(g.Length*1e6) > began.UnixNano() && g.After != "" {
			longest = max(longest, g.Length)
		}
	}
	if longest == 0 {
		return 0, fmt.Errorf("the second router never answered")
	}
	return longest, nil
}
