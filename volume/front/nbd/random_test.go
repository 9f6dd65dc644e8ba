package nbd

import (
	"bytes"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/takt-ha/takt/volume/front/fronttest"
)

// TestRandomBatches: a client sends requests that do not overlap, cut anywhere; the device
// completes them in any order from another thread, or at once. Each is answered once,
// and what is read is what was written.
func TestRandomBatches(t *testing.T) {
	const size = 8 << 20
	disk := file(t, size)
	held := fronttest.Hold(disk)
	_, slow := start(t, held, Config{Memory: 8 << 20})
	_, quick := start(t, disk, Config{Memory: 8 << 20})
	rapid.Check(t, func(rt *rapid.T) {
		late, path := rapid.Bool().Draw(rt, "late"), quick
		if late {
			path = slow
		}
		structured := rapid.Bool().Draw(rt, "structured")
		c := connect(t, path, structured)
		defer c.nc.Close()
		batch := drawBatch(rt, size)
		seed := int64(rapid.Uint16().Draw(rt, "seed"))
		cut := rapid.SampledFrom([]int{1000, 4097, 70000, 300000, 1 << 20}).Draw(rt, "cut")
		order := rapid.SliceOfN(rapid.Uint16(), 1, 40).Draw(rt, "order")
		model, err := disk.Content()
		if err != nil {
			rt.Fatal(err)
		}
		var out []byte
		for i, r := range batch {
			payload := noise(seed+int64(i), r.payload())
			out = append(out, requestBytes(r, payload)...)
			apply(model, r, payload)
		}
		var work sync.WaitGroup
		work.Go(func() { sendCut(c, out, cut) })
		stop := make(chan struct{})
		if late {
			work.Go(func() { releaseAll(held, stop, order) })
		}
		collect(rt, c, batch, model, structured)
		close(stop)
		work.Wait()
		if got, err := disk.Content(); err != nil || !bytes.Equal(got, model) {
			rt.Fatalf("the disk holds other bytes than the model (%v)", err)
		}
	})
}

// drawBatch draws requests whose ranges lie one behind the other.
func drawBatch(rt *rapid.T, size int) (batch []request) {
	for at := 0; len(batch) < 40; {
		at += rapid.SampledFrom([]int{0, 0, 1, 511, 4096, 100000}).Draw(rt, "gap")
		n := rapid.SampledFrom([]int{1, 512, 4096, 4096, 4097, longWrite, longWrite + 1, pieceSize, pieceSize + 1, 3*pieceSize - 5}).Draw(rt, "length")
		if at+n > size {
			return batch
		}
		r := request{cmd: rapid.SampledFrom([]uint16{cmdRead, cmdRead, cmdWrite, cmdWrite, cmdWriteZeroes, cmdTrim, cmdCache}).Draw(rt, "command"),
			offset: uint64(at), length: uint32(n), cookie: uint64(len(batch))}
		if r.cmd == cmdWrite && rapid.Bool().Draw(rt, "fua") {
			r.flags = cmdFlagFUA
		}
		batch, at = append(batch, r), at+n
	}
	return batch
}

func apply(model []byte, r request, payload []byte) {
	switch at := model[r.offset : r.offset+uint64(r.length)]; r.cmd {
	case cmdWrite:
		copy(at, payload)
	case cmdWriteZeroes, cmdTrim:
		clear(at)
	}
}

func sendCut(c *client, b []byte, cut int) {
	for len(b) > 0 {
		n := min(cut, len(b))
		if _, err := c.nc.Write(b[:n]); err != nil {
			return
		}
		b = b[n:]
	}
}

// releaseAll lets requests go, in an order as random as the numbers given.
func releaseAll(held *fronttest.Held, stop chan struct{}, order []uint16) {
	for i := 0; ; i++ {
		select {
		case <-held.Some():
			held.Release(int(order[i%len(order)])%held.Await(1), nil)
		case <-stop:
			return
		}
	}
}

// collect takes all answers and compares what was read.
func collect(rt *rapid.T, c *client, batch []request, model []byte, structured bool) {
	got, open := map[uint64][]byte{}, len(batch)
	for _, r := range batch {
		got[r.cookie] = make([]byte, r.length)
	}
	for open > 0 {
		a := peek(c, batch)
		if got[a.cookie] == nil || a.code != 0 {
			rt.Fatalf("answer %+v", a)
		}
		r := batch[a.cookie]
		if a.simple == structured && r.cmd == cmdRead {
			rt.Fatalf("a read is answered in the wrong way: structured replies %v, simple %v", structured, a.simple)
		}
		if a.simple {
			copy(got[a.cookie], a.data)
		} else {
			copy(got[a.cookie][a.offset-int64(r.offset):], a.data)
		}
		if !a.done {
			continue
		}
		if open--; r.cmd == cmdRead && !bytes.Equal(got[a.cookie], model[r.offset:r.offset+uint64(r.length)]) {
			rt.Fatalf("%+v reads other bytes", r)
		}
		delete(got, a.cookie)
	}
}

// peek receives an answer of a client that may have to know what it asked for.
func peek(c *client, batch []request) reply {
	a := c.reply(0)
	if a.simple && a.code == 0 {
		if r := batch[a.cookie]; r.cmd == cmdRead {
			a.data = c.recv(int(r.length))
		}
	}
	return a
}
