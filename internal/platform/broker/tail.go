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

// mendTails cuts off what a crash left of a batch that was never acknowledged:
// an incomplete batch at the very end of a partition's newest file. kfake would
// cut it as well, with the same warning as for a damaged log, and the two must
// be told apart: everything else that kfake cannot read stays for its warning.
func mendTails(dir string, log *slog.Logger) error {
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
		cut, err := mendTail(file)
		if err != nil {
			return err
		}
		if cut > 0 {
			log.Info("cut off a batch that a crash left incomplete", "topic", topic, "bytes", cut)
		}
	}
	return nil
}

// mendTail gives the number of bytes that it cut. A batch is
// int64 base offset, int32 length of what follows, and that.
func mendTail(file string) (int64, error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	size, at := info.Size(), int64(0)
	for at < size {
		var head [12]byte
		if _, err := f.ReadAt(head[:], at); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		length := int64(int32(binary.BigEndian.Uint32(head[8:])))
		if size-at >= 12 && (length < 49 || length > 1<<30) {
			return 0, nil // not a batch: damage, not a torn write
		}
		if size-at < 12 || at+12+length > size {
			if err := f.Truncate(at); err != nil {
				return 0, err
			}
			return size - at, f.Sync()
		}
		at += 12 + length
	}
	return 0, nil
}
