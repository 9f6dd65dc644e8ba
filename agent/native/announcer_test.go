package native

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/takt-ha/takt/internal/netif"
)

func TestAnnouncements(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent []time.Duration
		began := time.Now()
		a := newAnnouncer(slog.New(slog.DiscardHandler))
		a.send = func(netif.Link, netip.Addr, net.HardwareAddr) error {
			sent = append(sent, time.Since(began))
			return nil
		}
		ip := netip.MustParseAddr("10.0.0.1")
		a.hold("r", netif.Link{Index: 1}, ip, nil, schedule(2, 200*time.Millisecond), true)
		time.Sleep(10 * time.Second) // virtual
		want := []time.Duration{0, 200 * time.Millisecond, time.Second, 5 * time.Second}
		check := func() {
			t.Helper()
			synctest.Wait()
			if len(sent) != len(want) {
				t.Fatalf("sent at %v, want %v", sent, want)
			}
			for i := range want {
				if sent[i] != want[i] {
					t.Fatalf("sent at %v, want %v", sent, want)
				}
			}
		}
		check()
		a.hold("r", netif.Link{Index: 1}, ip, nil, nil, false) // a monitor that succeeds announces nothing
		a.Again()
		time.Sleep(100 * time.Millisecond)
		want = append(want, 10*time.Second)
		check()
		a.release("r") // the rest of the schedule is not sent
		a.Again()
		time.Sleep(10 * time.Second)
		check()
		a.Close()
		a.Close()
	})
}
