package disk_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/takt-ha/takt/internal/osfs"
	"github.com/takt-ha/takt/volume"
	"github.com/takt-ha/takt/volume/disk"
)

// What one version writes, the next ones read: these bytes change only together with a version, and with the
// code that reads the old ones. See docs/formats/volume.md.
func TestFormatIsFixed(t *testing.T) {
	mem := osfs.NewMem()
	o := options("/data")
	o.Size, o.Meta = 8<<20, "/meta"
	s := super()
	s.Disk, s.Written, s.MembersVersion, s.Members = volume.UpToDate, 5, 6, 7
	s.Gen.Current, s.Gen.Bitmap[2], s.Gen.History[0] = 0x1111, 0x2222, 0x3333
	check(t, disk.Create(mem, o, s))
	d := must(disk.Open(mem, o))(t)
	check(t, d.Begin(4<<20, 4096))
	d.Bitmap(2).Set(1<<20, 8192)
	check(t, d.SaveBitmaps())
	parts := map[string][2]int64{
		"superblocks":  {0, 8192},
		"activity log": {d.Super().Layout.Actlog, 1 << 20},
		"bitmap":       {d.Super().Layout.PageAt(1, 2, 0), 4096},
	}
	for name, want := range map[string]string{
		"superblocks":  "eaee35eff46bc38b",
		"activity log": "836de503c100b806",
		"bitmap":       "3ba7eb4ad8ffaeba",
	} {
		b := make([]byte, parts[name][1])
		get(t, mem, "/meta", b, parts[name][0])
		sum := sha256.Sum256(b)
		if got := hex.EncodeToString(sum[:8]); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
