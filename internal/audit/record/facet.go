package record

import (
	"hash/fnv"
)

// A Facet is one of the fields by which the record is searched fast. The store
// keeps a 64-bit hash of each in the erasable table, and, for every full tile
// of 256 events, one Bloom filter of all of them: a search reads the filters
// (about 360 bytes per 256 events) instead of an index per field, which would
// dirty one random page per event and field on every append.
type Facet int

// The facets, and their number.
const (
	ByActor Facet = iota
	ByResource
	ByProduct
	ByAction
	ByZone
	Facets
)

// Key is the hash of a Facet's value; 0 = no value, or any.
func (f Facet) Key(value string) int64 {
	if value == "" {
		return 0
	}
	h := fnv.New64a()
	h.Write([]byte{byte(f)})
	h.Write([]byte(value))
	k := int64(h.Sum64())
	if k == 0 {
		k = 1
	}
	return k
}

// Keys are the keys of one event, by facet.
type Keys [Facets]int64

// FacetKeys are the five keys of an event.
func FacetKeys(e *Event) Keys {
	zone := e.Zone.ID
	if zone == "" {
		zone = e.Zone.Name
	}
	return Keys{
		ByActor.Key(e.Actor.ID), ByResource.Key(e.Resource.ID), ByProduct.Key(e.Resource.Product),
		ByAction.Key(e.Action.Type), ByZone.Key(zone),
	}
}

const (
	bloomBits   = 10 // bits a key: about 1 % of the filters answer yes wrongly
	bloomHashes = 7
)

// NewBloom makes the filter of a tile's keys.
func NewBloom(keys map[int64]struct{}) []byte {
	b := make([]byte, (len(keys)*bloomBits+7)/8+1)
	for k := range keys {
		for i := range uint64(bloomHashes) {
			bit := bloomBit(k, i, len(b))
			b[bit/8] |= 1 << (bit % 8)
		}
	}
	return b
}

// BloomMayHold reports whether the filter may hold the key; a false is certain.
func BloomMayHold(b []byte, key int64) bool {
	for i := range uint64(bloomHashes) {
		bit := bloomBit(key, i, len(b))
		if b[bit/8]&(1<<(bit%8)) == 0 {
			return false
		}
	}
	return true
}

// bloomBit derives the i-th bit by double hashing of the key's two halves,
// which a multiplication has mixed first.
func bloomBit(key int64, i uint64, size int) uint64 {
	x := uint64(key) * 0x9E3779B97F4A7C15
	x ^= x >> 29
	return (uint64(uint32(x)) + i*(x>>32|1)) % uint64(size*8)
}
