package fuse_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume/front/block/blocktest"
	"github.com/takt-ha/takt/volume/front/fronttest"
	"github.com/takt-ha/takt/volume/front/fuse"
)

func TestDevice(t *testing.T) { blocktest.Run(t, fuse.Front{}) }

// What is written is in the device behind, and what is in the device is read.
func TestBytes(t *testing.T) {
	v := blocktest.Volume(t, fuse.Front{})
	dev, err := fronttest.Open(filepath.Join(t.TempDir(), "disk"), 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	a := blocktest.Attach(t, fuse.Front{}, v, dev)
	f, err := os.OpenFile(a.Path(), os.O_RDWR|unix.O_DIRECT, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want := make([]byte, 8<<20)
	rand.Read(want)
	mem, err := unix.Mmap(-1, 0, len(want), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE) // O_DIRECT wants whole pages
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(mem)
	copy(mem, want)
	if _, err := f.WriteAt(mem, 1<<20); err != nil {
		t.Fatal(err)
	}
	all, err := dev.Content()
	if err != nil || !bytes.Equal(all[1<<20:][:len(want)], want) {
		t.Fatal("the device behind does not have what was written", err)
	}
	clear(mem)
	if _, err := f.ReadAt(mem, 1<<20); err != nil || !bytes.Equal(mem, want) {
		t.Fatal("what is read is not what was written", err)
	}
}
