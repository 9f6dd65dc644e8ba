package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/takt-ha/takt/lab"
)

// movable are what the story moves by hand; unique is every resource.
var (
	movable = []string{"service", "single", "other"}
	unique  = []string{"address", "server", "single", "other"}
)

// resources is the configuration: a group with an address and a process, and
// two independent ones. serial changes a parameter of one of them.
func resources(serial int) string { return resourcesWith("", serial) }

// resourcesWith adds a fence device to them, or nothing.
func resourcesWith(device string, serial int) string {
	return fmt.Sprintf(`<resources>%s
  <group id="service">
    <primitive id="address" class="ocf" provider="takt" type="IPaddr2">
      <instance_attributes id="address-params">
        <nvpair id="address-ip" name="ip" value="10.88.1.100"/>
        <nvpair id="address-mask" name="cidr_netmask" value="24"/>
      </instance_attributes>
      <operations><op id="address-monitor" name="monitor" interval="1s"/></operations>
    </primitive>
    <primitive id="server" class="ocf" provider="takt" type="anything">
      <instance_attributes id="server-params">
        <nvpair id="server-bin" name="binfile" value="/bin/sleep"/>
        <nvpair id="server-arguments" name="cmdline_options" value="86400"/>
      </instance_attributes>
      <operations><op id="server-monitor" name="monitor" interval="1s"/></operations>
    </primitive>
  </group>
  <primitive id="single" class="ocf" provider="takt" type="Dummy">
    <operations><op id="single-monitor" name="monitor" interval="500ms"/></operations>
  </primitive>
  <primitive id="other" class="ocf" provider="takt" type="Dummy">
    <instance_attributes id="other-params"><nvpair id="other-fake" name="fake" value="%d"/></instance_attributes>
    <operations><op id="other-monitor" name="monitor" interval="500ms"/></operations>
  </primitive>
</resources>`, device, serial)
}

func setting(t *testing.T, name string, standard int) int {
	text := os.Getenv(name)
	if text == "" {
		return standard
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// settleLimit is how long a cluster that was repaired may take until everything
// runs again.
const settleLimit = 30 * time.Second

// TestRandomFaults kills and cuts at random, and checks that nothing runs twice,
// nothing that was acknowledged is lost, and all is well in the end.
func TestRandomFaults(t *testing.T) { randomFaults(t, 3, false) }

// TestRandomFaultsFenced does the same to clusters that can fence: now everything
// may happen, and two nodes are enough.
func TestRandomFaultsFenced(t *testing.T) { randomFaults(t, 2, true) }

func randomFaults(t *testing.T, nodes int, fenced bool) {
	faults := setting(t, "TAKT_FAULTS", 12)
	seed := uint64(setting(t, "TAKT_SEED", int(time.Now().UnixNano()%1e9)))
	profile := os.Getenv("TAKT_PROFILE")
	if profile == "" {
		profile = "fast"
	}
	t.Logf("%d faults, profile %s; to repeat: TAKT_SEED=%d TAKT_FAULTS=%d TAKT_PROFILE=%s", faults, profile, seed, faults, profile)
	c := newCluster(t, lab.Options{Nodes: setting(t, "TAKT_NODES", nodes), Links: 2, Profile: profile, Fence: fenced})
	s := &story{c: c, random: rand.New(rand.NewPCG(seed, 1)), began: time.Now()}
	s.vandal = newVandal(c, s.random)
	if err := c.apply(context.Background(), "n1", s.vandal.resources(0), true); err != nil {
		t.Fatal(err)
	}
	s.writer = startWriter(c, seed)
	for i := 1; i <= faults; i++ {
		s.fault(i)
		if i%10 == 0 && i < faults {
			s.settle()
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	s.finish()
}

// story is one run.
type story struct {
	c      *cluster
	random *rand.Rand
	vandal *vandal
	writer *writer
	began  time.Time
	worst  time.Duration // longest time to settle
}

func (s *story) fault(i int) {
	f := s.vandal.next()
	wait := time.Duration(s.random.IntN(1500)) * time.Millisecond
	s.c.t.Logf("%s %6.1f s  fault %3d: %s; then %v", time.Now().UTC().Format("15:04:05.000"), time.Since(s.began).Seconds(), i, f.name, wait)
	err := f.do()
	s.vandal.done(f)
	if err != nil {
		s.c.t.Fatalf("fault %d, %s: %v", i, f.name, err)
	}
	pause(wait)
}

// pause lets the cluster go on for a while: how far it comes until the next
// fault is what the story varies.
func pause(d time.Duration) { <-time.After(d) }

// settle repairs everything and waits until all is well.
func (s *story) settle() {
	s.c.t.Helper()
	began := time.Now()
	if err := s.vandal.repairAll(); err != nil {
		s.c.t.Fatal(err)
	}
	s.c.await(settleLimit, "settle after the repair", func(ctx context.Context) string {
		for _, node := range s.c.Nodes() {
			if why := s.c.settled(ctx, node, nil); why != "" {
				return why
			}
		}
		return ""
	})
	s.c.await(settleLimit-time.Since(began), "take standby back", s.unstandby)
	s.c.await(settleLimit-time.Since(began), "start everything", func(ctx context.Context) string {
		for _, node := range s.c.Nodes() {
			if why := s.c.settled(ctx, node, unique); why != "" {
				return why
			}
		}
		return ""
	})
	took := time.Since(began)
	s.worst = max(s.worst, took)
	s.c.t.Logf("%s %6.1f s  all is well %d ms after the repair", time.Now().UTC().Format("15:04:05.000"), time.Since(s.began).Seconds(), took.Milliseconds())
	s.c.judge()
}

// unstandby takes standby back everywhere. That may fail for a moment: a cable that
// was pulled just before the repair can still cost a node its dead time afterwards.
func (s *story) unstandby(ctx context.Context) string {
	nodes := s.c.Nodes()
	for _, node := range nodes {
		if _, err := s.c.Exec(ctx, nodes[0], "takt", "node", "online", node, "--no-wait"); err != nil {
			return err.Error()
		}
	}
	return ""
}

// finish settles for the last time and looks at what was acknowledged.
func (s *story) finish() {
	s.settle()
	s.writer.end()
	s.c.await(settleLimit, "agree", s.writer.agree)
	s.c.judge()
	w := s.writer
	if len(w.acknowledged) == 0 {
		s.c.t.Error("no change was ever acknowledged: nothing was tested")
	}
	s.c.t.Logf("%d of %d changes were acknowledged and none is lost; at most %d ms to settle after a repair; %d crashes",
		len(w.acknowledged), w.tried, s.worst.Milliseconds(), len(s.c.crashes()))
}
