package tally

import (
	"runtime"
	"unsafe"
)

// region is memory without pointers. It is returned when the region is collected, or by free: what is carved from it
// must not outlive its owner, which holds the region.
type region struct {
	bytes   []byte
	cleanup runtime.Cleanup
	unmap   func()
}

const hugePage = 2 << 20

// newRegion returns n zero bytes: outside of the collected heap when there are many, so that the collector does not
// plan for twice as many.
func newRegion(n int) *region {
	r := &region{unmap: func() {}}
	if n >= hugePage {
		if memory, unmap := mapMemory(n); unmap != nil {
			r.bytes = memory
			r.unmap = unmap
			r.cleanup = runtime.AddCleanup(r, func(unmap func()) { unmap() }, unmap)
			return r
		}
	}
	r.bytes = make([]byte, n)
	return r
}

// free returns the memory now.
func (r *region) free() {
	r.cleanup.Stop()
	r.unmap()
	r.bytes = nil
}

// carve cuts n values from the region at *at. T has no pointers, and values of one size keep the alignment of the next.
func carve[T any](r *region, at *int, n int) []T {
	list := unsafe.Slice((*T)(unsafe.Pointer(&r.bytes[*at])), n)
	*at += n * int(unsafe.Sizeof(list[0]))
	return list
}
