package tail

import (
	"cmp"
	"errors"
	"os"
	"time"
)

// place finds the entry of a file, or makes one, and goes to its position. The
// entry stays nil while the file has no whole line. log is the path of the log
// that the file is, or was rotated from.
//
// A file is the one of an entry when its inode and the bytes before the position
// are the same. One with another inode is a copy (compressed, or made before the
// log was truncated) when the bytes are the same, the original is not there any
// more, and its name is the log's or one that a rotation gives. Two files with
// equal lines and unrelated names are two files.
func (t *tailer) place(s *source, log string, whole bool) error {
	if err := t.state.hold(log); err != nil {
		return err
	}
	first, err := s.firstLine(whole)
	if err != nil || first == "" {
		return err // nothing in it yet
	}
	begins := t.firstTime(s.kept)
	e, err := t.find(s, first)
	if err != nil {
		return err
	}
	if e != nil && !t.state.holds(e.Path) { // its entry may have been written meanwhile
		if err := t.state.hold(e.Path); err != nil {
			return err
		}
		if err := s.rewind(); err != nil {
			return err
		}
		return t.place(s, log, whole)
	}
	return t.assign(s, e, log, first, begins)
}

// assign gives a file its entry, a new one where it has none.
func (t *tailer) assign(s *source, e *entry, log, first string, begins int64) error {
	if e == nil {
		e = t.state.add(&entry{Path: log, Scope: t.cfg.Scope, Shift: t.shift, Shifted: t.cfg.Shift})
	}
	if other := t.open[e.ID]; other != nil && other != s {
		return errOpen
	}
	info, err := s.file.Stat()
	if err != nil {
		return err
	}
	e.Device, e.Inode = inode(info)
	e.First, e.OldScope = digest(first), ""
	e.Begins = cmp.Or(e.Begins, begins)
	e.Used = time.Now().Unix()
	s.entry = e
	t.open[e.ID] = s
	return nil
}

// errOpen is of a file that this run reads already, under another name.
var errOpen = errors.New("the file is open already")

// find gives the entry of a file and goes to its position; nil when the file is
// new.
func (t *tailer) find(s *source, first string) (*entry, error) {
	if s.pipe {
		return nil, nil
	}
	info, err := s.file.Stat()
	if err != nil {
		return nil, err
	}
	device, number := inode(info)
	for _, same := range []bool{true, false} { // the inode first, then copies
		for _, e := range t.state.of(t.cfg.Scope) {
			mine := e.Inode != 0 && e.Inode == number && e.Device == device
			if mine != same || !e.beginsWith(first) || !mine && !t.mayBeCopy(s, e) {
				continue
			}
			ok, err := s.seek(e)
			if err != nil || ok {
				return e, err
			}
			if err := s.rewind(); err != nil {
				return nil, err
			}
		}
		if same { // what had this inode before is looked for by its content
			for _, e := range t.state.of(t.cfg.Scope) {
				if e.Inode == number && e.Device == device && t.open[e.ID] == nil {
					e.Device, e.Inode = 0, 0
				}
			}
		}
	}
	return nil, nil
}

// beginsWith reports whether an entry is of a file with this first line.
func (e *entry) beginsWith(first string) bool {
	if e.OldScope != "" {
		return e.First == digest(e.OldScope, first)
	}
	return e.First == digest(first)
}

// mayBeCopy reports whether a file with another inode may be the one of an entry.
func (t *tailer) mayBeCopy(s *source, e *entry) bool {
	if t.open[e.ID] != nil {
		return false
	}
	switch {
	case t.cfg.Shift: // a replay reads all of its input
		return s.path == e.Path
	case s.path == e.Path:
		// Rewritten in place; or after a restart of the machine, which may
		// number devices differently. Not when the file was rotated away.
		for _, r := range rotatedFiles(e.Path) {
			if d, n := inode(r.info); e.Inode != 0 && n == e.Inode && d == e.Device {
				return false
			}
		}
		return true
	case isRotated(e.Path, s.path):
		return !t.standsAt(e)
	case e.OldScope != "": // the first version knew files by their content alone
		_, err := os.Stat(e.Path)
		return err != nil
	}
	return false
}

// standsAt reports whether the file of an entry is still under its path.
func (t *tailer) standsAt(e *entry) bool {
	s, err := openSource(e.Path)
	if err != nil {
		return false
	}
	defer s.close()
	info, err := s.file.Stat()
	if err != nil {
		return false
	}
	if d, n := inode(info); e.Inode != 0 && (d != e.Device || n != e.Inode) {
		return false
	}
	first, err := s.firstLine(true)
	if err != nil || !e.beginsWith(first) {
		return false
	}
	same, err := s.seek(e)
	return err == nil && same
}

// firstTime is the time of the first request in the beginning of a file; 0 when
// there is none.
func (t *tailer) firstTime(start []byte) int64 {
	p := t.parser("")
	for _, line := range splitLines(start) {
		if e, err := p.Parse(line.text); err == nil {
			return e.At
		}
	}
	return 0
}

// finished reports whether nothing of a file was written since it was shipped to
// its end.
func (e *entry) finished(info os.FileInfo) bool {
	d, n := inode(info)
	return e.Pending <= e.At && e.Inode == n && e.Device == d &&
		e.Size == info.Size() && e.Modified == info.ModTime().UnixNano()
}

// newest is the entry of a log's youngest file; nil when none was ever seen.
func (t *tailer) newest(log string) (last *entry) {
	for _, e := range t.state.of(t.cfg.Scope) {
		if e.Path == log && (last == nil || e.Begins > last.Begins || e.Begins == last.Begins && e.Used > last.Used) {
			last = e
		}
	}
	return last
}
