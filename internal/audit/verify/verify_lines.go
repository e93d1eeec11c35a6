package verify

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// The lines of an export are verified on all cores and come out in their order:
//
//	one reader -> chunks of lines -> a worker for each core -> in order -> the root

// chunkLines is how many lines a worker takes at once.
const chunkLines = 256

// lineChunk is some lines in a row. It belongs to the reader, then to one worker,
// and after done is closed to the receiver of the results.
type lineChunk struct {
	first uint64 // seq of the first line
	data  []byte
	ends  []int          // of each line in data
	lines []verifiedLine // those before err
	err   error          // of the line after the last of lines, or of what follows the chunk
	done  chan struct{}
}

type verifiedLine struct {
	leaf   merkle.Hash
	erased int
}

// verifyLines verifies the lines that the header promises and passes each to take,
// in order. more says that the export does not end there.
func verifyLines(in *bufio.Scanner, x record.ExportRange, take func(*verifiedLine) error) (more bool, err error) {
	var after struct { // of the reader, until ordered is closed
		more bool
		err  error
	}
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *lineChunk)
	ordered := make(chan *lineChunk, 4*workers)
	stop := make(chan struct{})
	var running sync.WaitGroup
	defer running.Wait()
	defer close(stop)
	spare := sync.Pool{New: func() any { return &lineChunk{} }}
	running.Go(func() {
		defer close(work)
		defer close(ordered)
		for seq := x.From; seq < x.To; {
			c := spare.Get().(*lineChunk)
			c.read(in, seq, x.To)
			seq += uint64(len(c.ends))
			last := c.err != nil
			for _, to := range []chan *lineChunk{ordered, work} {
				select {
				case to <- c:
				case <-stop:
					return
				}
			}
			if last {
				return
			}
		}
		for !after.more && in.Scan() {
			after.more = len(bytes.Trim(in.Bytes(), " \t\r")) > 0 // empty lines at the end are no events
		}
		after.err = in.Err()
	})
	for range workers {
		running.Go(func() {
			var p plain
			for c := range work {
				c.verify(&p, x)
				close(c.done)
			}
		})
	}
	for c := range ordered {
		<-c.done
		for i := range c.lines {
			if err := take(&c.lines[i]); err != nil {
				return false, err
			}
		}
		if c.err != nil {
			return false, c.err
		}
		spare.Put(c)
	}
	return after.more, after.err
}

// read fills the chunk with lines from seq on.
func (c *lineChunk) read(in *bufio.Scanner, seq, to uint64) {
	c.first = seq
	c.data = c.data[:0]
	c.ends = c.ends[:0]
	c.lines = c.lines[:0]
	c.err = nil
	c.done = make(chan struct{})
	for ; seq < to && len(c.ends) < chunkLines; seq++ {
		if !in.Scan() {
			c.err = errors.Join(fmt.Errorf("the export ends before event %d; its header promises events up to %d", seq, to-1),
				in.Err())
			return
		}
		c.data = append(c.data, in.Bytes()...)
		c.ends = append(c.ends, len(c.data))
	}
}

func (c *lineChunk) verify(p *plain, x record.ExportRange) {
	start := 0
	for i, end := range c.ends {
		seq := c.first + uint64(i)
		l, err := verifyLine(p, c.data[start:end], x.Account, seq)
		if err != nil {
			c.err = fmt.Errorf("event %d (line %d): %w", seq, seq-x.From+2, err)
			return
		}
		c.lines = append(c.lines, l)
		start = end
	}
}

// verifyLine checks one event of an export against itself and gives its leaf.
func verifyLine(p *plain, line []byte, account string, seq uint64) (l verifiedLine, err error) {
	var ok bool
	if l.leaf, l.erased, ok = p.verify(line, account, seq); ok {
		return l, nil
	}
	return verifyAnyLine(line, account, seq)
}

// verifyAnyLine decides about a line that need not be plain.
func verifyAnyLine(line []byte, account string, seq uint64) (l verifiedLine, err error) {
	var e exportedEvent
	if err := json.Unmarshal(line, &e, onlyKnown); err != nil {
		return l, fmt.Errorf("not a line of an export: %w", err)
	}
	if e.Seq != seq {
		return l, fmt.Errorf("its seq is %d: an event is missing, doubled or moved", e.Seq)
	}
	l.leaf, l.erased, err = e.verify(account)
	return l, err
}
