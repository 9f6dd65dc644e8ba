package drbd

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/takt-ha/takt/volume"
)

// rule says what an option means: apply takes it over; without apply it is ignored.
type rule struct {
	apply func(*draft, *Statement) error
	level Level
	words string
}

func harmless(words string) rule { return rule{nil, Harmless, words} }
func ignored(words string) rule  { return rule{nil, Ignored, words} }

func takes(words string, apply func(*draft, *Statement) error) rule {
	return rule{apply, Understood, words}
}

// one gives a rule its only argument.
func one(words string, apply func(*draft, string) error) rule {
	return takes(words, func(d *draft, s *Statement) error {
		if len(s.Args) != 1 {
			return errors.New("want one value")
		}
		return apply(d, s.Args[0])
	})
}

// choice is an option with a fixed set of values.
func choice(words string, to func(*volume.Config) *string, values ...string) rule {
	return one(words, func(d *draft, v string) error {
		if !slices.Contains(values, v) {
			return fmt.Errorf("%q: want one of %s", v, strings.Join(values, ", "))
		}
		*to(&d.cfg) = v
		return nil
	})
}

func text(words string, to func(*volume.Config) *string) rule {
	return one(words, func(d *draft, v string) error {
		*to(&d.cfg) = v
		return nil
	})
}

// sizes is a number of bytes; bare is what a number without a unit counts.
func sizes(words string, bare int64, to func(*volume.Config) *int64) rule {
	return one(words, func(d *draft, v string) error {
		n, err := number(v, bare)
		*to(&d.cfg) = n
		return err
	})
}

func times(words string, bare time.Duration, to func(*volume.Config) *time.Duration) rule {
	return one(words, func(d *draft, v string) error {
		n, err := span(v, bare)
		if err == nil && n == 0 {
			err = fmt.Errorf("%q: 0 would mean no limit, which is not possible here", v)
		}
		*to(&d.cfg) = n
		return err
	})
}

// flags is yes or no; alone it is yes.
func flags(words string, set func(*draft, bool)) rule {
	return takes(words, func(d *draft, s *Statement) error {
		v, err := yes(s.Arg(0))
		if err == nil {
			set(d, v)
		}
		return err
	})
}

const (
	sector = 512
	tenth  = 100 * time.Millisecond
)

func protocol(words string) rule {
	return one(words, func(d *draft, v string) error {
		var p volume.Protocol
		if err := p.UnmarshalText([]byte(strings.ToUpper(v))); err != nil {
			return err
		}
		for _, l := range []*volume.Config{&d.cfg} {
			l.Nodes = []volume.Node{{Protocol: p}} // finish gives it to all nodes
		}
		return nil
	})
}

func quorum() rule {
	return one("quorum", func(d *draft, v string) error {
		q := &d.cfg.Quorum
		switch v {
		case "off":
			q.Need = 0
		case "majority":
			q.Need = volume.Majority
		case "all":
			q.Need = volume.All
		default:
			if _, err := fmt.Sscanf(v, "%d", &q.Need); err != nil || q.Need < 1 || q.Need > volume.MaxPeers+1 {
				return fmt.Errorf("%q: want off, majority, all or a number from 1 to %d", v, volume.MaxPeers+1)
			}
		}
		return nil
	})
}

// rate is the old syncer's: a fixed rate, unless a plan is asked for.
func rate() rule {
	return one("sync.resync-rate, fixed as it was then", func(d *draft, v string) error {
		n, err := number(v, 1<<10)
		d.cfg.Sync.Rate, d.rate = n, true
		return err
	})
}

// minRate: 0 is the one value that is no rate.
func minRate() rule {
	return one("sync.c-min-rate", func(d *draft, v string) error {
		n, err := number(v, 1<<10)
		if d.cfg.Sync.MinRate = n; n == 0 {
			d.cfg.Sync.MinRate = volume.Unyielding
		}
		return err
	})
}

func koCount() rule {
	return one("net.ko-count", func(d *draft, v string) error {
		n, err := number(v, 1)
		if err == nil && n > 200 {
			return fmt.Errorf("ko-count %d: want 0 to 200", n)
		}
		if d.cfg.Net.KoCount = int(n); n == 0 {
			d.cfg.Net.KoCount = volume.Patient
		}
		return err
	})
}

func plan() rule {
	return one("sync.c-plan-ahead", func(d *draft, v string) error {
		n, err := span(v, tenth)
		d.cfg.Sync.PlanAhead, d.cfg.Sync.NoPlan, d.plan = n, n == 0, true
		return err
	})
}

func after() rule {
	return one("sync.resync-after", func(d *draft, v string) error {
		d.cfg.Sync.After = v
		if v == "-1" {
			d.cfg.Sync.After = ""
		}
		return nil
	})
}

func extents() rule {
	return one("disk.al-extents", func(d *draft, v string) error {
		n, err := number(v, 1)
		if err == nil && (n < 7 || n > 65534) {
			return fmt.Errorf("al-extents %d: want 7 to 65534", n)
		}
		d.cfg.Disk.Extents = int(n)
		return err
	})
}
