package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// token is the operators' of the server that is loaded.
const token = "soak-soak-soak-soak-soak-soak-soak-soak"

// server is a process of its own, as users have it.
type server struct {
	cmd      *exec.Cmd
	url      string
	data     string
	client   *http.Client
	accounts []string

	sent, refused atomic.Int64
	fault         atomic.Value // error
}

// start builds the command and starts it in folder.
func start(ctx context.Context, folder string) (*server, error) {
	program := filepath.Join(folder, "belfry")
	build := exec.CommandContext(ctx, "go", "build", "-o", program, "./cmd/belfry")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, fmt.Errorf("build (run it in the repository's root): %w", err)
	}
	s := &server{
		cmd:    exec.Command(program, "serve"),
		data:   filepath.Join(folder, "data"),
		client: &http.Client{Timeout: time.Minute, Transport: &http.Transport{MaxIdleConnsPerHost: 3 * callers}},
	}
	s.cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"),
		"BELFRY_DATA_DIR=" + s.data, "BELFRY_LISTEN=127.0.0.1:0", "BELFRY_KAFKA_LISTEN=127.0.0.1:0",
		"BELFRY_BOOTSTRAP_TOKEN=" + token, "BELFRY_LOG_LEVEL=error", "BELFRY_ALLOW_NETWORKS=127.0.0.0/8",
	}
	for _, kv := range os.Environ() { // settings to compare
		if name, _, _ := strings.Cut(kv, "="); name == "BELFRY_SQLITE_CACHE_MB" || name == "GODEBUG" {
			s.cmd.Env = append(s.cmd.Env, kv)
		}
	}
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for s.url == "" {
		if !lines.Scan() {
			return nil, errors.Join(errors.New("the server ended before it was ready"), s.cmd.Wait())
		}
		if url, ok := strings.CutPrefix(lines.Text(), "belfry: ready on "); ok {
			s.url = url
		}
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the process
	return s, nil
}

// stop ends the server in order.
func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// holding is one measurement of memory, descriptors and disk.
type holding struct {
	resident, anonymous, mapped int64 // bytes, from the kernel
	heap                        int64 // bytes of live and dead Go objects
	goroutines, descriptors     int64
	disk                        map[string]int64 // bytes by directory
}

func (s *server) measure(ctx context.Context) (holding, error) {
	var h holding
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	if err != nil {
		return h, err
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64) // other lines are not asked for
		switch fields[0] {
		case "VmRSS:":
			h.resident = kib << 10
		case "RssAnon:":
			h.anonymous = kib << 10
		case "RssFile:":
			h.mapped = kib << 10
		}
	}
	if err := s.metrics(ctx, map[string]*int64{
		"go_memstats_heap_inuse_bytes": &h.heap, "go_goroutines": &h.goroutines, "process_open_fds": &h.descriptors,
	}); err != nil {
		return h, err
	}
	h.disk, err = usage(s.data)
	return h, err
}

// metrics reads gauges from the server.
func (s *server) metrics(ctx context.Context, into map[string]*int64) error {
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+"/metrics", nil)
	if err != nil {
		return err
	}
	res, err := s.client.Do(r)
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

// usage is the size of what lies in each directory of a folder.
func usage(folder string) (map[string]int64, error) {
	sizes := map[string]int64{}
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // deleted meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(folder, path)
		top, _, deeper := strings.Cut(inside, string(filepath.Separator))
		if !deeper {
			top = "."
		}
		sizes[top] += info.Size()
		return err
	})
	return sizes, err
}

func printHead() {
	fmt.Println("| minute | RSS MB | anonymous | mapped files | Go heap | goroutines | descriptors |" +
		" requests | refused | webhooks | disk MB |")
	fmt.Println("|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|")
}

func (h holding) print(minute int, sent, refused, delivered int64) {
	mb := func(n int64) string { return fmt.Sprintf("%.0f", float64(n)/1e6) }
	var names []string
	for name := range h.disk {
		names = append(names, name)
	}
	sort.Strings(names)
	disk := make([]string, len(names))
	for i, name := range names {
		disk[i] = name + " " + mb(h.disk[name])
	}
	fmt.Printf("| %d | %s | %s | %s | %s | %d | %d | %d | %d | %d | %s |\n",
		minute, mb(h.resident), mb(h.anonymous), mb(h.mapped), mb(h.heap), h.goroutines, h.descriptors,
		sent, refused, delivered, strings.Join(disk, ", "))
}
