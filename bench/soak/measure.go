package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/bench/internal/process"
)

// usage is one measurement of the server.
type usage struct {
	memory      process.Memory
	heap        int64 // bytes of live and dead Go objects
	goroutines  int64
	descriptors int64
	disk        map[string]int64 // bytes by folder
}

func (s *soak) measure(ctx context.Context) (usage, error) {
	u := usage{memory: process.MemoryOf(s.server.PID())}
	err := s.gauges(ctx, map[string]*int64{
		"go_memstats_heap_inuse_bytes": &u.heap,
		"go_goroutines":                &u.goroutines,
		"process_open_fds":             &u.descriptors,
	})
	if err != nil {
		return u, err
	}
	u.disk, err = diskUsage(s.data)
	return u, err
}

// gauges reads gauges from the server's metrics.
func (s *soak) gauges(ctx context.Context, into map[string]*int64) error {
	r, err := http.NewRequestWithContext(ctx, "GET", s.server.URL+"/metrics", nil)
	if err != nil {
		return err
	}
	res, err := process.Client.Do(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if to := into[name]; to != nil {
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			*to = int64(v)
		}
	}
	return lines.Err()
}

// diskUsage adds up the sizes of the files in each folder of a folder.
func diskUsage(folder string) (map[string]int64, error) {
	sizes := map[string]int64{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			var info fs.FileInfo
			if info, err = d.Info(); err == nil {
				sizes[topFolder(folder, path)] += info.Size()
			}
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		return err
	})
	return sizes, err
}

func topFolder(folder, file string) string {
	inside := strings.TrimPrefix(file, folder+string(filepath.Separator))
	top, _, deeper := strings.Cut(inside, string(filepath.Separator))
	if !deeper {
		return "."
	}
	return top
}

func printHead() {
	fmt.Println("| interval | RSS MB | anonymous | mapped files | Go heap | goroutines | descriptors |" +
		" requests | refused | webhooks | disk MB |")
	fmt.Println("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|")
}

func (u usage) print(row int, s *soak) {
	mb := func(n int64) string { return fmt.Sprintf("%.0f", float64(n)/1e6) }
	var disk []string
	for _, name := range slices.Sorted(maps.Keys(u.disk)) {
		disk = append(disk, name+" "+mb(u.disk[name]))
	}
	fmt.Printf("| %d | %s | %s | %s | %s | %d | %d | %d | %d | %d | %s |\n", row,
		mb(u.memory.Resident), mb(u.memory.Anonymous), mb(u.memory.Mapped), mb(u.heap), u.goroutines, u.descriptors,
		s.sent.Load(), s.refused.Load(), s.delivered.Load(), strings.Join(disk, ", "))
}
