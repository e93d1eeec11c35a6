package broker

import (
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// repairTails truncates a batch that a crash left incomplete, and that was never
// acknowledged, from the end of each partition's newest file. kfake would truncate
// it as well, but with the same warning as for a damaged log. Everything else that
// kfake cannot read is left for its warning.
func repairTails(dir string, log *slog.Logger) error {
	root := filepath.Join(dir, "partitions")
	entries, err := os.ReadDir(root)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), "-0")
		topic, err := url.PathUnescape(name)
		if err != nil || !e.IsDir() {
			continue
		}
		list, err := segments(dir, topic)
		if err != nil {
			return err
		}
		if len(list) == 0 {
			continue
		}
		file := filepath.Join(root, e.Name(), strconv.FormatInt(list[len(list)-1].base, 10)+".dat")
		cut, err := repairTail(file)
		if err != nil {
			return err
		}
		if cut > 0 {
			log.Info("removed a batch that a crash left incomplete", "topic", topic, "bytes", cut)
		}
	}
	return nil
}

// repairTail returns the number of bytes that it truncated.
func repairTail(file string) (int64, error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	t, err := readTail(f)
	if err != nil || t.torn == 0 {
		return 0, err
	}
	if err := f.Truncate(t.bytes); err != nil {
		return 0, err
	}
	return t.torn, f.Sync()
}

// tail describes the end of a partition's file.
type tail struct {
	bytes   int64 // of whole batches
	batches int64
	next    int64 // offset after the last record; -1 without a batch
	torn    int64 // bytes of an incomplete batch after them
	damaged bool  // the bytes after them are not the beginning of a batch
}

// readTail walks over the headers. A batch is int64 base offset, int32 length, and
// so many bytes; the offset of its last record, relative to the first, is the int32
// at byte 23.
func readTail(f *os.File) (tail, error) {
	t := tail{next: -1}
	info, err := f.Stat()
	if err != nil {
		return t, err
	}
	for size := info.Size(); t.bytes < size; {
		var head [27]byte
		n, err := f.ReadAt(head[:], t.bytes)
		if err != nil && !errors.Is(err, io.EOF) {
			return t, err
		}
		length := int64(int32(binary.BigEndian.Uint32(head[8:])))
		switch {
		case n >= 12 && (length < 49 || length > 1<<30):
			t.damaged = true
			return t, nil
		case n < len(head) || t.bytes+12+length > size:
			t.torn = size - t.bytes
			return t, nil
		}
		t.next = int64(binary.BigEndian.Uint64(head[:])) + int64(int32(binary.BigEndian.Uint32(head[23:]))) + 1
		t.bytes += 12 + length
		t.batches++
	}
	return t, nil
}
