package osfs

import "testing"

func TestRamDiskByName(t *testing.T) {
	for path, want := range map[string]bool{
		"../../devices/virtual/block/ram3":                                      true,
		"../../devices/virtual/block/zram0":                                     true,
		"../../devices/LNXSYSTM:00/ndbus0/region0/namespace0.0/block/pmem0":     true,
		"../../devices/LNXSYSTM:00/ndbus0/region0/n0.0/block/pmem0/pmem0p1":     true,
		"../../devices/pci0000:00/0000:00:03.0/virtio0/block/vda/vda1":          false,
		"../../devices/virtual/block/loop0":                                     false,
		"../../devices/pci0000:00/0000:00:04.0/nvme/nvme0/nvme0n1/nvme0n1p1":    false,
		"../../devices/platform/ram/0000:00:03.0/virtio0/block/vdb/queue-ram/x": false,
	} {
		if ramDiskName.MatchString(path) != want {
			t.Errorf("%s: want %v", path, want)
		}
	}
}
