package knbd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

// The client's part of the handshake of NBD (doc/proto.md of the NBD project): the kernel wants a
// socket on which it is over.

const (
	greetMagic  = 0x4e42444d41474943 // "NBDMAGIC"
	optionMagic = 0x49484156454F5054 // "IHAVEOPT"
	optExport   = 1                  // NBD_OPT_EXPORT_NAME
	fixedNoZero = 3                  // NBD_FLAG_C_FIXED_NEWSTYLE | NBD_FLAG_C_NO_ZEROES
)

// greet does the handshake on c and returns what the server said of the export.
func greet(c io.ReadWriter, name string) (size uint64, flags uint16, err error) {
	var b [18]byte
	if _, err := io.ReadFull(c, b[:]); err != nil {
		return 0, 0, err
	}
	if binary.BigEndian.Uint64(b[:]) != greetMagic || binary.BigEndian.Uint64(b[8:]) != optionMagic {
		return 0, 0, errors.New("there is no newstyle NBD server")
	}
	if binary.BigEndian.Uint16(b[16:])&fixedNoZero != fixedNoZero {
		return 0, 0, errors.New("the NBD server is too old")
	}
	out := binary.BigEndian.AppendUint32(nil, fixedNoZero)
	out = binary.BigEndian.AppendUint64(out, optionMagic)
	out = binary.BigEndian.AppendUint32(out, optExport)
	out = binary.BigEndian.AppendUint32(out, uint32(len(name)))
	if _, err := c.Write(append(out, name...)); err != nil {
		return 0, 0, err
	}
	if _, err := io.ReadFull(c, b[:10]); err != nil {
		return 0, 0, err
	}
	return binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint16(b[8:]), nil
}

// connect returns a socket to the volume's own NBD server, ready for the kernel.
func connect(path, name string) (f *os.File, size uint64, flags uint16, err error) {
	c, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, 0, 0, fmt.Errorf("reach the volume's NBD server: %w", err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return nil, 0, 0, err
	}
	if size, flags, err = greet(c, name); err != nil {
		return nil, 0, 0, fmt.Errorf("handshake with the volume's NBD server: %w", err)
	}
	f, err = c.File() // a second descriptor, blocking
	return f, size, flags, err
}
