package pace

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"

	"github.com/takt-ha/takt/volume"
)

// TestStories plays resyncs on a simulated path (link_test.go). Commands, with rates in KiB/s and times in ms:
//
//	path rate= delay= [plan= target= fill= min= max= fixed=]   a new one; the options of drbd.conf(5)
//	set [plan= …]                                       other options while it runs
//	app [depth=] [rate=]                                what the application does from now on
//	run ms= [rows=]                                     time passes; a row for each part of it
//
// A row: the rate of the resync and of the application in MiB/s, the most bytes of the resync under way in KiB, and its
// longest delay in ms.
func TestStories(t *testing.T) {
	datadriven.Walk(t, "testdata/stories", func(t *testing.T, file string) {
		var p *path
		datadriven.RunTest(t, file, func(t *testing.T, d *datadriven.TestData) string {
			number := func(key string, std int) int {
				if d.HasArg(key) {
					d.ScanArgs(t, key, &std)
				}
				return std
			}
			switch d.Cmd {
			case "path":
				p = newPath(options(number), float64(number("rate", 0))*1024, ms(number("delay", 0)))
			case "set":
				p.c.Set(options(number))
			case "app":
				p.begin(app{depth: number("depth", 0), rate: float64(number("rate", 0)) * 1024})
			case "run":
				return p.rows(ms(number("ms", 0)), number("rows", 1))
			default:
				t.Fatalf("there is no command %q", d.Cmd)
			}
			return ""
		})
	})
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

func options(number func(string, int) int) volume.SyncOptions {
	o := volume.Config{}.WithDefaults().Sync
	o.PlanAhead = ms(number("plan", 2000))
	o.NoPlan = o.PlanAhead == 0
	o.Delay = ms(number("target", 1000))
	o.FillTarget = int64(number("fill", 0)) << 10
	o.MinRate = int64(number("min", 250)) << 10
	o.MaxRate = int64(number("max", 0)) << 10
	o.Rate = int64(number("fixed", 250)) << 10
	return o
}

func (p *path) rows(d time.Duration, n int) string {
	var out strings.Builder
	for range n {
		from, got, done := p.now, p.got, p.done
		p.most, p.worst = p.flying, 0
		p.run(d / time.Duration(n))
		s := (p.now - from).Seconds()
		fmt.Fprintf(&out, "resync %.2f  application %.2f  under way %d  delay %d\n",
			float64(p.got-got)/(1<<20)/s, float64(p.done-done)/(1<<20)/s, p.most>>10, p.worst.Milliseconds())
	}
	return out.String()
}
