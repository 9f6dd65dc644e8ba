// Package block is what the real block devices of a volume have in common: how one is
// chosen, its link by the volume's name, and who uses it.
//
// A front end (ublk, fuse + loop, the kernel's nbd) is a Front. The process of the
// volume attaches one when the volume becomes primary and detaches it before it
// becomes secondary:
//
//	start ──▶ Clean; primary ──▶ Choose ──▶ Attach ──▶ Link(/dev/takt/by-name/NAME)
//	secondary ─▶ Users? busy: refuse ─▶ Detach ─▶ Unlink
package block

import (
	"errors"
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
	// Generation returns that of the data now; Before is what it was before this node became primary. A device of a
	// killed process may go on only if its users know this very data, and Resume is set: no other node was primary since.
	Generation func() string
	Before     string
	Resume     bool
}

// ErrStays says that a device cannot follow the volume's size while it is there.
var ErrStays = errors.New("this kernel cannot grow the device in use; it has the new size when the volume becomes primary again")

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
	// Clean removes what a killed process left of the volume, but for what Attach may resume. It is called while the
	// volume has no device, by the only process of the volume.
	Clean(v Volume) error
	// Attach makes a block device that shows dev.
	Attach(v Volume, dev front.Device) (Attached, error)
}

// Attached is a block device at work.
type Attached interface {
	// Path is the device's file, as in /dev/loop3.
	Path() string
	// Follow lets the device follow front.Device.Size and Volume.Generation.
	Follow() error
	// Detach removes the device. Whoever still has it open gets errors from then on, so ask
	// Users before. It is bounded in time, and may be called again.
	Detach() error
}

// Choose picks the front end that is wanted, or the first usable one if want is "auto", with which try succeeds; nil for
// "nbd" and where there is none. why says, in words, how it came to this.
func Choose(want string, fronts []Front, try func(Front) error) (chosen Front, why string) {
	if want == "nbd" {
		return nil, "the volume's file says front = \"nbd\": the socket alone"
	}
	if os.Geteuid() != 0 {
		return nil, "only root can make block devices, so there is the NBD socket alone"
	}
	var reasons []string
	if want != "auto" {
		reasons = append(reasons, fmt.Sprintf("the volume's file says front = %q", want))
	}
	for _, f := range fronts {
		if want != "auto" && f.Name() != want {
			continue
		}
		err := f.Usable()
		if err == nil {
			if err = try(f); err == nil {
				return f, strings.Join(reasons, "; ")
			}
			err = fmt.Errorf("%s failed: %w", f.Name(), err)
		}
		reasons = append(reasons, err.Error())
	}
	return nil, strings.Join(reasons, "; ")
}
