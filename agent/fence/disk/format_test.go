package disk

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRecords(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := place{block: rapid.IntRange(0, 3000).Draw(t, "block")}
		copy(p.set[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "set"))
		name := rapid.StringOfN(rapid.Rune(), 1, 30, longestName)
		at := time.Unix(0, rapid.Int64Range(1, math.MaxInt64).Draw(t, "at"))
		o := Owner{Count: rapid.Uint64().Draw(t, "count"), Node: name.Draw(t, "node"), Boot: rapid.StringOfN(rapid.Rune(), 1, 16, longestBoot).Draw(t, "boot"),
			State: State(rapid.IntRange(0, int(Left)).Draw(t, "state")), Void: rapid.Uint64().Draw(t, "void"), Cleared: 2, Seen: 3, Noted: 4,
			Watchdog: time.Duration(rapid.IntRange(0, 1<<20).Draw(t, "watchdog")) * time.Millisecond, At: at}
		if got, err := decodeOwner(o.encode(p), p); err != nil || got != o {
			t.Fatalf("%+v, %v, want %+v", got, err, o)
		}
		l := Pill{Seq: rapid.Uint64().Draw(t, "seq"), Order: Order(rapid.IntRange(0, int(Exit)).Draw(t, "order")), Node: o.Node, From: name.Draw(t, "from"), Settled: rapid.Bool().Draw(t, "settled"), At: at}
		if got, err := decodePill(l.encode(p), p); err != nil || got != l {
			t.Fatalf("%+v, %v, want %+v", got, err, l)
		}
		h := Header{Set: p.set, Cluster: [16]byte{1, 2}, Disks: 3, Index: 2, Slots: 64, Times: DefaultTimes(0)}
		if got, err := decodeHeader(h.encode()); err != nil || got != h {
			t.Fatalf("%+v, %v, want %+v", got, err, h)
		}
	})
}

// No bit of a record can be another one, and no record lies in another's place.
func TestDamage(t *testing.T) {
	p := place{set: [16]byte{5}, block: 7}
	block := Pill{Seq: 9, Order: Reboot, Node: "n2", From: "n1", At: time.Unix(1, 0)}.encode(p)
	for bit := range 8 * recordSize {
		b := bytes.Clone(block)
		b[bit/8] ^= 1 << (bit % 8)
		if l, err := decodePill(b, p); err == nil {
			t.Fatalf("bit %d: %+v", bit, l)
		}
	}
	for _, q := range []place{{set: p.set, block: 8}, {set: [16]byte{6}, block: 7}} {
		if _, err := decodePill(block, q); err == nil {
			t.Errorf("a record of %+v was read at %+v", p, q)
		}
	}
	if _, err := decodeOwner(block, p); err == nil {
		t.Error("an order was read as a node's record")
	}
	if l, err := decodePill(make([]byte, blockSize), p); err != nil || l.Order != NoOrder {
		t.Errorf("empty: %+v, %v", l, err)
	}
	if _, err := decodeHeader(make([]byte, blockSize)); !errors.Is(err, ErrForeign) {
		t.Errorf("an empty disk: %v", err)
	}
}

func FuzzRecords(f *testing.F) {
	p := place{set: [16]byte{5}, block: 7}
	f.Add(Owner{Node: "n1", Boot: "b", State: Up}.encode(p))
	f.Add(Pill{Order: Off, Node: "n1"}.encode(p))
	f.Add(Header{Set: p.set, Disks: 1, Slots: 1, Times: DefaultTimes(0)}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) < setOffset+16 {
			data = append(data, make([]byte, setOffset+16)...)
		}
		if h, err := decodeHeader(data); err == nil && h.valid() != nil {
			t.Errorf("%+v", h)
		}
		decodeOwner(data, p) //nolint:errcheck // it must not panic
		decodePill(data, p)  //nolint:errcheck // it must not panic
		recogniseContent(data)
	})
}

func TestSequence(t *testing.T) {
	const top = math.MaxUint64
	for _, c := range []struct {
		a, b uint64
		want bool
	}{{2, 1, true}, {1, 2, false}, {1, 1, false}, {1, top, true}, {top, 1, false}, {top, top - 1, true}} {
		if newer(c.a, c.b) != c.want {
			t.Errorf("newer(%d, %d)", c.a, c.b)
		}
	}
	if got := (Slot{Owner: Owner{Void: top}}).next(); got != 1 {
		t.Errorf("after the last comes %d", got)
	}
	if got := (Slot{Owner: Owner{Void: 3, Cleared: 3, Seen: 5}, Pill: Pill{Seq: 4}}).next(); got != 6 {
		t.Errorf("got %d", got)
	}
}

// Orders go on to be obeyed when the numbers wrap around.
func TestWrap(t *testing.T) {
	now := time.Unix(1000, 0)
	g := guard{node: "n2", boot: "b", times: DefaultTimes(0)}
	last := Slot{Owner: Owner{Node: "n2", Boot: "a", State: Up, Count: math.MaxUint64, Void: math.MaxUint64 - 1, Cleared: math.MaxUint64 - 1},
		Pill: Pill{Seq: math.MaxUint64, Order: Off, Node: "n2", Settled: true}}
	if err := g.begin(now, []Slot{last}); err != nil {
		t.Fatal(err)
	}
	if g.seen(now, last, true, time.Second); g.order.Order != NoOrder {
		t.Fatal("an order of before the boot was obeyed")
	}
	slot := Slot{Owner: g.owner, Pill: Pill{Seq: last.next(), Order: Off, Node: "n2", From: "n1"}}
	if slot.Owner.Void = math.MaxUint64; slot.Pill.Seq != 1 {
		t.Fatalf("next is %d", slot.Pill.Seq)
	}
	if g.seen(now, slot, true, time.Second); g.order.Order != Off {
		t.Error("an order after the wrap was not obeyed")
	}
}

// A slot that has become another node's makes a node ill, at once and for good.
func TestStolenSlot(t *testing.T) {
	now := time.Unix(1000, 0)
	g := guard{node: "n2", boot: "b", times: DefaultTimes(0)}
	mine := Slot{Owner: Owner{Node: "n2", Boot: "b", State: Up, Count: 4}}
	if err := g.begin(now, []Slot{mine}); err != nil {
		t.Fatal(err)
	}
	if g.seen(now, mine, true, time.Second); !g.health(now, "").OK {
		t.Fatalf("%+v", g.health(now, ""))
	}
	g.seen(now, Slot{Owner: Owner{Node: "n9", State: Up, Count: 9}}, true, time.Second)
	if h := g.health(now, ""); h.OK || h.Ready || !strings.Contains(h.Why, "become that of n9") {
		t.Errorf("%+v", h)
	}
}

// How long a node may be blind: it is off before anybody takes it for off.
func TestBlind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := DefaultTimes(time.Duration(rapid.IntRange(200, 60000).Draw(t, "watchdog")) * time.Millisecond)
		if err := times.valid(); err != nil {
			t.Fatal(err)
		}
		if times.Blind()+times.Watchdog+times.Loop > times.Wait {
			t.Fatalf("%+v", times)
		}
		read := time.Unix(1000, 0)
		g := guard{times: times, read: read}
		if g.health(read.Add(times.Blind()-1), "").OK != true || g.health(read.Add(times.Blind()), "").OK {
			t.Fatalf("%+v", times)
		}
	})
}
