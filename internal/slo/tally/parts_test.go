package tally

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

func TestTheMemoryOfALineIsThatOfItsStructs(t *testing.T) {
	if n := unsafe.Sizeof(line{}); n != 64 {
		t.Errorf("a line has %d bytes", n)
	}
	if n := unsafe.Sizeof(slot{}); n != 16 {
		t.Errorf("a slot of the index has %d bytes", n)
	}
	if n := unsafe.Sizeof(compact{}); n != 16 {
		t.Errorf("a compact sample has %d bytes", n)
	}
	const million = 1 << 20
	s := New()
	x := NewIndex()
	for i := range million {
		id := s.AddSeries(epoch)
		s.Watch(id, D30, testRules)
		x.Put(x.Key("account", fmt.Sprint(i)), id)
	}
	perLine := float64(s.Size().Lines) / million
	if want := 64 + 4 + 1 + 3./8; perLine > want+0.2 || perLine < want {
		t.Errorf("%.3f bytes a line, want %.3f", perLine, want)
	}
	if n := s.Size(); n.Side != 0 || n.Chunks != 0 || n.Resident != 0 {
		t.Errorf("%+v", n)
	}
	if perLine += float64(x.Bytes()) / million; perLine > 112 {
		t.Errorf("%.1f bytes a line with the index", perLine)
	}
	if uintptr(unsafe.Pointer(&s.pages[1].lines[0]))%64 != 0 {
		t.Error("a line spans two cache lines")
	}
}

func TestTheIndexForgetsWhatWasRemoved(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	x := NewIndex()
	want := map[string]uint32{}
	for i := range uint32(20_000) {
		name := fmt.Sprint(rng.IntN(500))
		k := x.Key(name)
		if _, known := want[name]; known {
			x.Remove(k)
			x.Remove(k) // nothing is left to remove
			delete(want, name)
		} else {
			x.Put(k, i)
			want[name] = i
		}
	}
	for i := range 500 {
		name := fmt.Sprint(i)
		id, ok := x.Get(x.Key(name))
		if wanted, known := want[name]; ok != known || ok && id != wanted {
			t.Errorf("%s: %d %v, want %d %v", name, id, ok, wanted, known)
		}
	}
	if x.length != len(want) {
		t.Errorf("%d names, want %d", x.length, len(want))
	}
}

func TestTheIndexFindsWhatWasPut(t *testing.T) {
	x := NewIndex()
	const n = 200_000
	for i := range n {
		k := x.Key("zone", fmt.Sprint(i))
		if _, ok := x.Get(k); ok {
			t.Fatal("found before it was put")
		}
		x.Put(k, uint32(i))
	}
	for i := range n {
		if id, ok := x.Get(x.Key("zone", fmt.Sprint(i))); !ok || id != uint32(i) {
			t.Fatalf("%d is %d, %v", i, id, ok)
		}
	}
	for _, parts := range [][]string{{"zone1"}, {"zon", "e1"}, {"", "zone", "1"}, {"zone", "1", ""}} {
		if _, ok := x.Get(x.Key(parts...)); ok {
			t.Errorf("%q is found", parts)
		}
	}
}

func FuzzChunk(f *testing.F) {
	f.Add(Encode(nil, []Entry{{0, Tally{1, 0}}, {7, Tally{300, 2}}, {1<<32 - 1, Tally{1 << 40, 1}}}))
	f.Add([]byte{0x80, 0x00, 0x01})
	f.Add([]byte{0x03, 0x01, 0x02})
	f.Add([]byte{0x02, 0x00})
	f.Add([]byte{0xfe, 0xff, 0xff, 0xff, 0x1f, 0x01, 0x00, 0x01})
	f.Fuzz(func(t *testing.T, b []byte) {
		var list []Entry
		err := Each(b, func(e Entry) { list = append(list, e) })
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatal(err)
			}
			return
		}
		if again := Encode(nil, list); !bytes.Equal(again, b) {
			t.Fatalf("%x is decoded to %+v, which is %x", b, list, again)
		}
		if !slices.IsSortedFunc(list, func(a, b Entry) int { return int(int64(a.ID) - int64(b.ID)) }) {
			t.Fatalf("%+v is not sorted", list)
		}
		// Merging a chunk with itself doubles it, where the sums fit.
		m := &merger{}
		for range 2 {
			if err := m.addChunk(b); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range list {
			if e.ID>>ChunkBits != 0 || e.Total > 1<<62 {
				return
			}
		}
		for i, e := range m.drain(0, nil) {
			if e.ID != list[i].ID || e.Total != 2*list[i].Total || e.Bad != 2*list[i].Bad {
				t.Fatalf("%+v doubled is %+v", list[i], e)
			}
		}
	})
}

func TestABatchKeepsCountsOfAnySize(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	var p partition
	var samples []Sample
	want := map[uint32]Tally{}
	for range 500 {
		x := Tally{Total: 1 + rng.Uint64()>>(8+rng.IntN(56))}
		x.Bad = rng.Uint64N(x.Total + 1)
		id := uint32(rng.IntN(5) << ChunkBits)
		samples = append(samples, Sample{epoch, id, x})
		sum := want[id]
		sum.Add(x)
		want[id] = sum
	}
	err := p.each(samples, func(chunk uint32, list []compact) error {
		var sum Tally
		for i := range list {
			if list[i].id>>ChunkBits != chunk {
				t.Errorf("id %d in chunk %d", list[i].id, chunk)
			}
			sum.Add(list[i].tally())
		}
		if id := chunk << ChunkBits; sum != want[id] {
			t.Errorf("chunk %d: %+v, want %+v", chunk, sum, want[id])
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
