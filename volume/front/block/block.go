// Package block is what the real block devices of a volume have in common: how one is
// chosen, its link by the volume's name, and who uses it.
//
// A front end (ublk, fuse + loop, the kernel's nbd) is a Front. The process of the
// volume attaches one when the volume becomes primary and detaches it before it
// becomes secondary:
//
//	primary ──▶ Choose ──▶ Clean ──▶ Attach ──▶ Link(/dev/takt/by-name/NAME)
//	secondary ─▶ Users? busy: refuse ─▶ Detach ─▶ Unlink
package block

import (
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/takt-ha/takt/volume/front"
)

// Volume is what a front end is told about the volume that it shows.
type Volume struct {
	Name   string       // of the volume
	Run    string       // folder of the volume's sockets; with Name it tells volumes of one name apart
	Socket string       // of the volume's NBD server
	Log    *slog.Logger // not nil
}

// Tag identifies the volume within the machine, in at most 40 bytes: what a killed process left is found by it.
func (v Volume) Tag() string {
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(v.Run + "/" + v.Name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return fmt.Sprintf("takt:%.18s:%016x", v.Name, h)
}

// Front makes block devices.
type Front interface {
	// Name is how the configuration calls it: "ublk", "fuse", "kernel-nbd".
	Name() string
	// Usable says, in words, why this machine cannot do it; nil: it can.
	Usable() error
	// Clean removes what a killed process left of the volume. It is called while the
	// volume has no device, by the only process of the volume.
	Clean(v Volume) error
	// Attach makes a block device that shows dev.
	Attach(v Volume, dev front.Device) (Attached, error)
}

// Attached is a block device at work.
type Attached interface {
	// Path is the device's file, as in /dev/loop3.
	Path() string
	// Grow lets the device follow front.Device.Size.
	Grow() error
	// Detach removes the device. Whoever still has it open gets errors from then on, so ask
	// Users before. It is bounded in time, and may be called again.
	Detach() error
}

// Choose picks a front end: the first usable one if want is "auto", the one that
// is wanted, or none (nil) for "nbd". why says, in words, how it came to this.
func Choose(want string, fronts []Front) (chosen []Front, why string) {
	if want == "nbd" {
		return nil, "the volume's file says front = \"nbd\": the socket alone"
	}
	if os.Geteuid() != 0 {
		return nil, "only root can make block devices, so there is the NBD socket alone"
	}
	var not []string
	for _, f := range fronts {
		if want != "auto" && f.Name() != want {
			continue
		}
		if err := f.Usable(); err != nil {
			not = append(not, err.Error())
			continue
		}
		chosen = append(chosen, f)
	}
	why = strings.Join(not, "; ")
	if want != "auto" {
		why = strings.TrimSuffix(fmt.Sprintf("the volume's file says front = %q; %s", want, why), "; ")
	}
	return chosen, why
}
