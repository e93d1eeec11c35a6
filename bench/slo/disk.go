package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/belfryhq/belfry/internal/slo/tally"
)

// disk keeps chunks in one file, which only grows: it measures the core without a database.
type disk struct {
	file  *os.File
	at    int64
	place map[tally.Ref]extent
}

type extent struct {
	at   int64
	size int
}

func newDisk(folder string) (*disk, error) {
	file, err := os.Create(filepath.Join(folder, "blocks"))
	return &disk{file: file, place: map[tally.Ref]extent{}}, err
}

func (d *disk) put(c tally.Change) error {
	if c.Data == nil {
		delete(d.place, c.Ref)
		return nil
	}
	if _, err := d.file.WriteAt(c.Data, d.at); err != nil {
		return err
	}
	d.place[c.Ref] = extent{d.at, len(c.Data)}
	d.at += int64(len(c.Data))
	return nil
}

func (d *disk) load(ref tally.Ref) ([]byte, error) {
	place, ok := d.place[ref]
	if !ok {
		return nil, fmt.Errorf("%+v is not stored", ref)
	}
	data := make([]byte, place.size)
	_, err := d.file.ReadAt(data, place.at)
	return data, err
}

func (d *disk) close() { _ = d.file.Close() }
