package fuse_test

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/block"
	"github.com/takt-ha/takt/volume/front/block/blocktest"
	"github.com/takt-ha/takt/volume/front/fronttest"
	"github.com/takt-ha/takt/volume/front/fuse"
)

// folderVariable makes this program the process of a frozen volume, with its things below that folder.
const folderVariable = "TAKT_TEST_FROZEN"

func TestMain(m *testing.M) {
	dir := os.Getenv(folderVariable)
	if dir == "" {
		os.Exit(m.Run())
	}
	fmt.Println(beFrozen(dir))
	select {}
}

func volumeIn(dir string) block.Volume {
	return block.Volume{Name: "test", Run: dir, Log: slog.New(slog.DiscardHandler)}
}

// flushless is a device that never ends a flush.
type flushless struct{ front.Device }

func (d flushless) Submit(batch []*front.Request) {
	for _, r := range batch {
		if r.Op != front.Flush {
			d.Device.Submit([]*front.Request{r})
			r.Sink.Flush()
		}
	}
}

// beFrozen returns what WriteBack says about a device that waits.
func beFrozen(dir string) error {
	dev, err := fronttest.Open(filepath.Join(dir, "disk"), 16<<20)
	if err != nil {
		return err
	}
	a, err := fuse.Front{}.Attach(volumeIn(dir), flushless{dev})
	if err != nil {
		return err
	}
	return block.WriteBack(a.Path(), 100*time.Millisecond)
}

// A process whose own thread waits for its device, as after a WriteBack that gave up, can be killed, and Clean takes
// away what it has left.
func TestKillFrozen(t *testing.T) {
	v := blocktest.Volume(t, fuse.Front{})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), folderVariable+"="+v.Run)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(out).ReadString('\n')
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Fatal("a killed process does not end: it waits for its own device")
	}
	if device := leftOf(v); device == "" {
		t.Fatalf("the killed process had no device: %s", line)
	}
	if err := (fuse.Front{}).Clean(volumeIn(v.Run)); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); leftOf(v) != ""; <-time.After(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s is still there", leftOf(v))
		}
	}
}

// leftOf is the loop device that has the file of the volume.
func leftOf(v block.Volume) string {
	all, _ := filepath.Glob("/sys/block/loop*/loop/backing_file")
	for _, path := range all {
		if file, err := os.ReadFile(path); err == nil && string(file) == "/"+v.Tag()+"\n" {
			return path
		}
	}
	return ""
}
