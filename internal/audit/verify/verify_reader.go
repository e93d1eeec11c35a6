package verify

import "bytes"

// plainReader walks over JSON that is canonical (see [canonical]) and simple:
// names of members in ASCII without escapes, strings without \u escapes. On
// anything else its methods answer false.
type plainReader struct {
	b []byte
	i int
}

// plainDepth is how deep values may be nested; deeper ones are not simple.
const plainDepth = 64

func (r *plainReader) skip(text string) bool {
	if len(r.b)-r.i < len(text) || string(r.b[r.i:r.i+len(text)]) != text {
		return false
	}
	r.i += len(text)
	return true
}

// word returns the inside of a string in ASCII without escapes, raw the string with
// its quotes.
func (r *plainReader) word() ([]byte, bool) {
	raw, ok := r.raw()
	if !ok {
		return nil, false
	}
	return raw[1 : len(raw)-1], true
}

func (r *plainReader) raw() ([]byte, bool) {
	if r.i >= len(r.b) || r.b[r.i] != '"' {
		return nil, false
	}
	for j := r.i + 1; j < len(r.b); j++ {
		switch c := r.b[j]; {
		case c == '"':
			raw := r.b[r.i : j+1]
			r.i = j + 1
			return raw, true
		case c < 0x20 || c >= 0x80 || c == '\\':
			return nil, false
		}
	}
	return nil, false
}

// member returns the next member of an object whose brace was skipped, nil at its
// end, which must be the end of what is read. shape, unless nil, must know it.
func (r *plainReader) member(shape *clearShape) (key, value []byte, ok bool) {
	if r.b == nil {
		return nil, nil, true
	}
	if r.skip(`}`) {
		return nil, nil, r.i == len(r.b)
	}
	if r.b[r.i-1] != '{' && !r.skip(`,`) { // no value ends with a brace that opens
		return nil, nil, false
	}
	if key, ok = r.word(); !ok || !r.skip(`:`) {
		return nil, nil, false
	}
	start := r.i
	if !r.value(0) {
		return nil, nil, false
	}
	value = r.b[start:r.i]
	if shape != nil {
		s := shape.member(key)
		return key, value, s != nil && s.fits(value)
	}
	return key, value, true
}

// value skips one value.
func (r *plainReader) value(depth int) bool {
	if r.i >= len(r.b) || depth > plainDepth {
		return false
	}
	switch c := r.b[r.i]; c {
	case '"':
		return r.str()
	case '{':
		return r.object(depth)
	case '[':
		r.i++
		if r.skip(`]`) {
			return true
		}
		for r.value(depth + 1) {
			if r.skip(`]`) {
				return true
			}
			if !r.skip(`,`) {
				return false
			}
		}
		return false
	case 't':
		return r.skip(`true`)
	case 'f':
		return r.skip(`false`)
	case 'n':
		return r.skip(`null`)
	default:
		return r.number()
	}
}

// object skips an object whose names ascend, as canonical ones do; in ASCII the
// order of bytes is that of UTF-16.
func (r *plainReader) object(depth int) bool {
	r.i++
	if r.skip(`}`) {
		return true
	}
	var last []byte
	for {
		key, ok := r.word()
		if !ok || last != nil && bytes.Compare(key, last) <= 0 || !r.skip(`:`) || !r.value(depth+1) {
			return false
		}
		if r.skip(`}`) {
			return true
		}
		if !r.skip(`,`) {
			return false
		}
		last = key
	}
}

// str skips a string. Canonical are the short escapes of what must be escaped.
func (r *plainReader) str() bool {
	for j := r.i + 1; j < len(r.b); j++ {
		switch c := r.b[j]; {
		case c == '"':
			r.i = j + 1
			return true
		case c < 0x20:
			return false
		case c == '\\':
			j++
			if j == len(r.b) || bytes.IndexByte([]byte(`"\bfnrt`), r.b[j]) < 0 {
				return false
			}
		}
	}
	return false
}

// number skips a number of the JSON grammar. It is kept as it was written.
func (r *plainReader) number() bool {
	r.skip(`-`)
	if !r.skip(`0`) && !r.digits() {
		return false
	}
	if r.skip(`.`) && !r.digits() {
		return false
	}
	if r.skip(`e`) || r.skip(`E`) {
		if !r.skip(`+`) {
			r.skip(`-`)
		}
		return r.digits()
	}
	return true
}

func (r *plainReader) digits() bool {
	start := r.i
	for r.i < len(r.b) && r.b[r.i] >= '0' && r.b[r.i] <= '9' {
		r.i++
	}
	return r.i > start
}
