package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"sync"

	"github.com/takt-ha/takt/internal/errs"
)

// Numbers of the NBD protocol (doc/proto.md of the NBD project), as far as a counter needs them.
const (
	nbdMagic        = 0x4e42444d41474943
	nbdOption       = 0x49484156454F5054
	nbdRequest      = 0x25609513
	nbdReply        = 0x67446698
	nbdNewstyle     = 1 << 0
	nbdNoZeroes     = 1 << 1
	nbdExportName   = 1
	nbdRead         = 0
	nbdWrite        = 1
	nbdFUA          = 1 << 0
	counterBlock    = 4096
	counterMagic    = 0x54616b7443747231 // "TaktCtr1"
	counterChecksum = 16                 // after magic and number
)

// Counter counts visits in the first block of a volume, by its NBD socket: a number that was
// handed out is on the volume, durably. Block: magic, number, CRC-32C of both; the rest is zero.
type Counter struct {
	mu     sync.Mutex
	conn   net.Conn
	number uint64 // last written
	handle uint64
}

// OpenCounter connects to an NBD server on a unix socket and reads where the counting is.
func OpenCounter(socket string) (*Counter, error) {
	fail := func(err error) (*Counter, error) {
		return nil, errs.E("open the counter on", errs.Unavailable, socket, "The volume must be primary here.", err)
	}
	conn, err := net.Dial("unix", socket)
	if err != nil {
		return fail(err)
	}
	c := &Counter{conn: conn}
	if err := c.handshake(); err != nil {
		conn.Close()
		return fail(err)
	}
	block := make([]byte, counterBlock)
	if err := c.request(nbdRead, 0, block); err == nil {
		err = c.parse(block)
	}
	if err != nil {
		conn.Close()
		return fail(err)
	}
	return c, nil
}

// Close ends the connection.
func (c *Counter) Close() error { return c.conn.Close() }

// Next counts one more visit and returns its number once that is durable. After an error the counter is of no use: whether
// the last visit was counted is not known.
func (c *Counter) Next() (uint64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	block := make([]byte, counterBlock)
	binary.BigEndian.PutUint64(block, counterMagic)
	binary.BigEndian.PutUint64(block[8:], c.number+1)
	binary.BigEndian.PutUint32(block[counterChecksum:], crc32.Checksum(block[:counterChecksum], crc32.MakeTable(crc32.Castagnoli)))
	if err := c.request(nbdWrite, nbdFUA, block); err != nil {
		return 0, err
	}
	c.number++
	return c.number, nil
}

// parse reads a block; one of zeroes is a counter that has counted nothing.
func (c *Counter) parse(block []byte) error {
	magic, sum := binary.BigEndian.Uint64(block), binary.BigEndian.Uint32(block[counterChecksum:])
	switch {
	case magic == 0 && sum == 0:
		return nil
	case magic != counterMagic || sum != crc32.Checksum(block[:counterChecksum], crc32.MakeTable(crc32.Castagnoli)):
		return errors.New("what is in the first block is no counter")
	}
	c.number = binary.BigEndian.Uint64(block[8:])
	return nil
}

func (c *Counter) handshake() error {
	var hello struct {
		Magic, Option uint64
		Flags         uint16
	}
	if err := binary.Read(c.conn, binary.BigEndian, &hello); err != nil {
		return err
	}
	if hello.Magic != nbdMagic || hello.Option != nbdOption {
		return errors.New("no NBD server is there")
	}
	ask := struct {
		Flags        uint32
		Magic        uint64
		Kind, Length uint32
	}{nbdNewstyle | nbdNoZeroes, nbdOption, nbdExportName, 0}
	if err := binary.Write(c.conn, binary.BigEndian, ask); err != nil {
		return err
	}
	var export struct {
		Size  uint64
		Flags uint16
	}
	if err := binary.Read(c.conn, binary.BigEndian, &export); err != nil {
		return fmt.Errorf("the export was refused: %w", err)
	}
	return nil
}

// request reads or writes the first block.
func (c *Counter) request(kind, flags uint16, block []byte) error {
	c.handle++
	head := struct {
		Magic          uint32
		Flags, Kind    uint16
		Handle, Offset uint64
		Length         uint32
	}{nbdRequest, flags, kind, c.handle, 0, uint32(len(block))}
	out := make([]byte, 0, 28+len(block))
	out, err := binary.Append(out, binary.BigEndian, head)
	if err != nil {
		return err
	}
	if kind == nbdWrite {
		out = append(out, block...)
	}
	if _, err := c.conn.Write(out); err != nil {
		return err
	}
	var reply struct {
		Magic, Error uint32
		Handle       uint64
	}
	if err := binary.Read(c.conn, binary.BigEndian, &reply); err != nil {
		return err
	}
	if reply.Magic != nbdReply || reply.Handle != c.handle {
		return errors.New("the NBD server answers something else")
	}
	if reply.Error != 0 {
		return fmt.Errorf("the volume answers with error %d", reply.Error)
	}
	if kind == nbdRead {
		_, err = io.ReadFull(c.conn, block)
	}
	return err
}
