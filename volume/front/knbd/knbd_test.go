package knbd

import (
	"context"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/takt-ha/takt/volume/front"
	"github.com/takt-ha/takt/volume/front/block"
	"github.com/takt-ha/takt/volume/front/block/blocktest"
	"github.com/takt-ha/takt/volume/front/nbd"
)

// served is the front end with a server of the device, as the volume's process has one.
type served struct{ Front }

func (s served) Attach(v block.Volume, dev front.Device) (block.Attached, error) {
	srv := nbd.New(dev, nbd.Config{Name: v.Name})
	ln, err := nbd.Listen(v.Socket)
	if err != nil {
		return nil, err
	}
	go srv.Serve(ln)
	a, err := s.Front.Attach(v, dev)
	if err != nil {
		return nil, err
	}
	return &withServer{a, srv}, nil
}

type withServer struct {
	block.Attached
	srv *nbd.Server
}

func (w *withServer) Detach() error {
	err := w.Attached.Detach()
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	w.srv.Close(ctx)
	return err
}

func TestDevice(t *testing.T) { blocktest.Run(t, served{}) }

func TestMessages(t *testing.T) {
	m := message(0x1c, cmdReconfigure, 7, attrs{}.u32(attrIndex, 3).text(attrBackend, "takt:r0").socket(9))
	want := []byte{
		56, 0, 0, 0, 0x1c, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, // netlink: length, family, REQUEST|ACK, sequence, port
		3, 1, 0, 0, // RECONFIGURE, version 1
		8, 0, 1, 0, 3, 0, 0, 0, // INDEX
		12, 0, 10, 0, 't', 'a', 'k', 't', ':', 'r', '0', 0, // BACKEND_IDENTIFIER
		16, 0, 7, 0x80, 12, 0, 1, 0x80, 8, 0, 1, 0, 9, 0, 0, 0, // SOCKETS{ITEM{FD}}
	}
	if order.Uint16([]byte{1, 0}) != 1 {
		t.Skip("the bytes below are those of a little-endian machine")
	}
	if string(m) != string(want) {
		t.Errorf("got  %v\nwant %v", m, want)
	}
	if v, ok := attribute(m[20:], attrBackend); !ok || string(v) != "takt:r0\x00" {
		t.Errorf("backend %q", v)
	}
}

func TestAnswers(t *testing.T) {
	answer := message(0x1c, cmdConnect, 7, attrs{}.u32(attrIndex, 12))
	ack := func(code int32, seq uint32) []byte {
		b := order.AppendUint32(nil, 20)
		b = order.AppendUint16(b, unix.NLMSG_ERROR)
		b = order.AppendUint16(b, 0)
		b = order.AppendUint32(b, seq)
		b = order.AppendUint32(b, 0)
		return order.AppendUint32(b, uint32(code))
	}
	got, acked, err := parse(append(append(ack(-22, 6), answer...), ack(0, 7)...), 7)
	if v, ok := attribute(got, attrIndex); err != nil || !acked || !ok || order.Uint32(v) != 12 {
		t.Error(got, acked, err)
	}
	if _, _, err := parse(ack(-int32(unix.EBUSY), 7), 7); err != unix.EBUSY {
		t.Error(err)
	}
	if _, _, err := parse(answer[:len(answer)-2], 7); err == nil {
		t.Error("a message that is cut off was taken")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(message(1, 2, 3, attrs{}.u64(attrSize, 1).socket(5)))
	f.Fuzz(func(t *testing.T, b []byte) {
		answer, _, _ := parse(b, 3)
		attribute(answer, attrSockets)
	})
}

// A new process goes on with the device of a killed one if the data is still what its users know.
func TestResume(t *testing.T) {
	v := blocktest.Volume(t, Front{})
	dev := blocktest.File(t, 16<<20)
	first, err := served{}.Attach(v, dev)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(first.Path(), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	kill(t, first)
	over := make(chan error, 1)
	go func() {
		_, err := f.WriteAt([]byte("hello"), 4096)
		if err == nil {
			err = f.Sync()
		}
		over <- err
	}()
	v.Resume, v.Before = true, v.Generation()
	second, err := served{}.Attach(v, dev)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := second.Detach(); err != nil {
			t.Error(err)
		}
	}()
	if second.Path() != first.Path() {
		t.Errorf("a second device %s beside %s", second.Path(), first.Path())
	}
	if err := <-over; err != nil {
		t.Error(err)
	}
	all, err := dev.Content()
	if err != nil || string(all[4096:4101]) != "hello" {
		t.Error("what was written meanwhile is not there", err)
	}
	kill(t, second)
	v.Before = "2"
	third, err := served{}.Attach(v, dev)
	if err == nil {
		third.Detach()
		t.Error("a device in use went on with other data")
	}
	f.Close()
}

// kill ends the server of a device as a crash does.
func kill(t *testing.T, a block.Attached) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	stop()
	_ = a.(*withServer).srv.Close(ctx)
	if err := os.Remove(a.(*withServer).Attached.(*device).v.Socket); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
}
