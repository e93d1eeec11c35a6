package tail

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/traffic"
)

// entry is the position in one file.
type entry struct {
	ID       string `json:"id"` // made once; part of the keys under which ranges are sent
	Scope    string `json:"scope"`
	Path     string `json:"path"`                // of the log that it was first seen as; its rotated file keeps it
	Device   uint64 `json:"device"`              // with Inode, the file that has the content now
	Inode    uint64 `json:"inode"`               // 0: not known, the file is looked for by its content
	First    string `json:"first"`               // digest of the first line
	OldScope string `json:"old_scope,omitempty"` // of an entry of the first version: First is of it and the first line
	Begins   int64  `json:"begins"`              // Unix time of the first request; 0 = not known
	At       int64  `json:"at"`                  // bytes that are shipped
	Lines    int64  `json:"lines,omitempty"`     // before At; 0 with an At = not known
	Header   string `json:"header,omitempty"`    // of the log, as it applies at At (CloudFront)

	// Counting are the rules of zones, other than the default ones, by which the pending
	// range is counted.
	Counting map[string]traffic.CountingRules `json:"counting,omitempty"`

	Check    string `json:"check"`          // digest of the bytes before At
	Pending  int64  `json:"pending"`        // end of the range that is being sent; not beyond At: none
	Range    string `json:"range"`          // digest of the pending bytes
	Key      string `json:"key,omitempty"`  // under which an earlier version sent the pending range
	Size     int64  `json:"size,omitempty"` // of the file, and its Modified time, when it was shipped to its end
	Modified int64  `json:"modified,omitempty"`
	Shifted  bool   `json:"shifted,omitempty"`
	Shift    int64  `json:"shift,omitempty"` // seconds that are added to its times
	Used     int64  `json:"used"`            // Unix seconds
}

// stored is the state file.
type stored struct {
	Version int      `json:"version"`
	Entries []*entry `json:"entries"`
}

const stateVersion = 2

// state is the file that remembers positions. Several processes may use it, for
// different logs: each holds a lock on the paths of its logs and writes only the
// entries of these.
type state struct {
	file    string // empty = nothing is remembered
	entries []*entry
	dropped map[string]bool
	held    map[string]*os.File // locks, by path of a log
}

const (
	maxEntries = 1000             // those that were not used for longest are deleted
	lockTime   = 10 * time.Second // for the short lock around reading and writing the file
)

// openState opens the file of positions. older are files that an earlier version
// wrote for each list of logs: their positions are imported. logs are the paths
// that this run reads.
func openState(file string, older, logs []string) (*state, error) {
	s := &state{file: file, dropped: map[string]bool{}, held: map[string]*os.File{}}
	if file == "" {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	err := s.locked(func() error { return s.takeOver(older, logs) })
	return s, err
}

// readState reads a state file of this version or of the first.
func readState(file string) ([]*entry, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var st stored
	if err := json.Unmarshal(text, &st); err != nil {
		return nil, fmt.Errorf("positions in %s: %w", file, err)
	}
	switch {
	case st.Version == stateVersion:
		return st.Entries, nil
	case st.Version != 0:
		return nil, fmt.Errorf("positions in %s are of a later version of Belfry", file)
	}
	list, err := readFirstVersion(text)
	if err != nil {
		return nil, fmt.Errorf("positions in %s: %w", file, err)
	}
	return list, nil
}

// locked calls f while no other process reads or writes the file.
func (s *state) locked(f func() error) error {
	lock, err := lockFile(s.file+".lock", lockTime)
	if err != nil {
		return err
	}
	if lock == nil {
		return fmt.Errorf("another process keeps the positions in %s locked; give this one its own with --state", s.file)
	}
	defer lock.Close() // which unlocks
	return f()
}

// lockFile locks a file and gives nil when another process holds the lock for
// longer than wait.
func lockFile(name string, wait time.Duration) (*os.File, error) {
	for deadline := time.Now().Add(wait); ; time.Sleep(5 * time.Millisecond) {
		lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return nil, err
		}
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			// Its owner may have deleted the file between these two calls.
			mine, err := lock.Stat()
			there, err2 := os.Stat(name)
			if err == nil && err2 == nil && os.SameFile(mine, there) {
				return lock, nil
			}
			lock.Close()
			continue
		}
		lock.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, err
		}
		if !time.Now().Before(deadline) {
			return nil, nil
		}
	}
}

// hold locks a log's path for this process until close.
func (s *state) hold(path string) error {
	if s.file == "" || s.held[path] != nil {
		return nil
	}
	lock, err := lockFile(fmt.Sprintf("%s-%s.lock", s.file, digest(path)), 0)
	if err != nil {
		return err
	}
	if lock == nil {
		return fmt.Errorf("another process uses the positions of %s in %s; give this one its own with --state", path, s.file)
	}
	err = s.locked(s.merge) // with what the process before wrote
	s.held[path] = lock
	return err
}

// holds reports whether this process may write the entries of a log.
func (s *state) holds(path string) bool { return s.file == "" || s.held[path] != nil }

func (s *state) close() {
	for _, lock := range s.held {
		os.Remove(lock.Name()) // while it is locked; a lock that stays behind does no harm
		lock.Close()
	}
}

// of lists the entries of a scope; the farthest position first, since of two that
// fit one file it counts nothing twice.
func (s *state) of(scope string) (list []*entry) {
	for _, e := range s.entries {
		if e.Scope == scope {
			list = append(list, e)
		}
	}
	slices.SortStableFunc(list, func(a, b *entry) int { return cmp.Compare(max(b.At, b.Pending), max(a.At, a.Pending)) })
	return list
}

// ofInode is the entry of a file as it was seen last; nil when there is none.
func (s *state) ofInode(scope string, info os.FileInfo) *entry {
	device, number := inode(info)
	for _, e := range s.of(scope) {
		if e.Inode == number && e.Device == device {
			return e
		}
	}
	return nil
}

// add makes an entry. It is in the file with the next save.
func (s *state) add(e *entry) *entry {
	e.ID, e.Used = id.New(), time.Now().Unix()
	s.entries = append(s.entries, e)
	return e
}

func (s *state) drop(e *entry) {
	s.dropped[e.ID] = true
	s.entries = slices.DeleteFunc(s.entries, func(other *entry) bool { return other == e })
}

// shift is that of a replay that was broken off.
func (s *state) shift(scope string) (int64, bool) {
	for _, e := range s.entries {
		if e.Shifted && e.Scope == scope {
			return e.Shift, true
		}
	}
	return 0, false
}

// merge brings in what other processes wrote: all but the entries of the logs
// that this one holds.
func (s *state) merge() error {
	disk, err := readState(s.file)
	if err != nil {
		return err
	}
	list := slices.DeleteFunc(slices.Clone(s.entries), func(e *entry) bool { return s.held[e.Path] == nil })
	mine := map[string]bool{}
	for _, e := range list {
		mine[e.ID] = true
	}
	for _, e := range disk {
		if !mine[e.ID] && !s.dropped[e.ID] {
			list = append(list, e)
		}
	}
	s.entries = list
	return nil
}

// save writes the file; nil means that it survives a loss of power.
func (s *state) save() error {
	if s.file == "" {
		return nil
	}
	return s.locked(func() error {
		if err := s.merge(); err != nil {
			return err
		}
		return s.write()
	})
}

// write replaces the file.
func (s *state) write() error {
	if over := len(s.entries) - maxEntries; over > 0 {
		slices.SortStableFunc(s.entries, func(a, b *entry) int { return cmp.Compare(b.Used, a.Used) })
		s.entries = s.entries[:maxEntries]
	}
	text, err := json.MarshalIndent(stored{stateVersion, s.entries}, "", " ")
	if err != nil {
		return err
	}
	tmp := s.file + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, s.file); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(s.file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
