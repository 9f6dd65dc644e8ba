package replica

import (
	"math/rand/v2"
	"os"
	"testing"

	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/state"
)

// returns is a sink that gives requests back by a channel.
type returns chan *front.Request

func (c returns) Done(r *front.Request) { c <- r }
func (c returns) Flush()                {}

// BenchmarkMirror writes 4 KiB at random places through a pair on loopback, with the disks in memory.
func BenchmarkMirror(b *testing.B) {
	for _, tls := range []bool{false, true} {
		for _, depth := range []int{1, 16, 64} {
			b.Run(map[bool]string{false: "plain", true: "TLS"}[tls]+"/"+string(rune('0'+depth/10))+string(rune('0'+depth%10)), func(b *testing.B) {
				benchMirror(b, !tls, depth)
			})
		}
	}
}

func benchMirror(b *testing.B, plain bool, depth int) {
	dir, err := os.MkdirTemp("/dev/shm", "takt-bench-")
	if err != nil {
		b.Skip("no memory to put disks in: ", err)
	}
	defer os.RemoveAll(dir)
	s := pairIn(b, dir, 2, 256<<20, func(c *volume.Config) { c.Net.Plain = plain })
	for _, x := range s {
		x.up()
	}
	s[0].until("connected", func(st volume.Status) bool { return st.Peers[0].State >= volume.Connected })
	s[0].must(state.Asked{Verb: "primary", Force: true})
	s[0].until("in step", inStep)
	back := make(returns, depth)
	for range depth {
		back <- &front.Request{Op: front.Write, Data: make([]byte, 4096), Sink: back, Length: 4096}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	batch := make([]*front.Request, 0, depth)
	b.ReportAllocs()
	b.ResetTimer()
	for done := 0; done < b.N; {
		batch = append(batch[:0], <-back)
		for len(back) > 0 && len(batch) < depth {
			batch = append(batch, <-back)
		}
		for _, req := range batch {
			req.Offset = rnd.Int64N(256<<20/4096) * 4096
		}
		done += len(batch)
		s[0].r.Submit(batch)
	}
	b.StopTimer()
	for range depth {
		<-back
	}
}
