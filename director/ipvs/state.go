package ipvs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"

	"github.com/takt-ha/takt/director"
	"github.com/takt-ha/takt/internal/netif"
	"github.com/takt-ha/takt/internal/osfs"
)

// state is what a director has in the kernel's IPVS, which has no place for a name. It is a file, written before something is made
// and after it is gone, so that what a killed process left is known to be ours.
type state struct {
	Format   int            `json:"format"` // 1
	Boot     string         `json:"boot"`   // of the kernel, whose tables go with it
	Network  string         `json:"network"`
	Services []stateService `json:"services"`
	Daemons  []syncd        `json:"daemons,omitempty"`
}

type stateService struct {
	Protocol director.Protocol `json:"protocol,omitempty"`
	Addr     netip.AddrPort    `json:"address,omitzero"`
	Mark     uint32            `json:"mark,omitempty"`
	IPv6     bool              `json:"ipv6,omitempty"` // of a mark
}

const stateFormat = 1

// here tells this kernel and network from others.
func here() (boot, network string) {
	boot, _ = osfs.Boot() // without it all are alike
	n, _ := netif.Namespace()
	return boot, fmt.Sprint("namespace ", n)
}

// loadState reads what is ours. What was noted on another boot, or in another network namespace, counts for nothing here.
func loadState(path string) (owned, []syncd, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return owned{}, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	s, err := parseState(b)
	if err != nil {
		return nil, nil, fmt.Errorf("%s, which says what in IPVS is this director's: %w; remove it, and what is left in IPVS (ipvsadm -Ln)", path, err)
	}
	if boot, network := here(); s.Boot != boot || s.Network != network {
		return owned{}, nil, nil
	}
	return s.owned(), s.Daemons, nil
}

func parseState(b []byte) (s state, err error) {
	if err := json.Unmarshal(b, &s); err != nil {
		return s, err
	}
	if s.Format != stateFormat {
		return s, fmt.Errorf("its format is %d, and this program knows %d", s.Format, stateFormat)
	}
	return s, nil
}

func (s *state) owned() owned {
	ours := owned{}
	for _, x := range s.Services {
		ours[idOf(director.ID{Key: director.ServiceKey{Addr: x.Addr, Mark: x.Mark, IPv6: x.IPv6}, Protocol: x.Protocol})] = true
	}
	return ours
}

func saveState(path string, ours owned, daemons []syncd) error {
	if len(ours)+len(daemons) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("forget what in IPVS was ours: %w", err)
		}
		return nil
	}
	s := state{Format: stateFormat, Services: []stateService{}, Daemons: daemons}
	s.Boot, s.Network = here()
	for _, id := range ours.sorted() {
		s.Services = append(s.Services, stateService{id.Protocol, id.Key.Addr, id.Key.Mark, id.Key.IPv6})
	}
	b, err := json.Marshal(&s)
	if err != nil {
		return err
	}
	if err := osfs.WriteFile(osfs.OS{}, "ipvs-state", path, append(b, '\n'), 0o600); err != nil {
		return fmt.Errorf("remember what in IPVS is ours: %w", err)
	}
	return nil
}
