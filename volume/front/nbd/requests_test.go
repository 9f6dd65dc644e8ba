package nbd

import (
	"bytes"
	"fmt"
	"math/rand"
	"syscall"
	"testing"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/fronttest"
)

// noise returns n bytes that are not zero.
func noise(seed int64, n int) []byte {
	b := make([]byte, n)
	rand.New(rand.NewSource(seed)).Read(b)
	for i := range b {
		b[i] |= 1
	}
	return b
}

func TestEachCommand(t *testing.T) {
	for _, structured := range []bool{false, true} {
		t.Run(fmt.Sprintf("structured=%v", structured), func(t *testing.T) {
			_, path := start(t, file(t, 8<<20), Config{})
			c := connect(t, path, structured)
			text := noise(1, 10000)
			ok := func(r request, payload []byte) []byte {
				t.Helper()
				r.cookie = 0x1234567890abcdef
				code, words, data := c.do(r, payload)
				if code != 0 {
					t.Fatalf("%+v: error %d %s", r, code, words)
				}
				return data
			}
			ok(request{cmd: cmdWrite, offset: 5001, length: 10000}, text)
			if got := ok(request{cmd: cmdRead, offset: 5001, length: 10000}, nil); !bytes.Equal(got, text) {
				t.Fatal("what was read is not what was written")
			}
			ok(request{cmd: cmdWrite, flags: cmdFlagFUA, offset: 1 << 20, length: 4096}, text[:4096])
			ok(request{cmd: cmdFlush}, nil)
			ok(request{cmd: cmdFlush, flags: cmdFlagFUA}, nil)
			ok(request{cmd: cmdCache, flags: cmdFlagFUA, offset: 0, length: 1 << 20}, nil)
			ok(request{cmd: cmdTrim, flags: cmdFlagFUA, offset: 4096, length: 4096}, nil)
			ok(request{cmd: cmdWriteZeroes, flags: cmdFlagFUA, offset: 8192, length: 4096}, nil)
			ok(request{cmd: cmdWriteZeroes, flags: cmdFlagNoHole, offset: 12288, length: 4096}, nil)
			ok(request{cmd: cmdWriteZeroes, flags: cmdFlagFastZero, offset: 1 << 20, length: 1 << 20}, nil)
			if got := ok(request{cmd: cmdRead, flags: cmdFlagFUA, offset: 4096, length: 12288}, nil); !bytes.Equal(got, make([]byte, 12288)) {
				t.Fatal("zeroes do not read as zeroes")
			}
			ok(request{cmd: cmdWrite, offset: 8<<20 - 1, length: 1}, []byte{9})
			for _, cmd := range []uint16{cmdRead, cmdWrite, cmdTrim, cmdWriteZeroes, cmdCache} {
				ok(request{cmd: cmd, offset: 8 << 20}, nil)
			}
		})
	}
}

// TestRefusals: each is answered with the protocol's error, and the connection goes on.
func TestRefusals(t *testing.T) {
	const size = 8 << 20
	cases := []struct {
		r      request
		want   uint32
		simple bool // only of a client without structured replies
	}{
		{r: request{cmd: 8}, want: errInval},
		{r: request{cmd: 0xffff, length: 7}, want: errInval},
		{r: request{cmd: cmdRead, flags: cmdFlagNoHole, length: 1}, want: errInval},
		{r: request{cmd: cmdRead, flags: cmdFlagDF, length: 1}, want: errInval, simple: true},
		{r: request{cmd: cmdWrite, flags: 1 << 5, length: 3}, want: errInval},
		{r: request{cmd: cmdTrim, flags: cmdFlagFastZero, length: 1}, want: errInval},
		{r: request{cmd: cmdFlush, length: 1}, want: errInval},
		{r: request{cmd: cmdFlush, offset: 1}, want: errInval},
		{r: request{cmd: cmdRead, offset: size, length: 1}, want: errInval},
		{r: request{cmd: cmdRead, offset: 1<<64 - 4096, length: 4096}, want: errInval},
		{r: request{cmd: cmdRead, length: MaxRequest + 1}, want: errInval},
		{r: request{cmd: cmdWrite, offset: size - 1, length: 2}, want: errNoSpace},
		{r: request{cmd: cmdWrite, offset: size - 1, length: 1 << 20}, want: errNoSpace},
		{r: request{cmd: cmdWrite, length: MaxRequest + 1}, want: errInval},
		{r: request{cmd: cmdWriteZeroes, offset: 1 << 63, length: 2}, want: errNoSpace},
		{r: request{cmd: cmdWriteZeroes, flags: cmdFlagFastZero | cmdFlagNoHole, length: 4096}, want: errNotSup},
		{r: request{cmd: cmdTrim, offset: size - 1, length: 2}, want: errInval},
		{r: request{cmd: cmdCache, offset: size - 1, length: 2}, want: errInval},
		{r: request{cmd: cmdBlockStatus, length: 4096}, want: errInval, simple: true},
		{r: request{cmd: cmdBlockStatus, length: 0}, want: errInval},
		{r: request{cmd: cmdBlockStatus, offset: size, length: 1}, want: errInval},
	}
	_, path := start(t, file(t, size), Config{})
	for _, structured := range []bool{false, true} {
		c := connect(t, path, structured)
		for _, k := range cases {
			if k.simple && structured {
				continue
			}
			code, words, _ := c.do(k.r, make([]byte, k.r.payload()))
			if code != k.want || structured && words == "" {
				t.Errorf("structured %v: %+v: error %d %q, want %d", structured, k.r, code, words, k.want)
			}
		}
		if code, _, _ := c.do(request{cmd: cmdFlush}, nil); code != 0 {
			t.Errorf("the connection does not go on: %d", code)
		}
	}
}

// TestDeviceErrors: the errno of the device becomes the protocol's number; what has none is EIO.
func TestDeviceErrors(t *testing.T) {
	held := fronttest.Hold(file(t, 8<<20))
	_, path := start(t, held, Config{})
	want := map[syscall.Errno]uint32{syscall.EPERM: errPerm, syscall.EROFS: errPerm, syscall.EIO: errIO, syscall.ENOSPC: errNoSpace, syscall.EDQUOT: errNoSpace,
		syscall.EFBIG: errNoSpace, syscall.EINVAL: errInval, syscall.ESHUTDOWN: errShutdown, syscall.EOPNOTSUPP: errNotSup, syscall.EUCLEAN: errIO}
	for _, structured := range []bool{false, true} {
		c := connect(t, path, structured)
		for errno, code := range want {
			for _, r := range []request{{cmd: cmdWrite, length: 5}, {cmd: cmdRead, length: 5}, {cmd: cmdFlush}} {
				c.request(r, make([]byte, r.payload()))
				held.Await(1)
				held.Release(0, fmt.Errorf("disk: %w", errno))
				if a := c.reply(0); a.code != code || !a.done {
					t.Errorf("%v of %+v: %+v, want %d", errno, r, a, code)
				}
			}
		}
	}
}

// TestLongReads: in pieces, whole for a client that asks for it, whole for one that knows nothing else.
func TestLongReads(t *testing.T) {
	const n = 5*pieceSize/2 + 333
	d := file(t, 8<<20)
	_, path := start(t, d, Config{})
	text := noise(2, n)
	plain, chunks := connect(t, path, false), connect(t, path, true)
	if code, words, _ := chunks.do(request{cmd: cmdWrite, offset: 77, length: n}, text); code != 0 {
		t.Fatal(code, words)
	}
	chunks.request(request{cmd: cmdRead, flags: cmdFlagDF, offset: 77, length: n}, nil)
	if a := chunks.reply(0); !a.done || a.offset != 77 || !bytes.Equal(a.data, text) {
		t.Fatalf("with DF: %d bytes at %d, done %v", len(a.data), a.offset, a.done)
	}
	if _, _, got := plain.do(request{cmd: cmdRead, offset: 77, length: n}, nil); !bytes.Equal(got, text) {
		t.Fatal("simple: other bytes")
	}
	if _, _, got := chunks.do(request{cmd: cmdRead, offset: 77, length: n}, nil); !bytes.Equal(got, text) {
		t.Fatal("chunks: other bytes")
	}
	chunks.request(request{cmd: cmdRead, offset: 4 << 20, length: 3 * pieceSize}, nil)
	for i := range 3 {
		if a := chunks.reply(0); a.hole != pieceSize || a.offset != 4<<20+int64(i)*pieceSize || a.done != (i == 2) {
			t.Fatalf("piece %d of a hole: %+v", i, a)
		}
	}
}

// TestLongReadFails in its middle: with the error last, or alone where the data goes whole.
func TestLongReadFails(t *testing.T) {
	held := fronttest.Hold(file(t, 8<<20))
	_, path := start(t, held, Config{})
	for _, flags := range []uint16{0, cmdFlagDF} {
		c := connect(t, path, true)
		c.request(request{cmd: cmdRead, flags: flags, length: 3 * pieceSize, cookie: 5}, nil)
		held.Await(3)
		held.Release(1, syscall.EIO)
		held.Release(0, nil)
		held.Release(0, nil)
		var a reply
		for n := 0; !a.done; n++ {
			if a = c.reply(0); a.code != 0 && !a.done || flags != 0 && n > 0 {
				t.Fatalf("flags %d: %+v", flags, a)
			}
		}
		if a.code != errIO {
			t.Fatalf("flags %d: the last chunk is %+v", flags, a)
		}
	}
	c := connect(t, path, false)
	c.request(request{cmd: cmdRead, length: 2 * pieceSize}, nil)
	held.Await(2)
	held.Release(0, nil)
	held.Release(0, syscall.EIO)
	if a := c.reply(2 * pieceSize); a.code != errIO {
		t.Fatalf("simple: %+v", a)
	}
}

func TestBlockStatus(t *testing.T) {
	_, path := start(t, file(t, 8<<20), Config{})
	c := connect(t, path, true)
	c.do(request{cmd: cmdWrite, offset: 1 << 20, length: 1 << 20}, noise(3, 1<<20))
	status := func(r request) []descriptor {
		c.request(r, nil)
		return c.reply(0).status
	}
	const hole = stateHole | stateZero
	got := status(request{cmd: cmdBlockStatus, offset: 4096, length: 8<<20 - 4096})
	if fmt.Sprint(got) != fmt.Sprint([]descriptor{{1<<20 - 4096, hole}, {1 << 20, 0}, {6 << 20, hole}}) {
		t.Errorf("got %v", got)
	}
	if got = status(request{cmd: cmdBlockStatus, flags: cmdFlagReqOne, offset: 1 << 20, length: 8192}); fmt.Sprint(got) != fmt.Sprint([]descriptor{{8192, 0}}) {
		t.Errorf("one: got %v", got)
	}
}

func TestDescriptorsStayWithinTheRequest(t *testing.T) {
	e := func(n int64, hole bool) front.Extent { return front.Extent{Length: n, Hole: hole, Zero: hole} }
	for _, k := range []struct {
		in   []front.Extent
		want string
	}{
		{nil, "[{100 0}]"},
		{[]front.Extent{e(30, false), e(30, false), e(1<<40, true)}, "[{60 0} {40 3}]"},
		{[]front.Extent{e(0, true), e(20, true)}, "[{100 0}]"},
	} {
		if got := fmt.Sprint(describe(k.in, 100)); got != k.want {
			t.Errorf("%v: %s, want %s", k.in, got, k.want)
		}
	}
}
