package tally

import (
	"encoding/binary"
	"hash/maphash"
	"unsafe"
)

// Index finds the id of a series by its name. It keeps 96 bits of a keyed hash instead of the name: 16 bytes for each
// slot of an open table. The key is random and never leaves the process, so no name can be chosen to collide; by
// chance, any two of 100 million names collide with a probability of 1 in 10^13.
type Index struct {
	high, low maphash.Seed
	slots     []slot
	memory    *region // of the slots
	length    int
	name      []byte
}

// slot is an entry of the table.
type slot struct {
	high uint64
	low  uint32
	next uint32 // id + 1; 0 = the slot is free
}

const fewestSlots = 64

// NewIndex makes an empty index.
func NewIndex() *Index {
	x := &Index{high: maphash.MakeSeed(), low: maphash.MakeSeed()}
	x.allocate(fewestSlots)
	return x
}

// Sibling makes an empty index with the same keys.
func (x *Index) Sibling() *Index {
	y := &Index{high: x.high, low: x.low}
	y.allocate(fewestSlots)
	return y
}

// Key is the hash of a name.
type Key struct {
	high uint64
	low  uint32
}

// Key hashes a name of several parts.
func (x *Index) Key(parts ...string) Key {
	b := x.name[:0]
	for _, p := range parts {
		b = binary.AppendUvarint(b, uint64(len(p)))
		b = append(b, p...)
	}
	x.name = b
	return Key{maphash.Bytes(x.high, b), uint32(maphash.Bytes(x.low, b))}
}

// Get finds the id of a name.
func (x *Index) Get(k Key) (id uint32, ok bool) {
	s := x.find(k)
	return s.next - 1, s.next != 0
}

// Has reports whether a name is in the index.
func (x *Index) Has(k Key) bool { return x.find(k).next != 0 }

// find is the slot of a key, or the free one in which it belongs.
func (x *Index) find(k Key) *slot {
	mask := uint64(len(x.slots) - 1)
	for i := k.high & mask; ; i = (i + 1) & mask {
		s := &x.slots[i]
		if s.next == 0 || s.high == k.high && s.low == k.low {
			return s
		}
	}
}

// Put adds a name that is not in the index. Three quarters of the slots are used at most.
func (x *Index) Put(k Key, id uint32) {
	if x.length >= len(x.slots)/4*3 {
		x.grow()
	}
	*x.find(k) = slot{k.high, k.low, id + 1}
	x.length++
}

// Set changes the id of a name, or adds the name.
func (x *Index) Set(k Key, id uint32) {
	if s := x.find(k); s.next != 0 {
		s.next = id + 1
		return
	}
	x.Put(k, id)
}

// Remove removes a name, and moves the names behind it to where Get finds them without it.
func (x *Index) Remove(k Key) {
	mask := uint64(len(x.slots) - 1)
	free := x.find(k)
	if free.next == 0 {
		return
	}
	x.length--
	at := k.high & mask
	for &x.slots[at] != free {
		at = (at + 1) & mask
	}
	for i := (at + 1) & mask; x.slots[i].next != 0; i = (i + 1) & mask {
		// A name may move if its first slot is not between the free one and its own.
		if (i-x.slots[i].high)&mask >= (i-at)&mask {
			x.slots[at] = x.slots[i]
			at = i
		}
	}
	x.slots[at] = slot{}
}

func (x *Index) grow() {
	old := x.slots
	memory := x.memory
	x.allocate(2 * len(old))
	for i := range old {
		if s := &old[i]; s.next != 0 {
			*x.find(Key{s.high, s.low}) = *s
		}
	}
	memory.free()
}

func (x *Index) allocate(slots int) {
	x.memory = newRegion(slots * int(unsafe.Sizeof(slot{})))
	at := 0
	x.slots = carve[slot](x.memory, &at, slots)
}

// Bytes is the memory of the index.
func (x *Index) Bytes() int { return len(x.slots) * int(unsafe.Sizeof(slot{})) }
