package nbd

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tool runs a program of a real client's and returns what it says; the test is skipped where it is not installed.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.TempDir()                                              // fio leaves its state where it is
	cmd.Env = append(os.Environ(), "PATH=/usr/bin:"+os.Getenv("PATH")) // nbdsh wants the system's Python
	out, err := cmd.CombinedOutput()
	if err != nil && bytes.Contains(out, []byte("No module named nbd")) {
		t.Skip("libnbd's Python module is not installed")
	}
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func uri(path string) string { return "nbd+unix:///r0?socket=" + path }

// sparse writes a file with data, holes and an odd end.
func sparse(t *testing.T, n int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "source")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for at := int64(0); at < n; at += n / 5 {
		if _, err := f.WriteAt(noise(at, 333333), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(n); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNbdinfo(t *testing.T) {
	d := file(t, 64<<20)
	_, path := start(t, d, Config{Description: "a volume"})
	out := tool(t, "nbdinfo", uri(path))
	for _, want := range []string{"export-size: 67108864", "base:allocation", "is_read_only: false", "can_cache: true", "can_df: true", "can_fast_zero: true", "can_flush: true", "can_fua: true",
		"can_multi_conn: true", "can_trim: true", "can_zero: true", "block_size_preferred: 4096", "block_size_maximum: 33554432"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out = tool(t, "nbdinfo", "--list", "nbd+unix:///?socket="+path); !strings.Contains(out, `export="r0"`) || !strings.Contains(out, "a volume") {
		t.Errorf("list:\n%s", out)
	}
	d.SetReadOnly(true)
	tool(t, "nbdinfo", "--is", "read-only", uri(path))
}

func TestNbdcopy(t *testing.T) {
	const n = 48 << 20
	source, back := sparse(t, n), filepath.Join(t.TempDir(), "back")
	d := file(t, n)
	_, path := start(t, d, Config{})
	for _, mode := range [][]string{{"--flush"}, {"--synchronous"}, {"--connections=4", "--requests=64", "--request-size=33554432"}} {
		tool(t, "nbdcopy", append(mode, source, uri(path))...)
		tool(t, "nbdcopy", append(mode, uri(path), back)...)
		want, _ := os.ReadFile(source)
		got, err := os.ReadFile(back)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%v: what came back differs (%v)", mode, err)
		}
	}
}

// TestNbdsh asks for what other clients do not: flags, errors, extents, several connections.
func TestNbdsh(t *testing.T) {
	_, path := start(t, file(t, 8<<20), Config{})
	out := tool(t, "nbdsh", "--base-allocation", "-u", uri(path), "-c", `
import errno
def want(e, f, *a, **k):
    try:
        f(*a, **k)
    except nbd.Error as x:
        assert x.errnum == e, (x.errnum, e)
        return
    assert False, "no error"
h.set_strict_mode(0)
h.pwrite(b"abc" * 1000, 5)
assert h.pread(3000, 5) == b"abc" * 1000
h.pwrite(b"x" * 4096, 1 << 20, nbd.CMD_FLAG_FUA)
h.zero(1 << 20, 1 << 20, nbd.CMD_FLAG_FUA | nbd.CMD_FLAG_FAST_ZERO)
want(errno.ENOTSUP, h.zero, 4096, 0, nbd.CMD_FLAG_NO_HOLE | nbd.CMD_FLAG_FAST_ZERO)
h.zero(8192, 2 << 20, nbd.CMD_FLAG_NO_HOLE)
h.trim(4096, 0, nbd.CMD_FLAG_FUA)
assert h.pread(4096, 0) == bytes(4096)
h.cache(1 << 20, 0)
h.flush()
want(errno.EINVAL, h.pread, 2, (8 << 20) - 1)
want(errno.ENOSPC, h.pwrite, b"ab", (8 << 20) - 1)
want(errno.EINVAL, h.trim, 2, (8 << 20) - 1)
want(errno.EINVAL, h.flush, 1 << 5)
seen = []
h.pread_structured(3 << 20, 1 << 20, lambda data, at, what, err: seen.append((at, len(data), what)) or 0)
assert sorted(seen)[0][0] == 1 << 20 and sum(s[1] for s in seen) == 3 << 20, seen
one = []
h.pread_structured(3 << 20, 1 << 20, lambda data, at, what, err: one.append(len(data)) or 0, nbd.CMD_FLAG_DF)
assert one == [3 << 20], one
got = []
h.block_status(8 << 20, 0, lambda ctx, at, e, err: got.extend(e) or 0)
assert sum(got[::2]) == 8 << 20 and 3 in got[1::2] and 0 in got[1::2], got
got = []
h.block_status(8 << 20, 0, lambda ctx, at, e, err: got.extend(e) or 0, nbd.CMD_FLAG_REQ_ONE)
assert len(got) == 2, got
g = nbd.NBD()
g.set_request_structured_replies(False)
g.connect_uri("`+uri(path)+`")
h.pwrite(b"seen by all", 77)
assert g.pread(11, 77) == b"seen by all"
buf = nbd.Buffer(1 << 20)
cookies = [g.aio_pread(buf, 0)] + [h.aio_pwrite(nbd.Buffer.from_bytearray(bytes([i]) * 70000), i * 70000) for i in range(60)]
while h.aio_in_flight() or g.aio_in_flight():
    h.poll(1) if h.aio_in_flight() else g.poll(1)
for i in range(60):
    assert g.pread(70000, i * 70000) == bytes([i]) * 70000
g.shutdown()
print("all well")
`)
	if !strings.Contains(out, "all well") {
		t.Error(out)
	}
}

func TestQemuImg(t *testing.T) {
	const n = 48 << 20
	source := sparse(t, n)
	_, path := start(t, file(t, n), Config{})
	tool(t, "qemu-img", "convert", "-n", "-W", "-f", "raw", "-O", "raw", source, uri(path))
	if out := tool(t, "qemu-img", "compare", "-f", "raw", "-F", "raw", source, uri(path)); !strings.Contains(out, "identical") {
		t.Error(out)
	}
	if out := tool(t, "qemu-img", "map", "--output=json", "-f", "raw", uri(path)); !strings.Contains(out, `"zero": true, "data": false`) || !strings.Contains(out, `"zero": false, "data": true`) {
		t.Errorf("no holes, or nothing else:\n%s", out)
	}
	if out := tool(t, "qemu-img", "bench", "-w", "-c", "2000", "-d", "32", "-s", "65536", "--flush-interval=100", "-f", "raw", uri(path)); !strings.Contains(out, "Run completed") {
		t.Error(out)
	}
}

// TestQemuNbd puts QEMU between a client and the volume, as a disk of a virtual machine does.
func TestQemuNbd(t *testing.T) {
	const n = 16 << 20
	source := sparse(t, n)
	d := file(t, n)
	_, path := start(t, d, Config{})
	outer := filepath.Join(t.TempDir(), "outer")
	ready := filepath.Join(t.TempDir(), "pid")
	tool(t, "qemu-nbd", "--fork", "--pid-file="+ready, "--socket="+outer, "--export-name=r0", "--format=raw", "--cache=writeback", "--discard=unmap", "--detect-zeroes=unmap", uri(path))
	tool(t, "qemu-img", "convert", "-n", "-f", "raw", "-O", "raw", source, uri(outer)) // without --persistent it ends with its client
	want, _ := os.ReadFile(source)
	d.AwaitUsers(0)
	if got, err := d.Content(); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("the content differs (%v)", err)
	}
}

// TestFio writes at random from several connections and verifies what it reads.
func TestFio(t *testing.T) {
	_, path := start(t, file(t, 64<<20), Config{})
	if out, err := exec.Command("fio", "--enghelp").CombinedOutput(); err == nil && !strings.Contains(string(out), "nbd") {
		t.Skip("fio has no nbd engine")
	}
	for _, load := range []string{"--rw=randwrite --bs=4k --iodepth=64", "--rw=randrw --bsrange=512-300k --blockalign=512 --iodepth=16 --fsync=50", "--rw=randtrimwrite --bs=8k --iodepth=8", "--rw=write --bs=1m --iodepth=4"} {
		args := []string{"--ioengine=nbd", "--uri=" + uri(path), "--verify=crc32c", "--verify_fatal=1", "--size=16m", "--group_reporting", "--thread=0"}
		if strings.Contains(load, "trim") {
			args[2] = "--verify=0"
		}
		for i := range 3 {
			args = append(args, fmt.Sprintf("--name=job%d", i), fmt.Sprintf("--offset=%dm", 16*i))
			args = append(args, strings.Fields(load)...)
		}
		if out := tool(t, "fio", args...); strings.Count(out, "err= 0") == 0 {
			t.Errorf("%s:\n%s", load, out)
		}
	}
}
