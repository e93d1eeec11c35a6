package broker

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// When a batch does not fit on the disk, kfake refuses it, truncates the segment's
// file to its size before, and leaves the log in memory unchanged
// (persistBatchToSegment and pushBatch in its source). So nothing acknowledged is
// lost and nothing unacknowledged is served. Two details of it are not safe for
// long, so every further batch is refused before kfake sees it:
//
//   - It ignores a failure of that truncation. The file then has bytes that the log
//     in memory does not know, and every later record is at another position than
//     expected. So each file is compared with the log in memory before records are
//     accepted again; if they differ, only a restart helps (see [repairTails]), and
//     readiness says so.
//   - It keeps the sequence number of the refused batch. A client that did not see
//     the refusal and sends the batch again would get a success. The other batches
//     are refused with KAFKA_STORAGE_ERROR before that check.
//
// The files about groups and producer ids are different: kfake appends after a torn
// entry, and would not read past it. That stays a fault, which an orderly restart
// cures, because it writes these files from the start.

// probeBytes must fit on the disk before records are accepted again.
const probeBytes = 4 << 20

// checkDisk accepts records again when the disk has space and the files match the
// log in memory. It is true when they do not match: only a restart helps then.
func (b *Broker) checkDisk() (stuck bool) {
	if err := db.ProbeDisk(filepath.Join(b.cfg.DataDir, "room"), probeBytes); err != nil {
		b.cfg.Log.Debug("the disk of the broker's log is still full", "error", err)
		return false
	}
	if err := b.compareTails(); err != nil {
		b.watch.blame(err.Error())
		b.cfg.Log.Error("broker log", "error", err)
		return true
	}
	b.cfg.Log.Info("the broker accepts records again: its disk has space")
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

// indexEntry is the size of a batch's entry in kfake's index file.
const indexEntry = 15

// compareTail compares a file with the end of its log in memory. It also truncates
// the index after its last whole entry: kfake leaves a torn entry there, and would
// read the entries after it at wrong positions.
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
		return fmt.Errorf("its file has whole records up to offset %d and %d more bytes; the log in memory ends at %d",
			t.next, t.torn, end)
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
