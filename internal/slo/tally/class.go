package tally

import (
	"encoding/binary"
	"math/bits"
	"slices"
)

// Rule fires when both windows of a line are above its limit. The windows are short ones, Short the shorter.
type Rule struct {
	Long, Short Window
	Limit       uint64 // of Above
}

// above reports whether a line, which is not wide, is above the rule.
func (r *Rule) above(l *line) bool {
	return l[r.Short]>>32 != 0 && Above(unpack(l[r.Short&7]), r.Limit) && Above(unpack(l[r.Long&7]), r.Limit)
}

// seriesClass holds the settings that lines share: the period of their budget and the rules of all their objectives.
type seriesClass struct {
	period Window
	rules  []Rule
	any    bool // the rules are not known: any failure counts
}

// maxClasses bounds the table: a line has one byte for its class. One class for each period is reserved that has no
// rules of its own: lines of further classes are suspects whenever they have a failure in their short windows.
const maxClasses = 256

// classTable numbers the classes.
type classTable struct {
	list    []seriesClass
	periods [maxClasses]Window // the period of each
	known   map[string]uint8
	rolling []Window // periods of any class that slide
	ruled   int      // classes that have rules
}

// newClassTable has the class of a line without objectives, number 0.
func newClassTable() classTable {
	t := classTable{known: map[string]uint8{}}
	t.add(seriesClass{period: D28})
	t.use(D28)
	return t
}

// use notes that a series has a period.
func (t *classTable) use(budget Window) {
	if !budget.IsCalendar() && !slices.Contains(t.rolling, budget) {
		t.rolling = append(t.rolling, budget)
	}
}

// of returns the number of a class.
func (t *classTable) of(c seriesClass) uint8 {
	if !c.any && len(c.rules) == 0 && c.period == D28 {
		return 0
	}
	key := []byte{byte(c.period)}
	if c.any {
		key = append(key, 0xff)
		c.rules = nil
	}
	for _, r := range c.rules {
		key = append(key, byte(r.Long), byte(r.Short))
		key = binary.AppendUvarint(key, r.Limit)
	}
	if n, ok := t.known[string(key)]; ok {
		return n
	}
	if !c.any {
		if t.ruled == maxClasses-1-periodCount {
			return t.of(seriesClass{period: c.period, any: true})
		}
		t.ruled++
	}
	n := t.add(c)
	t.known[string(key)] = n
	return n
}

func (t *classTable) add(c seriesClass) uint8 {
	n := uint8(len(t.list))
	t.list = append(t.list, c)
	t.periods[n] = c.period
	return n
}

// with is the class with further rules.
func (c *seriesClass) with(rules []Rule) seriesClass {
	all := slices.Clone(c.rules)
	for _, r := range rules {
		if !slices.Contains(all, r) {
			all = append(all, r)
		}
	}
	return seriesClass{period: c.period, rules: all, any: c.any}
}

// Watch adds the rules of an objective to a series, and its period. It precedes the first count of the series, or the
// restoring of its blocks.
func (s *Set) Watch(id uint32, budget Window, rules []Rule) {
	p, i := s.at(id)
	c := &s.classes.list[p.class[i]]
	if p.class[i] == 0 {
		c = &seriesClass{period: budget}
	}
	if c.period != budget {
		s.further.add(id, budget)
	}
	s.classes.use(budget)
	p.class[i] = s.classes.of(c.with(rules))
	p.mark(i)
}

// SetActive sets whether Suspects returns a series whenever it has changed.
func (s *Set) SetActive(id uint32, active bool) {
	p, i := s.at(id)
	if active {
		p.active.set(i)
	} else {
		p.active.clear(i)
	}
}

// Suspects appends the series to list, ascending, that changed since the last call and that are active or above a rule.
// The age of a series is not regarded.
func (s *Set) Suspects(list []uint32) []uint32 {
	for n, p := range s.pages {
		list = s.suspectsOf(p, uint32(n)<<ChunkBits, list)
	}
	return list
}

// suspectsOf goes through the dirty lines, a word of marks at a time.
func (s *Set) suspectsOf(p *page, base uint32, list []uint32) []uint32 {
	for j, word := range p.dirty {
		if word == 0 {
			continue
		}
		p.dirty[j] = 0
		lines := p.lines[j*64 : min(j*64+64, len(p.lines))]
		for w := word & (p.active[j] | failing(lines, word)); w != 0; w &= w - 1 {
			i := uint32(j)<<6 + uint32(bits.TrailingZeros64(w))
			if s.suspect(p, i) {
				list = append(list, base+i)
			}
		}
	}
	return list
}

// manyDirty is the number of dirty lines of 64 from which on reading all of them in order is faster than reading these.
const manyDirty = 6

// failing is the set of those of 64 lines that have a failure in the longest short window, which contains the others.
// It considers the lines in word, at least.
func failing(lines []line, word uint64) (set uint64) {
	if bits.OnesCount64(word) >= manyDirty {
		for i := range lines {
			bad := lines[i][D3] >> 32
			set |= (bad | -bad) >> 63 << (i & 63)
		}
		return set
	}
	for ; word != 0; word &= word - 1 {
		i := bits.TrailingZeros64(word)
		bad := lines[i][D3] >> 32
		set |= (bad | -bad) >> 63 << (i & 63)
	}
	return set
}

// suspect reports whether a line is active or above a rule.
func (s *Set) suspect(p *page, i uint32) bool {
	if p.active.has(i) {
		return true
	}
	l := &p.lines[i]
	c := &s.classes.list[p.class[i]]
	if c.any {
		return true
	}
	if l[period] != wideMark {
		for k := range c.rules {
			if c.rules[k].above(l) {
				return true
			}
		}
		return false
	}
	row := s.wide.of(l)
	for _, r := range c.rules {
		if Above(row[r.Short], r.Limit) && Above(row[r.Long], r.Limit) {
			return true
		}
	}
	return false
}
