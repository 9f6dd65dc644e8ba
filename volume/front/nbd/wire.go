package nbd

import "encoding/binary"

// Magic numbers, flags, commands and errors of the NBD protocol (doc/proto.md of
// the NBD project), in its own spelling. All numbers travel in network byte order.
const (
	magicNBD        = 0x4e42444d41474943 // "NBDMAGIC"
	magicOption     = 0x49484156454F5054 // "IHAVEOPT"
	magicOptReply   = 0x0003e889045565a9
	magicRequest    = 0x25609513
	magicSimple     = 0x67446698
	magicStructured = 0x668e33ef

	flagFixedNewstyle = 1 << 0 // handshake, both sides
	flagNoZeroes      = 1 << 1

	flagHasFlags        = 1 << 0 // transmission
	flagReadOnly        = 1 << 1
	flagSendFlush       = 1 << 2
	flagSendFUA         = 1 << 3
	flagSendTrim        = 1 << 5
	flagSendWriteZeroes = 1 << 6
	flagSendDF          = 1 << 7
	flagCanMultiConn    = 1 << 8
	flagSendCache       = 1 << 10
	flagSendFastZero    = 1 << 11

	cmdRead        = 0
	cmdWrite       = 1
	cmdDisc        = 2
	cmdFlush       = 3
	cmdTrim        = 4
	cmdCache       = 5
	cmdWriteZeroes = 6
	cmdBlockStatus = 7

	cmdFlagFUA      = 1 << 0
	cmdFlagNoHole   = 1 << 1
	cmdFlagDF       = 1 << 2
	cmdFlagReqOne   = 1 << 3
	cmdFlagFastZero = 1 << 4

	replyFlagDone    = 1 << 0
	replyNone        = 0
	replyOffsetData  = 1
	replyOffsetHole  = 2
	replyBlockStatus = 5
	replyError       = 1<<15 + 1

	stateHole = 1 << 0 // base:allocation
	stateZero = 1 << 1

	errPerm     = 1
	errIO       = 5
	errNoMem    = 12
	errInval    = 22
	errNoSpace  = 28
	errOverflow = 75
	errNotSup   = 95
	errShutdown = 108

	// requestSize is the length of a request's header; simpleSize and chunkSize
	// are those of the two kinds of answers, without what follows them.
	requestSize = 28
	simpleSize  = 16
	chunkSize   = 20
	// dataHeader is all that stands before the data of a structured read.
	dataHeader = chunkSize + 8
)

// MaxRequest is the longest read or write in bytes that the server takes: what the
// protocol says that clients may assume where nothing was agreed on.
const MaxRequest = 32 << 20

// request is the header of a client's request.
type request struct {
	flags  uint16
	cmd    uint16
	cookie uint64
	offset uint64
	length uint32
}

// decodeRequest reads a header from the first requestSize bytes of b. False: the
// magic number is wrong, and so is everything that follows.
func decodeRequest(b []byte) (request, bool) {
	_ = b[requestSize-1]
	return request{
		flags:  binary.BigEndian.Uint16(b[4:]),
		cmd:    binary.BigEndian.Uint16(b[6:]),
		cookie: binary.BigEndian.Uint64(b[8:]),
		offset: binary.BigEndian.Uint64(b[16:]),
		length: binary.BigEndian.Uint32(b[24:]),
	}, binary.BigEndian.Uint32(b) == magicRequest
}

// payload is how many bytes follow the header.
func (r request) payload() int {
	if r.cmd == cmdWrite {
		return int(r.length)
	}
	return 0
}

// allowedFlags says which flags a command may carry; 0: there is no such command.
// FUA is taken with each, as the protocol asks.
var allowedFlags = [...]uint16{
	cmdRead:        cmdFlagFUA | cmdFlagDF,
	cmdWrite:       cmdFlagFUA,
	cmdDisc:        cmdFlagFUA,
	cmdFlush:       cmdFlagFUA,
	cmdTrim:        cmdFlagFUA,
	cmdCache:       cmdFlagFUA,
	cmdWriteZeroes: cmdFlagFUA | cmdFlagNoHole | cmdFlagFastZero,
	cmdBlockStatus: cmdFlagFUA | cmdFlagReqOne,
}

// terms are what was agreed on in the handshake.
type terms struct {
	structured bool // answers to reads in chunks, errors with words
	status     bool // BLOCK_STATUS of base:allocation
	readOnly   bool
	noZeroes   bool
}

// check returns the error that a request deserves by its header alone, given
// the export's size in bytes; 0: none.
func (r request) check(t terms, size int64) (code uint32, why string) {
	switch {
	case int(r.cmd) >= len(allowedFlags):
		return errInval, "unknown command"
	case r.flags&^allowedFlags[r.cmd] != 0:
		return errInval, "a flag that this command does not have"
	case r.flags&cmdFlagDF != 0 && !t.structured:
		return errInval, "the flag DF needs structured replies"
	case r.cmd == cmdFlush && (r.offset != 0 || r.length != 0):
		return errInval, "a flush has neither offset nor length"
	case r.cmd == cmdFlush:
		return 0, ""
	case t.readOnly && (r.cmd == cmdWrite || r.cmd == cmdTrim || r.cmd == cmdWriteZeroes):
		return errPerm, "the volume may only be read here"
	case (r.cmd == cmdRead || r.cmd == cmdWrite) && r.length > MaxRequest:
		return errInval, "longer than the maximum block size"
	case r.cmd == cmdBlockStatus && !t.status:
		return errInval, "no metadata context was agreed on"
	case r.cmd == cmdBlockStatus && r.length == 0:
		return errInval, "an empty range has no status"
	}
	return r.checkRange(size)
}

func (r request) checkRange(size int64) (code uint32, why string) {
	if r.offset <= uint64(size) && uint64(r.length) <= uint64(size)-r.offset {
		return 0, ""
	}
	if r.cmd == cmdWrite || r.cmd == cmdWriteZeroes {
		return errNoSpace, "behind the end of the volume"
	}
	return errInval, "behind the end of the volume"
}

// appendSimple appends a simple reply without data.
func appendSimple(b []byte, cookie uint64, code uint32) []byte {
	b = binary.BigEndian.AppendUint32(b, magicSimple)
	b = binary.BigEndian.AppendUint32(b, code)
	return binary.BigEndian.AppendUint64(b, cookie)
}

// appendChunk appends the header of a chunk with length bytes of payload.
func appendChunk(b []byte, flags, kind uint16, cookie uint64, length int) []byte {
	b = binary.BigEndian.AppendUint32(b, magicStructured)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, kind)
	b = binary.BigEndian.AppendUint64(b, cookie)
	return binary.BigEndian.AppendUint32(b, uint32(length))
}

// appendData appends the header of a chunk of n bytes of data.
func appendData(b []byte, flags uint16, cookie uint64, offset int64, n int) []byte {
	b = appendChunk(b, flags, replyOffsetData, cookie, 8+n)
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

// appendHole appends a chunk that says: n zeroes at offset.
func appendHole(b []byte, flags uint16, cookie uint64, offset int64, n int) []byte {
	b = appendChunk(b, flags, replyOffsetHole, cookie, 12)
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// maxMessage is how many bytes of an error's words are sent.
const maxMessage = 512

// appendError appends an answer that says what went wrong, with words where the
// client takes them.
func appendError(b []byte, t terms, cookie uint64, code uint32, why string) []byte {
	if !t.structured {
		return appendSimple(b, cookie, code)
	}
	why = why[:min(len(why), maxMessage)]
	b = appendChunk(b, replyFlagDone, replyError, cookie, 6+len(why))
	b = binary.BigEndian.AppendUint32(b, code)
	b = binary.BigEndian.AppendUint16(b, uint16(len(why)))
	return append(b, why...)
}

// descriptor is one extent of a BLOCK_STATUS reply.
type descriptor struct {
	length uint32 // bytes, not 0
	flags  uint32
}

// contextID is the number of base:allocation, the only metadata context.
const contextID = 1

// appendStatus appends the answer to BLOCK_STATUS.
func appendStatus(b []byte, cookie uint64, extents []descriptor) []byte {
	b = appendChunk(b, replyFlagDone, replyBlockStatus, cookie, 4+8*len(extents))
	b = binary.BigEndian.AppendUint32(b, contextID)
	for _, e := range extents {
		b = binary.BigEndian.AppendUint32(b, e.length)
		b = binary.BigEndian.AppendUint32(b, e.flags)
	}
	return b
}
