package nbd

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// script plays handshakes: each command is one option, the output is what the server says.
type script struct {
	h        *haggle
	readOnly bool
	refuse   error
}

func newScript() *script {
	s := &script{}
	s.h = &haggle{name: "r0", description: "a volume", fixed: true, open: func(bool) (int64, bool, error) {
		return 1 << 20, s.readOnly, s.refuse
	}}
	return s
}

var optionNames = map[string]uint32{"export-name": optExportName, "abort": optAbort, "list": optList, "starttls": 5, "info": optInfo, "go": optGo,
	"structured": optStructuredReply, "list-meta": optListMeta, "set-meta": optSetMeta, "extended": 11}

func (s *script) run(t *testing.T, d *datadriven.TestData) string {
	switch d.Cmd {
	case "client":
		var flags uint32
		d.ScanArgs(t, "flags", &flags)
		return fmt.Sprintf("goes on: %v", s.h.clientFlags(flags))
	case "volume":
		s.readOnly, s.refuse = d.HasArg("secondary"), nil
		if d.HasArg("closed") {
			s.refuse = fmt.Errorf("the volume is down: %w", syscall.ESHUTDOWN)
		}
		return ""
	}
	opt, ok := optionNames[d.Cmd]
	if !ok {
		t.Fatalf("unknown option %s", d.Cmd)
	}
	answer, then := s.h.option(opt, optionData(t, opt, d))
	return showReplies(opt, answer) + fmt.Sprintf("then %s; %+v", [...]string{"more options", "transmission", "hang up"}[then], s.h.terms)
}

func optionData(t *testing.T, opt uint32, d *datadriven.TestData) []byte {
	name := ""
	d.MaybeScanArgs(t, "name", &name)
	var raw string
	if d.HasArg("raw") {
		d.ScanArgs(t, "raw", &raw)
		b, err := strconv.Unquote(`"` + raw + `"`)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(b)
	}
	switch opt {
	case optExportName:
		return []byte(name)
	case optInfo, optGo:
		var infos []uint16
		for _, a := range d.CmdArgs {
			if n, err := strconv.Atoi(a.Key); err == nil {
				infos = append(infos, uint16(n))
			}
		}
		return goData(name, infos...)
	case optListMeta, optSetMeta:
		var queries []string
		for _, a := range d.CmdArgs {
			if a.Key == "query" {
				queries = append(queries, a.Vals...)
			}
		}
		return metaQuery(name, queries...)
	}
	return nil
}

var replyNames = map[uint32]string{repAck: "ack", repServer: "server", repInfo: "info", repMetaContext: "context", repErrUnsup: "unsupported", repErrPolicy: "against the policy",
	repErrInvalid: "invalid", repErrUnknown: "unknown export", repErrTooBig: "too big"}

func showReplies(opt uint32, b []byte) string {
	var out strings.Builder
	if opt == optExportName && len(b) > 0 {
		return fmt.Sprintf("size %d flags %b zeroes %d\n", binary.BigEndian.Uint64(b), binary.BigEndian.Uint16(b[8:]), len(b)-10)
	}
	for len(b) > 0 {
		kind, n := binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])
		data := b[20 : 20+n]
		b = b[20+n:]
		fmt.Fprintf(&out, "%s %s\n", replyNames[kind], showData(kind, data))
	}
	return out.String()
}

func showData(kind uint32, data []byte) string {
	switch {
	case kind == repInfo && binary.BigEndian.Uint16(data) == infoExport:
		return fmt.Sprintf("size %d flags %b", binary.BigEndian.Uint64(data[2:]), binary.BigEndian.Uint16(data[10:]))
	case kind == repInfo && binary.BigEndian.Uint16(data) == infoBlockSize:
		return fmt.Sprintf("block sizes %d %d %d", binary.BigEndian.Uint32(data[2:]), binary.BigEndian.Uint32(data[6:]), binary.BigEndian.Uint32(data[10:]))
	}
	return fmt.Sprintf("%q", data)
}

func TestHandshake(t *testing.T) {
	datadriven.Walk(t, "testdata/handshake", func(t *testing.T, path string) {
		s := newScript()
		datadriven.RunTest(t, path, s.run)
	})
}

// FuzzOptions plays any options: nothing breaks, and each answer is made of
// whole replies to the option, the last of which ends it.
func FuzzOptions(f *testing.F) {
	f.Add(optionBytes(optGo, goData("r0", infoName)))
	f.Add(append(optionBytes(optStructuredReply, nil), optionBytes(optSetMeta, metaQuery("r0", baseAllocation, baseNamespace))...))
	f.Add(append(optionBytes(optList, nil), optionBytes(77, []byte("x"))...))
	f.Fuzz(func(t *testing.T, in []byte) {
		s := newScript()
		for len(in) >= optionHeader {
			opt, n, _ := decodeOption(in)
			in = in[optionHeader:]
			data := in[:min(int(n), len(in))]
			in = in[len(data):]
			answer, then := s.h.option(opt, data)
			if opt != optExportName {
				wholeReplies(t, opt, answer, then)
			}
			if then != haggleOn {
				return
			}
		}
	})
}

func wholeReplies(t *testing.T, opt uint32, b []byte, then next) {
	final := false
	for len(b) > 0 {
		if final || len(b) < 20 || binary.BigEndian.Uint64(b) != magicOptReply || binary.BigEndian.Uint32(b[8:]) != opt {
			t.Fatalf("option %d is answered by % x", opt, b)
		}
		kind, n := binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])
		final = kind == repAck || kind&(1<<31) != 0
		b = b[20+n:]
	}
	if !final {
		t.Fatalf("option %d has no final reply (then %d)", opt, then)
	}
}

// FuzzRequest: what the header alone allows lies within the volume.
func FuzzRequest(f *testing.F) {
	f.Add(requestBytes(request{cmd: cmdWrite, offset: 4096, length: 4096}, nil), true, false)
	f.Add(requestBytes(request{cmd: cmdRead, offset: 1<<64 - 1, length: 1}, nil), false, true)
	f.Fuzz(func(t *testing.T, in []byte, structured, readOnly bool) {
		if len(in) < requestSize {
			return
		}
		r, ok := decodeRequest(in)
		if ok && string(requestBytes(r, nil)) != string(in[:requestSize]) {
			t.Fatalf("%+v does not stand for % x", r, in[:requestSize])
		}
		const size = 1 << 30
		code, why := r.check(terms{structured: structured, readOnly: readOnly, status: structured}, size)
		if (code != 0) != (why != "") {
			t.Fatalf("%+v: error %d without words, or words without error: %q", r, code, why)
		}
		if code == 0 && r.cmd != cmdFlush && (r.offset > size || r.offset+uint64(r.length) > size) {
			t.Fatalf("%+v is let through", r)
		}
		if code == 0 && readOnly && r.cmd == cmdWrite {
			t.Fatalf("%+v writes where it may only read", r)
		}
	})
}
