package tail

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"syscall"
	"time"
)

// entry is what is known of one file.
type entry struct {
	Path    string `json:"path"` // where it was seen last
	Scope   string `json:"scope"`
	At      int64  `json:"at"`      // bytes that are shipped
	Check   string `json:"check"`   // of what stands before
	Pending int64  `json:"pending"` // end of the range that is on its way; not beyond At: none
	Shifted bool   `json:"shifted,omitempty"`
	Shift   int64  `json:"shift,omitempty"` // seconds that are added to its times
	Used    int64  `json:"used"`            // Unix seconds
}

// state is the file that remembers positions. One process uses it at a time.
type state struct {
	file    string // empty = nothing is remembered
	lock    *os.File
	entries map[string]*entry
}

// maxEntries bounds the file: those that were not used for longest go first.
const maxEntries = 1000

func openState(file string) (*state, error) {
	s := &state{file: file, entries: map[string]*entry{}}
	if file == "" {
		return s, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	var err error
	if s.lock, err = os.OpenFile(file+".lock", os.O_CREATE|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(s.lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		s.lock.Close()
		return nil, fmt.Errorf("another process uses the positions in %s; give this one its own with --state", file)
	}
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &s.entries)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.close()
		return nil, fmt.Errorf("positions in %s: %w", file, err)
	}
	return s, nil
}

func (s *state) close() {
	if s.lock != nil {
		s.lock.Close() // which unlocks
	}
}

func (s *state) entry(key string) *entry {
	e := s.entries[key]
	if e != nil {
		e.Used = time.Now().Unix()
	}
	return e
}

func (s *state) put(key string, e *entry) {
	e.Used = time.Now().Unix()
	s.entries[key] = e
}

func (s *state) forget(key string) { delete(s.entries, key) }

// shift is that of a replay that was broken off.
func (s *state) shift(scope string) (int64, bool) {
	for _, e := range s.entries {
		if e.Shifted && e.Scope == scope {
			return e.Shift, true
		}
	}
	return 0, false
}

// save writes the file as a whole; nil means that it survives a loss of power.
func (s *state) save() error {
	if s.file == "" {
		return nil
	}
	if over := len(s.entries) - maxEntries; over > 0 {
		keys := make([]string, 0, len(s.entries))
		for k := range s.entries {
			keys = append(keys, k)
		}
		sort.Slice(keys, func(i, j int) bool { return s.entries[keys[i]].Used < s.entries[keys[j]].Used })
		for _, k := range keys[:over] {
			delete(s.entries, k)
		}
	}
	text, err := json.MarshalIndent(s.entries, "", " ")
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
