// Package tally keeps, for each time series, the number of requests and of failures in every window: the core of the
// objectives' engine. It knows no database, no page and no objective, and it never reads the clock of the machine.
//
//	samples -> by chunk of ids -> blocks of the tick, lines
//	each tick: blocks that leave a window are subtracted, old blocks are compacted
//	dirty lines -> Suspects: the few lines that a rule or an earlier alert makes worth a look
//
// A series has a dense id. Its tallies are one line of 64 bytes: seven short windows and one period, each a total and a
// failure count of 32 bits. The few that exceed 32 bits are kept in a side table, and so are the series with objectives
// of several periods. There is no pointer and no map for a line: lines are stored in pages of 131,072, outside of the
// collected heap once a set has more than one page.
//
// The history is time-major. A block holds the tallies of all series in one stretch of time, encoded by ascending id in
// about two bytes for each active series, and is split into the same chunks of 131,072 ids: a chunk is a row of the
// database. Blocks are compacted as they age. They are the state; lines are derived from them.
//
// # Determinism
//
// A set is a function of the calls that were made on it. It has no clock, no random order and no concurrency; sums are
// integers, so that the order of additions does not matter. What is stored (blocks and the clock) determines the lines:
// Restore on the stored blocks makes the lines that an uninterrupted run has, for these reasons:
//
//   - The set of windows that contain a block depends on the block's end and on the clock only (windowsOf). Add uses it
//     for a sample, Restore for a block, and Step subtracts a block from a window in the tick in which windowsOf no
//     longer contains it.
//   - The block of a tick depends on the tick and the clock only (blockAt), however late the sample is.
//   - An encoded block has exactly one encoding; merging adds integers.
//
// The engine commits blocks, clock, states, alerts and the consumer's offset in one transaction. So after kill -9 at
// any instant, the process continues with exactly the state after the last committed batch, and counts the following
// records again. The result equals an uninterrupted run that had the same batches.
//
// Objectives are evaluated at the end of every tick of a batch and at the end of the batch: an alert leaves with the
// commit of the batch that contains the crossing record, and never waits for the tick to end. Its time is the end of
// that record's tick. If all counts of a series in a tick arrive in one record, and records in the order of time, the
// division into batches makes no difference at all. A tick whose counts arrive in several records may be evaluated
// between them, on the counts so far, as in an uninterrupted run with these batches.
package tally

import "math/bits"

// Tally counts requests: Bad of Total failed.
type Tally struct{ Total, Bad uint64 }

// Add adds o.
func (t *Tally) Add(o Tally) {
	t.Total += o.Total
	t.Bad += o.Bad
}

// Subtract subtracts o, which must be contained.
func (t *Tally) Subtract(o Tally) {
	t.Total -= o.Total
	t.Bad -= o.Bad
}

// Unit is the divisor of a limit: a share of all requests in parts of ten million, times a factor in thousandths.
const Unit = 10_000_000 * 1000

// Above reports whether bad/total > limit/Unit, in 128-bit integers. A tally without requests is not above.
func Above(t Tally, limit uint64) bool {
	ah, al := bits.Mul64(t.Bad, Unit)
	bh, bl := bits.Mul64(t.Total, limit)
	return ah > bh || ah == bh && al > bl
}

// Sample is the tally of one series in one tick.
type Sample struct {
	At int64 // beginning of the tick, Unix seconds
	ID uint32
	Tally
}
