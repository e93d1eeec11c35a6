package audit

import (
	"hash/fnv"
)

// A facet is one of the fields by which the record is searched fast. The store
// keeps a 64-bit hash of each in the erasable table, and, for every full tile
// of 256 events, one Bloom filter of all of them: a search reads the filters
// (about 360 bytes per 256 events) instead of an index per field, which would
// dirty one random page per event and field on every append.
type facet int

const (
	byActor facet = iota
	byResource
	byProduct
	byAction
	byZone
	facets
)

// key is the hash of a facet's value; 0 stands for "no such value" and "any".
func (f facet) key(value string) int64 {
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

// facetKeys are the five keys of an event.
func facetKeys(e *Event) [facets]int64 {
	zone := e.Zone.ID
	if zone == "" {
		zone = e.Zone.Name
	}
	return [facets]int64{
		byActor.key(e.Actor.ID), byResource.key(e.Resource.ID), byProduct.key(e.Resource.Product),
		byAction.key(e.Action.Type), byZone.key(zone),
	}
}

const (
	bloomBits   = 10 // bits a key: about 1 % of the filters answer yes wrongly
	bloomHashes = 7
)

// newBloom makes the filter of a tile's keys.
func newBloom(keys map[int64]struct{}) []byte {
	b := make([]byte, (len(keys)*bloomBits+7)/8+1)
	for k := range keys {
		for i := range uint64(bloomHashes) {
			bit := bloomBit(k, i, len(b))
			b[bit/8] |= 1 << (bit % 8)
		}
	}
	return b
}

// bloomMayHold reports whether the filter may hold the key; a false is certain.
func bloomMayHold(b []byte, key int64) bool {
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

// compactID is an event's id as the store keeps it: a UUID in 17 bytes (0x01
// without hyphens, 0x02 with), any other as its own text, whose first byte is
// above both.
func compactID(id string) []byte {
	if b, ok := unhex(id); ok {
		return append([]byte{1}, b...)
	}
	if len(id) == 36 && id[8] == '-' && id[13] == '-' && id[18] == '-' && id[23] == '-' {
		if b, ok := unhex(id[:8] + id[9:13] + id[14:18] + id[19:23] + id[24:]); ok {
			return append([]byte{2}, b...)
		}
	}
	return []byte(id)
}

func unhex(s string) ([]byte, bool) {
	if len(s) != 32 {
		return nil, false
	}
	out := make([]byte, 16)
	for i := range out {
		hi, ok1 := nibble(s[2*i])
		lo, ok2 := nibble(s[2*i+1])
		if !ok1 || !ok2 {
			return nil, false
		}
		out[i] = hi<<4 | lo
	}
	return out, true
}

// nibble takes lower case only: an id in upper case is another id.
func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	default:
		return 0, false
	}
}
