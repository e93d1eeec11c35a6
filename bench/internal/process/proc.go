package process

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// CPU is the user and system time of a process and of its children that have ended, in ticks of 10 ms (proc(5)).
func CPU(pid int) time.Duration {
	fields := stat(pid)
	if len(fields) < 15 {
		return 0
	}
	var sum time.Duration
	for _, ticks := range fields[11:15] {
		n, _ := strconv.ParseInt(ticks, 10, 64) // the kernel writes numbers
		sum += time.Duration(n) * 10 * time.Millisecond
	}
	return sum
}

// SelfCPU is the user and system time of this process.
func SelfCPU() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// Memory is the resident memory of a process in bytes.
type Memory struct {
	Resident  int64
	Anonymous int64 // the part that is not pages of files
	Mapped    int64 // pages of files: the kernel takes them back when it needs them
}

// MemoryOf reads the memory of a process.
func MemoryOf(pid int) Memory {
	text := Read(fmt.Sprintf("/proc/%d/status", pid))
	return Memory{
		Resident:  kilobytes(text, "VmRSS:"),
		Anonymous: kilobytes(text, "RssAnon:"),
		Mapped:    kilobytes(text, "RssFile:"),
	}
}

// kilobytes finds a line of a file of /proc that is a name, a number and kB, and returns bytes.
func kilobytes(text, name string) int64 {
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == name {
			n, _ := strconv.ParseInt(fields[1], 10, 64) // the kernel writes numbers
			return n << 10
		}
	}
	return 0
}

// Read is the text of a file of /proc, empty where there is none.
func Read(name string) string {
	text, _ := os.ReadFile(name)
	return string(text)
}

// Load is the machine's load average over the last minute.
func Load() string {
	load, _, _ := strings.Cut(Read("/proc/loadavg"), " ")
	return load
}

// Machine describes the machine in one line.
func Machine() string {
	model := runtime.GOARCH
	for line := range strings.Lines(Read("/proc/cpuinfo")) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			model = strings.TrimSpace(value)
			break
		}
	}
	return fmt.Sprintf("%s, %d cores, %.0f GB, Linux %s, %s", model, runtime.NumCPU(),
		float64(kilobytes(Read("/proc/meminfo"), "MemTotal:"))/1e9,
		strings.TrimSpace(Read("/proc/sys/kernel/osrelease")), runtime.Version())
}

// stat is the fields of /proc/PID/stat after the name of the command, which may hold spaces.
func stat(pid int) []string {
	_, rest, _ := strings.Cut(Read(fmt.Sprintf("/proc/%d/stat", pid)), ") ")
	return strings.Fields(rest)
}

// Listener finds the process that listens on a local TCP port; 0 when it is not on this machine or cannot be read.
func Listener(address string) int {
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	port, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	socket := ""
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		for line := range strings.Lines(Read(table)) {
			f := strings.Fields(line)
			if len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[3] == "0A" {
				socket = "socket:[" + f[9] + "]"
			}
		}
	}
	if socket == "" {
		return 0
	}

	owner := 0
	files, _ := filepath.Glob("/proc/[0-9]*/fd/*") // a valid pattern
	for _, file := range files {
		if to, err := os.Readlink(file); err == nil && to == socket {
			pid, _ := strconv.Atoi(strings.Split(file, "/")[2]) // digits, by the pattern
			if owner == 0 || pid < owner {                      // a forked child may have it open too
				owner = pid
			}
		}
	}
	return owner
}

// Family is a process and its children.
func Family(pid int) []int {
	if pid == 0 {
		return nil
	}
	list := []int{pid}
	folders, _ := filepath.Glob("/proc/[0-9]*") // a valid pattern
	for _, folder := range folders {
		child, _ := strconv.Atoi(filepath.Base(folder)) // digits, by the pattern
		fields := stat(child)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) && !slices.Contains(list, child) {
			list = append(list, child)
		}
	}
	return list
}
