package tally

import "slices"

// compact is a sample without its tick. A larger count becomes several of them.
type compact struct {
	id         uint32
	high       uint32 // bits 32 to 47 of the total, then of the failures
	total, bad uint32
}

const compactMost = 1<<48 - 1

func compactOf(id uint32, t Tally) compact {
	return compact{
		id:    id,
		high:  uint32(t.Total>>32)<<16 | uint32(t.Bad>>32),
		total: uint32(t.Total),
		bad:   uint32(t.Bad),
	}
}

func (c *compact) tally() Tally {
	return Tally{uint64(c.high>>16)<<32 | uint64(c.total), uint64(c.high&0xffff)<<32 | uint64(c.bad)}
}

// partition divides samples by the chunks of their ids, so that each chunk's lines are changed while they are cached.
type partition struct {
	next []int // by chunk: the place of its next sample
	out  []compact
}

// pieces is the number of samples that a total becomes.
func pieces(total uint64) int {
	if total <= compactMost {
		return 1
	}
	return int((total + compactMost - 1) / compactMost)
}

// each calls f with the samples of each chunk, ascending.
func (p *partition) each(samples []Sample, f func(chunk uint32, samples []compact) error) error {
	last := uint32(0)
	for i := range samples {
		last = max(last, samples[i].ID)
	}
	chunks := int(last>>ChunkBits) + 1
	p.next = slices.Grow(p.next[:0], chunks+1)[:chunks+1]
	next := p.next
	clear(next)
	for i := range samples {
		next[samples[i].ID>>ChunkBits+1] += pieces(samples[i].Total)
	}
	for i := range chunks {
		next[i+1] += next[i]
	}
	p.out = slices.Grow(p.out[:0], next[chunks])[:next[chunks]]
	for i := range samples {
		t := samples[i].Tally
		at := &next[samples[i].ID>>ChunkBits]
		for t.Total > compactMost {
			part := Tally{compactMost, min(t.Bad, compactMost)}
			p.out[*at] = compactOf(samples[i].ID, part)
			*at++
			t.Subtract(part)
		}
		p.out[*at] = compactOf(samples[i].ID, t)
		*at++
	}
	from := 0
	for chunk := range chunks {
		to := next[chunk]
		if to > from {
			if err := f(uint32(chunk), p.out[from:to]); err != nil {
				return err
			}
		}
		from = to
	}
	return nil
}
