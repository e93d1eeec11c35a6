package broker

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// A batch that finds no room on the disk: kfake tells its producer that it was
// not taken, cuts the segment's file back to the size before, and leaves the log
// in memory as it was (persistBatchToSegment and pushBatch in its source). So
// nothing acknowledged is lost and nothing unacknowledged is served. Two things
// in it would not hold for long, which is why every further batch is refused
// before kfake sees it:
//
//   - It discards the result of that cut. When the cut failed too, the file has
//     bytes that the memory does not know, and whatever follows lies elsewhere
//     than it is looked for. So each file is compared with the log in memory
//     before records are taken again; where they differ, only a restart helps
//     (see [mendTails]), and readiness says so.
//   - It remembers the sequence number of the refused batch. A client that lost
//     the refusal and sends the same batch again would be told that it is stored.
//     KAFKA_STORAGE_ERROR, with which the others are refused, comes before that.
//
// What kfake notes about groups and producer ids is another matter: it writes on
// behind a torn note, and would not read past it. That stays a fault, which an
// orderly restart cures (it writes these notes anew).

// roomBytes is how much the disk must take before records are taken again.
const roomBytes = 4 << 20

// findRoom takes records again when the disk has room and the files are what the
// log in memory says. It reports whether they are not: then only a restart helps.
func (b *Broker) findRoom() (stuck bool) {
	if err := tryFile(filepath.Join(b.cfg.DataDir, "room")); err != nil {
		b.cfg.Log.Debug("the disk of the broker's log is still full", "error", err)
		return false
	}
	if err := b.compareTails(); err != nil {
		b.watch.blame(err.Error())
		b.cfg.Log.Error("broker log", "error", err)
		return true
	}
	b.cfg.Log.Info("the broker takes records again: its disk has room")
	b.full.Store(false)
	return false
}

// compareTails compares the end of each topic's file with the end of its log in
// memory. Only while records are refused.
func (b *Broker) compareTails() error {
	b.mu.Lock()
	names := make([]string, 0, len(b.topics))
	for name := range b.topics {
		names = append(names, name)
	}
	b.mu.Unlock()
	for _, name := range names {
		// Asked of kfake's own loop: every batch before it has ended.
		info := b.cluster.PartitionInfo(name, 0)
		list, err := segments(b.cfg.DataDir, name)
		if err != nil {
			return err
		}
		if info == nil || len(list) == 0 {
			continue
		}
		base := list[len(list)-1].base
		file := filepath.Join(b.cfg.DataDir, "partitions", url.PathEscape(name)+"-0", strconv.FormatInt(base, 10)+".dat")
		if err := compareTail(file, base, info.HighWatermark); err != nil {
			return fmt.Errorf("topic %s after a full disk: %w", name, err)
		}
	}
	return nil
}

// indexEntry is the size of kfake's note about a batch, in the file beside.
const indexEntry = 15

// compareTail also cuts off what a refused batch left of its note in the index,
// which kfake leaves there: the notes after it would be read as others.
func compareTail(file string, base, end int64) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	t, err := readTail(f)
	if err != nil {
		return err
	}
	if t.batches == 0 {
		t.next = base
	}
	if t.torn > 0 || t.damaged || t.next != end {
		return fmt.Errorf("its file holds whole records up to offset %d (and %d bytes more), and the log in memory ends at %d", t.next, t.torn, end)
	}
	index := strings.TrimSuffix(file, ".dat") + ".idx"
	info, err := os.Stat(index)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	if want := t.batches * indexEntry; info.Size() > want {
		return os.Truncate(index, want)
	}
	return nil
}

// tryFile writes a file of roomBytes, down to the disk, and removes it.
func tryFile(name string) (err error) {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), os.Remove(name)) }()
	if _, err := f.Write(make([]byte, roomBytes)); err != nil {
		return err
	}
	return f.Sync()
}
