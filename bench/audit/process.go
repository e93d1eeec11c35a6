package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// server is the running binary.
type server struct {
	b       *bench
	url     string
	kafka   string // where to publish
	profile string // of the profiled server: its pprof address
	cmd     *exec.Cmd
	ready   time.Duration // from the start of the process to the first good /readyz
	others  map[string][]int
}

// start starts the server and waits until it is ready.
func (b *bench) start(ctx context.Context) (*server, error) {
	return b.startProgram(ctx, b.binary, "serve")
}

func (b *bench) startProgram(ctx context.Context, program string, args ...string) (*server, error) {
	s := &server{b: b, kafka: b.kafka}
	s.cmd = exec.Command(program, args...)
	for name, value := range b.settings() {
		s.cmd.Env = append(s.cmd.Env, name+"="+value)
	}
	s.cmd.Env = append(s.cmd.Env, "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"))
	s.cmd.Stderr = os.Stderr
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	b.running = s
	lines := bufio.NewScanner(out)
	for s.url == "" || s.kafka == "" {
		if !lines.Scan() {
			return nil, errors.Join(errors.New("the server ended before it was ready"), s.cmd.Wait())
		}
		for prefix, to := range map[string]*string{"belfry: ready on ": &s.url, "belfry: kafka on ": &s.kafka, "profile on ": &s.profile} {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				*to = rest
			}
		}
	}
	go io.Copy(io.Discard, out)
	for {
		status, _, err := s.call(ctx, "GET", "/readyz", "", nil, nil)
		if err == nil && status == 200 {
			break
		}
		if time.Since(begin) > 2*time.Minute || ctx.Err() != nil {
			return nil, fmt.Errorf("not ready after %v: %d %v", time.Since(begin), status, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	s.ready = time.Since(begin)
	s.others = map[string][]int{}
	if b.postgres != "" {
		s.others["database"] = family(listener(hostport(b.postgres)))
		s.others["broker"] = family(listener(b.kafka))
	}
	return s, nil
}

// stop ends the server in order.
func (s *server) stop() error {
	s.b.running = nil
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// usage is CPU time by who used it.
type usage struct {
	at                              time.Time
	server, database, broker, bench time.Duration
}

func (s *server) usage() usage {
	u := usage{at: time.Now(), server: cpu(s.cmd.Process.Pid), bench: selfCPU()}
	if s.b.postgres != "" {
		// Connections come and go: the family is looked up anew.
		for _, pid := range family(listener(hostport(s.b.postgres))) {
			u.database += cpu(pid)
		}
		for _, pid := range s.others["broker"] {
			u.broker += cpu(pid)
		}
	}
	return u
}

func (u usage) since(v usage) usage {
	return usage{at: u.at, server: u.server - v.server, database: u.database - v.database, broker: u.broker - v.broker, bench: u.bench - v.bench}
}

func selfCPU() time.Duration {
	var r syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// cpu is the user and system time of a process and of its children that have
// ended, in ticks of 10 ms (proc(5)).
func cpu(pid int) (sum time.Duration) {
	_, rest, _ := strings.Cut(read(fmt.Sprintf("/proc/%d/stat", pid)), ") ")
	f := strings.Fields(rest)
	if len(f) < 15 {
		return 0
	}
	for _, ticks := range f[11:15] {
		n, _ := strconv.ParseInt(ticks, 10, 64)
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// rss is a process's resident memory: all of it, and the part that is not
// pages of files, which the kernel takes back when it needs them.
func rss(pid int) (all, own int64) {
	for line := range strings.Lines(read(fmt.Sprintf("/proc/%d/status", pid))) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		n, _ := strconv.ParseInt(f[1], 10, 64)
		switch f[0] {
		case "VmRSS:":
			all = n << 10
		case "RssAnon:":
			own = n << 10
		}
	}
	return all, own
}

func hostport(url string) string {
	_, rest, _ := strings.Cut(url, "@")
	host, _, _ := strings.Cut(rest, "/")
	return host
}

// listener finds the process that listens on a local TCP port; 0 when it is
// not on this machine or not ours to look at.
func listener(address string) int {
	_, port, err := net.SplitHostPort(address)
	n, err2 := strconv.Atoi(port)
	if err != nil || err2 != nil {
		return 0
	}
	inode := ""
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for line := range strings.Lines(read(table)) {
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", n)) && f[3] == "0A" {
				inode = "socket:[" + f[9] + "]"
			}
		}
	}
	if inode == "" {
		return 0
	}
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	owner := 0
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && to == inode {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
			if owner == 0 || pid < owner { // a forked child may hold it too
				owner = pid
			}
		}
	}
	return owner
}

// family is a process and its children.
func family(pid int) []int {
	if pid == 0 {
		return nil
	}
	list := []int{pid}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		_, rest, _ := strings.Cut(read(name), ") ")
		f := strings.Fields(rest)
		if len(f) < 2 || f[1] != strconv.Itoa(pid) {
			continue
		}
		if child, err := strconv.Atoi(strings.Split(name, "/")[2]); err == nil && !slices.Contains(list, child) {
			list = append(list, child)
		}
	}
	return list
}
