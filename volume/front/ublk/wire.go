package ublk

import "encoding/binary"

// The commands of ublk (include/uapi/linux/ublk_cmd.h of Linux), carried in submissions of io_uring with
// 128 bytes (include/uapi/linux/io_uring.h).

var order = binary.NativeEndian

// Commands to /dev/ublk-control.
const (
	ctrlInfo   = 0x02
	ctrlAdd    = 0x04
	ctrlDel    = 0x05
	ctrlStart  = 0x06
	ctrlStop   = 0x07
	ctrlParams = 0x08
	ctrlSize   = 0x15
)

// Commands to /dev/ublkcN.
const (
	ioFetch  = 0x20
	ioCommit = 0x21 // commit a result and fetch the next
)

const (
	ctrlBytes = 32 // of struct ublksrv_ctrl_cmd
	ioBytes   = 16 // of struct ublksrv_io_cmd
	descBytes = 24 // of struct ublksrv_io_desc
	infoBytes = 64 // of struct ublksrv_ctrl_dev_info
)

// encoded makes an operation of ioctl(2) of a command, as kernels since 6.4 want it. read: it only asks.
func encoded(command uint32, bytes uint32, read bool) uint32 {
	direction := uint32(3)
	if read {
		direction = 2
	}
	return direction<<30 | bytes<<16 | 'u'<<8 | command
}

// ctrl is a command to /dev/ublk-control.
type ctrl struct {
	dev  uint32
	len  uint16 // of what is at addr
	addr uint64
	data uint64
}

func (c ctrl) append(b []byte) []byte {
	b = order.AppendUint32(b, c.dev)
	b = order.AppendUint16(b, 0xffff) // no queue
	b = order.AppendUint16(b, c.len)
	b = order.AppendUint64(b, c.addr)
	b = order.AppendUint64(b, c.data)
	return order.AppendUint64(b, 0)
}

// info describes a device.
type info struct {
	queues, depth uint16
	state         uint16 // 0: dead
	maxIO         uint32 // bytes of one request
	dev           uint32
	pid           int32  // of the server
	flags         uint64 // features
	tag           uint64 // the server's own
}

const anyDevice = ^uint32(0)

func (i info) append(b []byte) []byte {
	b = order.AppendUint16(b, i.queues)
	b = order.AppendUint16(b, i.depth)
	b = order.AppendUint32(b, uint32(i.state))
	b = order.AppendUint32(b, i.maxIO)
	b = order.AppendUint32(b, i.dev)
	b = order.AppendUint32(b, uint32(i.pid))
	b = order.AppendUint32(b, 0)
	b = order.AppendUint64(b, i.flags)
	b = order.AppendUint64(b, i.tag)
	return append(b, make([]byte, 24)...)
}

func decodeInfo(b []byte) info {
	return info{queues: order.Uint16(b), depth: order.Uint16(b[2:]), state: order.Uint16(b[4:]), maxIO: order.Uint32(b[8:]), dev: order.Uint32(b[12:]),
		pid: int32(order.Uint32(b[16:])), flags: order.Uint64(b[24:]), tag: order.Uint64(b[32:])}
}

// featureSize: the size can be changed (Linux 6.16).
const featureSize = 1 << 10

// params are the properties of the block device: a volatile cache, FUA, sectors of 512 bytes, pages of 4096.
func params(size int64, maxIO uint32) []byte {
	b := order.AppendUint32(nil, 64) // struct ublk_params up to here
	b = order.AppendUint32(b, 1<<0|1<<1)
	b = order.AppendUint32(b, 1<<2|1<<3)
	b = append(b, 9, 12, 12, 12)
	b = order.AppendUint32(b, maxIO>>9)
	b = order.AppendUint32(b, 0)
	b = order.AppendUint64(b, uint64(size)>>9)
	b = order.AppendUint64(b, 0)
	b = order.AppendUint32(b, 0)     // alignment of discards
	b = order.AppendUint32(b, 4096)  // granularity
	b = order.AppendUint32(b, 1<<21) // sectors of one discard: 1 GiB
	b = order.AppendUint32(b, 1<<21) // of zeroes
	b = order.AppendUint16(b, 1)     // segments of a discard
	return append(b, make([]byte, 64-len(b))...)
}

// Operations of a request.
const (
	opRead        = 0
	opWrite       = 1
	opFlush       = 2
	opDiscard     = 3
	opWriteZeroes = 5

	flagFUA     = 1 << 13
	flagNoUnmap = 1 << 15
)

// desc is a request of the kernel.
type desc struct {
	op      uint32
	flags   uint32
	sectors uint32
	start   uint64
}

func decodeDesc(b []byte) desc {
	op := order.Uint32(b)
	return desc{op: op & 0xff, flags: op &^ 0xff, sectors: order.Uint32(b[4:]), start: order.Uint64(b[8:])}
}

// appendIO is the body of a fetch or commit.
func appendIO(b []byte, queue, tag uint16, result int32, addr uint64) []byte {
	b = order.AppendUint16(b, queue)
	b = order.AppendUint16(b, tag)
	b = order.AppendUint32(b, uint32(result))
	return order.AppendUint64(b, addr)
}

const (
	sqeBytes = 128
	cqeBytes = 16

	uringRead    = 22
	uringCommand = 46
)

// submission fills a submission that carries a command of a file.
func submission(b []byte, fd int, command uint32, user uint64, body []byte) {
	clear(b[:sqeBytes])
	b[0] = uringCommand
	order.PutUint32(b[4:], uint32(fd))
	order.PutUint32(b[8:], command)
	order.PutUint64(b[32:], user)
	copy(b[48:sqeBytes], body)
}

// readSubmission fills a submission that reads n bytes of a file to addr.
func readSubmission(b []byte, fd int, addr uint64, n uint32, user uint64) {
	clear(b[:sqeBytes])
	b[0] = uringRead
	order.PutUint32(b[4:], uint32(fd))
	order.PutUint64(b[16:], addr)
	order.PutUint32(b[24:], n)
	order.PutUint64(b[32:], user)
}
