package guest

import (
	"bytes"
	"fmt"
)

// archive is an initramfs in the making: cpio's format "newc" (Documentation/driver-api/early-userspace/buffer-format.rst
// of Linux).
type archive struct {
	b bytes.Buffer
	n int
}

// add adds a file or folder with its mode, kind of file included.
func (a *archive) add(name string, mode uint32, data []byte) {
	a.n++
	fmt.Fprintf(&a.b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\x00",
		a.n, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name)+1, 0, name)
	a.pad()
	a.b.Write(data)
	a.pad()
}

func (a *archive) pad() {
	for a.b.Len()%4 != 0 {
		a.b.WriteByte(0)
	}
}

// end returns the whole archive.
func (a *archive) end() []byte {
	a.add("TRAILER!!!", 0, nil)
	return a.b.Bytes()
}
