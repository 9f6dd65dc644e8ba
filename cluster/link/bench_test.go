package link

import "testing"

// BenchmarkFive is what a simulator pays for each datagram of a cluster of five:
// made, delivered, judged.
func BenchmarkFive(b *testing.B) {
	for _, null := range []bool{true, false} {
		b.Run(map[bool]string{true: "simulated", false: "sealed"}[null], func(b *testing.B) {
			s := newSimulation(5, 2, 100, 1000)
			s.null = null
			for _, n := range s.nodes {
				s.start(n)
			}
			s.run(s.now + 1000*ms)
			b.ReportAllocs()
			b.ResetTimer()
			for from := s.seq; s.seq-from < b.N; {
				s.run(s.now + 100*ms)
			}
		})
	}
}
