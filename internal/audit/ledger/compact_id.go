package ledger

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
