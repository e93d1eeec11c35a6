package tally

import "math/bits"

// line is a series: seven short windows and one period, each packed as total | bad << 32. Both halves can be added and
// subtracted at once: a failure is also a request, so no half overflows unless the total does.
type line [short + 1]uint64

const (
	period = short // index of the period in a line

	// wideMark in the place of the period marks a line whose tallies are in the side table, at the index that its first
	// word has. No packed tally equals it, because none has more failures than requests.
	wideMark = 0xffff_ffff << 32

	carryBit = 1 << 32

	everyPlace = 1<<(short+1) - 1 // all windows of a line, as bits
)

// fits reports whether a tally can be packed.
func fits(t Tally) bool { return t.Total < 1<<32 }

func pack(t Tally) uint64 { return t.Total | t.Bad<<32 }

func unpack(v uint64) Tally { return Tally{v & 0xffff_ffff, v >> 32} }

// addAll adds a packed tally to every window. ok is false, and the line unchanged, when a total would overflow.
func (l *line) addAll(x uint64) (ok bool) {
	var carry uint64 // the carries into each bit, of any window
	for i, old := range l {
		sum := old + x
		carry |= old ^ x ^ sum
		l[i] = sum
	}
	if carry&carryBit == 0 {
		return true
	}
	for i := range l {
		l[i] -= x
	}
	return false
}

// addTo adds a packed tally to some windows, as bits; ok as for addAll.
func (l *line) addTo(in uint16, x uint64) (ok bool) {
	var carry uint64
	for m := in; m != 0; m &= m - 1 {
		i := bits.TrailingZeros16(m) & (len(l) - 1)
		sum := l[i] + x
		carry |= l[i] ^ x ^ sum
		l[i] = sum
	}
	if carry&carryBit == 0 {
		return true
	}
	for m := in; m != 0; m &= m - 1 {
		l[bits.TrailingZeros16(m)&(len(l)-1)] -= x
	}
	return false
}

// wideTable is the side table of the lines that exceed 32 bits.
type wideTable struct {
	rows []Sums
	free []uint32 // indices of rows that no line uses
}

// of returns the row of a line that is marked as wide.
func (t *wideTable) of(l *line) *Sums { return &t.rows[l[0]] }

// widen moves a line to the side table. Suspects always looks at it, because it seems to have a failure.
func (t *wideTable) widen(l *line) {
	var row Sums
	for i, v := range l {
		row[i] = unpack(v)
	}
	at := len(t.rows)
	if n := len(t.free); n > 0 {
		at = int(t.free[n-1])
		t.free = t.free[:n-1]
		t.rows[at] = row
	} else {
		t.rows = append(t.rows, row)
	}
	*l = line{0: uint64(at), int(D3): 1 << 32, period: wideMark}
}

// narrow moves a line back when all its tallies fit again.
func (t *wideTable) narrow(l *line) {
	at := l[0]
	row := t.rows[at]
	for i := range row {
		if !fits(row[i]) {
			return
		}
	}
	for i := range row {
		l[i] = pack(row[i])
	}
	t.rows[at] = Sums{}
	t.free = append(t.free, uint32(at))
}

// add adds a tally to some windows of a line, as bits, whatever its size.
func (t *wideTable) add(l *line, in uint16, x Tally) {
	if l[period] != wideMark {
		t.widen(l)
	}
	row := t.of(l)
	for m := in; m != 0; m &= m - 1 {
		row[bits.TrailingZeros16(m)].Add(x)
	}
}

// subtract subtracts a tally from one window of a wide line.
func (t *wideTable) subtract(l *line, window int, x Tally) {
	t.of(l)[window].Subtract(x)
	t.narrow(l)
}
