package nbd

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"
)

// Options, replies to them and kinds of information.
const (
	optExportName      = 1
	optAbort           = 2
	optList            = 3
	optInfo            = 6
	optGo              = 7
	optStructuredReply = 8
	optListMeta        = 9
	optSetMeta         = 10

	repAck         = 1
	repServer      = 2
	repInfo        = 3
	repMetaContext = 4
	repErrUnsup    = 1<<31 + 1
	repErrPolicy   = 1<<31 + 2
	repErrInvalid  = 1<<31 + 3
	repErrUnknown  = 1<<31 + 6
	repErrShutdown = 1<<31 + 7
	repErrTooBig   = 1<<31 + 9

	infoExport      = 0
	infoName        = 1
	infoDescription = 2
	infoBlockSize   = 3

	baseNamespace  = "base:"
	baseAllocation = "base:allocation"

	// maxOption is the longest data of an option that is looked at, maxSkip the
	// longest that is passed over with an answer, in bytes.
	maxOption = 64 << 10
	maxSkip   = 1 << 20
	// optionHeader is the length of what stands before an option's data.
	optionHeader = 16
	// minBlock and preferredBlock are the block sizes that are told, in bytes: any
	// byte may be written, whole blocks are best.
	minBlock       = 1
	preferredBlock = 4096
)

// next says what follows an option.
type next uint8

const (
	haggleOn next = iota // another option
	transmit             // the handshake is over, requests follow
	hangUp               // after the answer, if there is one, the connection ends
)

// haggle is the server's side of the handshake of one connection:
//
//	greeting ─▶ client's flags ─▶ option ─▶ answer ─┬─▶ transmission
//	                                ▲───────────────┤
//	                                                └─▶ hang up
type haggle struct {
	name        string // of the export; the empty name means it, too
	description string
	// open asks for the export; keep: it is to be used, not just described.
	open  func(keep bool) (size int64, readOnly bool, err error)
	terms terms
	fixed bool // the client speaks fixed newstyle
	// contextFor is the name that the client gave when it chose its contexts; they
	// hold for it alone.
	contextFor string
}

// greeting is what the server says first.
func greeting() []byte {
	b := binary.BigEndian.AppendUint64(nil, magicNBD)
	b = binary.BigEndian.AppendUint64(b, magicOption)
	return binary.BigEndian.AppendUint16(b, flagFixedNewstyle|flagNoZeroes)
}

// clientFlags takes the client's first word; false: hang up.
func (h *haggle) clientFlags(f uint32) bool {
	h.fixed, h.terms.noZeroes = f&flagFixedNewstyle != 0, f&flagNoZeroes != 0
	return f&^uint32(flagFixedNewstyle|flagNoZeroes) == 0
}

// decodeOption reads an option's header from its first optionHeader bytes; false:
// it is none.
func decodeOption(b []byte) (option, length uint32, ok bool) {
	_ = b[optionHeader-1]
	return binary.BigEndian.Uint32(b[8:]), binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint64(b) == magicOption
}

// option takes one option with its data and returns the answer.
func (h *haggle) option(opt uint32, data []byte) ([]byte, next) {
	if !h.fixed && opt != optExportName {
		return nil, hangUp
	}
	switch opt {
	case optExportName:
		return h.exportName(string(data))
	case optAbort:
		return appendReply(nil, opt, repAck, nil), hangUp
	case optList:
		return h.list(data), haggleOn
	case optInfo, optGo:
		return h.info(opt, data)
	case optStructuredReply:
		if len(data) != 0 {
			return refuse(opt, repErrInvalid, "this option has no data"), haggleOn
		}
		h.terms.structured = true
		return appendReply(nil, opt, repAck, nil), haggleOn
	case optListMeta, optSetMeta:
		return h.meta(opt, data), haggleOn
	}
	return refuse(opt, repErrUnsup, "this server does not know the option"), haggleOn
}

// tooBig is the answer to an option whose data was not looked at.
func tooBig(opt uint32) []byte {
	return refuse(opt, repErrTooBig, "more data than any option needs")
}

func appendReply(b []byte, opt, kind uint32, data []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, magicOptReply)
	b = binary.BigEndian.AppendUint32(b, opt)
	b = binary.BigEndian.AppendUint32(b, kind)
	b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

func refuse(opt, kind uint32, why string) []byte {
	return appendReply(nil, opt, kind, []byte(why[:min(len(why), 4096)]))
}

func (h *haggle) knows(name string) bool { return name == "" || name == h.name }

func (h *haggle) flags(readOnly bool) uint16 {
	f := uint16(flagHasFlags | flagSendFlush | flagSendFUA | flagSendTrim | flagSendWriteZeroes | flagCanMultiConn | flagSendCache | flagSendFastZero)
	if readOnly {
		f |= flagReadOnly
	}
	if h.terms.structured {
		f |= flagSendDF
	}
	return f
}

// exportName is the oldest way to choose an export: it cannot be refused with
// words, only by hanging up.
func (h *haggle) exportName(name string) ([]byte, next) {
	if !h.knows(name) {
		return nil, hangUp
	}
	size, readOnly, err := h.open(true)
	if err != nil {
		return nil, hangUp
	}
	h.settle(name, readOnly)
	b := binary.BigEndian.AppendUint64(nil, uint64(size))
	b = binary.BigEndian.AppendUint16(b, h.flags(readOnly))
	if !h.terms.noZeroes {
		b = append(b, make([]byte, 124)...)
	}
	return b, transmit
}

// settle fixes the terms when an export is chosen.
func (h *haggle) settle(name string, readOnly bool) {
	h.terms.readOnly = readOnly
	h.terms.status = h.terms.status && h.contextFor == name
}

func (h *haggle) list(data []byte) []byte {
	if len(data) != 0 {
		return refuse(optList, repErrInvalid, "this option has no data")
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(h.name)))
	b = append(append(b, h.name...), h.description...)
	return appendReply(appendReply(nil, optList, repServer, b), optList, repAck, nil)
}

// info answers INFO and GO.
func (h *haggle) info(opt uint32, data []byte) ([]byte, next) {
	name, rest, ok := cutString(data)
	if !ok || len(rest) < 2 || len(rest) != 2+2*int(binary.BigEndian.Uint16(rest)) {
		return refuse(opt, repErrInvalid, "the lengths within the option do not add up"), haggleOn
	}
	if !h.knows(name) {
		return refuse(opt, repErrUnknown, "this server has only the export "+h.name), haggleOn
	}
	size, readOnly, err := h.open(opt == optGo)
	if err != nil {
		return refuse(opt, repErrPolicy, err.Error()), haggleOn
	}
	b := h.describe(opt, size, readOnly, rest[2:])
	if opt == optInfo {
		return b, haggleOn
	}
	h.settle(name, readOnly)
	return b, transmit
}

// describe appends all information that was asked for, and what any client needs.
func (h *haggle) describe(opt uint32, size int64, readOnly bool, wanted []byte) []byte {
	d := binary.BigEndian.AppendUint16(nil, infoExport)
	d = binary.BigEndian.AppendUint64(d, uint64(size))
	b := appendReply(nil, opt, repInfo, binary.BigEndian.AppendUint16(d, h.flags(readOnly)))
	d = binary.BigEndian.AppendUint16(nil, infoBlockSize)
	for _, n := range []uint32{minBlock, preferredBlock, MaxRequest} {
		d = binary.BigEndian.AppendUint32(d, n)
	}
	b = appendReply(b, opt, repInfo, d)
	told := map[uint16]bool{infoExport: true, infoBlockSize: true}
	for ; len(wanted) >= 2; wanted = wanted[2:] {
		kind := binary.BigEndian.Uint16(wanted)
		text := map[uint16]string{infoName: h.name, infoDescription: h.description}[kind]
		if told[kind] || text == "" {
			continue
		}
		told[kind] = true
		b = appendReply(b, opt, repInfo, append(binary.BigEndian.AppendUint16(nil, kind), text...))
	}
	return appendReply(b, opt, repAck, nil)
}

// meta answers LIST_META_CONTEXT and SET_META_CONTEXT.
func (h *haggle) meta(opt uint32, data []byte) []byte {
	if opt == optSetMeta {
		h.terms.status = false
	}
	if !h.terms.structured {
		return refuse(opt, repErrInvalid, "metadata needs structured replies: ask for them first")
	}
	name, queries, ok := cutQueries(data)
	if !ok {
		return refuse(opt, repErrInvalid, "the lengths within the option do not add up")
	}
	if !h.knows(name) {
		return refuse(opt, repErrUnknown, "this server has only the export "+h.name)
	}
	found, id := opt == optListMeta && len(queries) == 0, uint32(0)
	for _, q := range queries {
		found = found || q == baseAllocation || opt == optListMeta && q == baseNamespace
	}
	if opt == optSetMeta {
		h.terms.status, h.contextFor, id = found, name, contextID
	}
	var b []byte
	if found {
		b = appendReply(b, opt, repMetaContext, append(binary.BigEndian.AppendUint32(nil, id), baseAllocation...))
	}
	return appendReply(b, opt, repAck, nil)
}

// cutString takes a string with its length in front from b.
func cutString(b []byte) (s string, rest []byte, ok bool) {
	if len(b) < 4 {
		return "", nil, false
	}
	n := binary.BigEndian.Uint32(b)
	if b = b[4:]; uint64(n) > uint64(len(b)) {
		return "", nil, false
	}
	s = string(b[:n])
	return s, b[n:], utf8.ValidString(s) && !strings.Contains(s, "\x00")
}

// cutQueries takes an export's name and the queries behind it.
func cutQueries(b []byte) (name string, queries []string, ok bool) {
	name, b, ok = cutString(b)
	if !ok || len(b) < 4 {
		return "", nil, false
	}
	n := binary.BigEndian.Uint32(b)
	for b = b[4:]; n > 0; n-- {
		var q string
		if q, b, ok = cutString(b); !ok {
			return "", nil, false
		}
		queries = append(queries, q)
	}
	return name, queries, len(b) == 0
}
