package tail

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// rotatedFile is a file that a rotation of a log may have made.
type rotatedFile struct {
	path string
	info fs.FileInfo
}

// rotatedFiles lists the files whose names are those of a log with something
// added: access.log.1, access.log-20261122.gz, access-20261122.log. The youngest
// first, at most maxRotated.
func rotatedFiles(log string) (list []rotatedFile) {
	logs := []string{log}
	if target, err := filepath.EvalSymlinks(log); err == nil && target != log {
		logs = append(logs, target)
	}
	seen := map[string]bool{log: true}
	for _, one := range logs {
		names, err := os.ReadDir(filepath.Dir(one))
		if err != nil {
			continue // its file cannot be read either, which is reported there
		}
		for _, d := range names {
			path := filepath.Join(filepath.Dir(one), d.Name())
			if seen[path] || !isRotated(one, path) {
				continue
			}
			seen[path] = true
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				list = append(list, rotatedFile{path, info})
			}
		}
	}
	slices.SortFunc(list, func(a, b rotatedFile) int {
		return cmp.Or(b.info.ModTime().Compare(a.info.ModTime()), cmp.Compare(a.path, b.path))
	})
	return list[:min(len(list), maxRotated)]
}

// added is the suffix that a rotation added to the name of a log; empty when the path is not
// such a name.
func added(log, path string) string {
	if filepath.Dir(log) != filepath.Dir(path) {
		return ""
	}
	base, name := filepath.Base(log), filepath.Base(path)
	if rest, ok := strings.CutPrefix(name, base); ok {
		return rest
	}
	ext := filepath.Ext(base)
	rest, ok := strings.CutPrefix(name, strings.TrimSuffix(base, ext))
	if middle, _, found := strings.Cut(rest, ext); ok && found && ext != "" {
		return middle
	}
	return ""
}

func isRotated(log, path string) bool {
	rest := added(log, path)
	return rest != "" && strings.ContainsRune(".-_", rune(rest[0]))
}

// dated matches the suffixes of rotated files: a number or a date. An unknown file with another suffix is another log,
// such as access.log-ssl.
var dated = regexp.MustCompile(`^[._-]\d[\dTZ:._-]*(\.gz)?$`)

// rotated opens the files rotated away from a log that are not shipped to their end:
// files that were seen before, and those that came and went while nothing looked.
// last is the youngest that was seen; nil when the log is new. They are in the order in which they began. live is
// the log itself. The error is of files that cannot be read; the others are given
// nevertheless.
func (t *tailer) rotated(log string, live *source, last *entry) (list []*source, failed error) {
	if last == nil || t.cfg.Shift {
		return nil, nil // files older than the first run on the log are not shipped
	}
	files := rotatedFiles(log)
	for range maxScans {
		var more []*source
		var found bool
		more, found, failed = t.scan(log, live, last, files)
		list = append(list, more...)
		again := rotatedFiles(log)
		if !slices.EqualFunc(files, again, sameRotatedFile) {
			files = again // a rotation gave other names to files meanwhile
			continue
		}
		if !found && failed == nil {
			t.warn(fmt.Sprintf("%s was rotated, and its file is gone or compressed in a way that is not read: "+
				"lines after byte %d are not counted", log, last.At))
		}
		slices.SortStableFunc(list, func(a, b *source) int { return cmp.Compare(a.entry.Begins, b.entry.Begins) })
		return list, failed
	}
	return list, fmt.Errorf("the files of %s are being rotated", log)
}

const maxScans = 10 // of the rotated files of a log, while they change

func sameRotatedFile(a, b rotatedFile) bool { return a.path == b.path && os.SameFile(a.info, b.info) }

// scan opens the files that are to be read. found reports whether the one of last
// is among all that there are.
func (t *tailer) scan(
	log string, live *source, last *entry, files []rotatedFile,
) (list []*source, found bool, failed error) {
	found = live.entry == last || t.open[last.ID] != nil
	var mine fs.FileInfo // of the live file, which may be gone
	if live.file != nil {
		if mine, failed = live.file.Stat(); failed != nil {
			return nil, found, failed
		}
	}
	for _, r := range files {
		if mine != nil && os.SameFile(mine, r.info) {
			continue
		}
		known := t.state.ofInode(t.cfg.Scope, r.info)
		if known != nil && known.finished(r.info) {
			found = found || known == last
			continue
		}
		isDated := dated.MatchString(added(log, r.path))
		s, err := openSource(r.path)
		if err == nil {
			err = t.placeRotated(s, log, isDated)
		}
		if err == nil && s.entry != nil {
			found = found || s.entry == last
			list = append(list, s)
			continue
		}
		mayBeOurs := known != nil || isDated && r.info.ModTime().UnixNano() > last.Modified
		if err != nil && !errors.Is(err, errOpen) && mayBeOurs {
			failed = errors.Join(failed, fmt.Errorf("a rotated file of %s cannot be read: %w", log, err))
		}
		s.close()
	}
	return list, found, failed
}

// placeRotated finds the entry of a rotated file, or makes one when the file is
// the log's own, by its name, and younger than the first one that was seen. The
// entry stays nil otherwise.
func (t *tailer) placeRotated(s *source, log string, isDated bool) error {
	first, err := s.firstLine(true)
	if err != nil || first == "" {
		return err
	}
	begins := t.firstTime(s.kept)
	e, err := t.find(s, first)
	if err != nil {
		return err
	}
	if e != nil && !t.state.holds(e.Path) {
		return nil
	}
	if e == nil {
		younger, err := t.youngerThanFirst(s, log, begins)
		// A copy that was made before the last lines came begins as the log does.
		if err != nil || !isDated || !younger || t.begunAs(log, first) {
			return err
		}
	}
	return t.assign(s, e, log, first, begins)
}

// youngerThanFirst reports whether a file began after the first one of the log
// that was seen. What is older is history.
func (t *tailer) youngerThanFirst(s *source, log string, begins int64) (bool, error) {
	var oldest *entry
	for _, e := range t.state.of(t.cfg.Scope) {
		if e.Path == log && e.Begins != 0 && (oldest == nil || e.Begins < oldest.Begins) {
			oldest = e
		}
	}
	if oldest == nil || begins != oldest.Begins {
		return oldest != nil && begins > oldest.Begins, nil
	}
	// In the same second: a file that was changed since is younger.
	info, err := s.file.Stat()
	return err == nil && oldest.Modified != 0 && info.ModTime().UnixNano() >= oldest.Modified, err
}

// begunAs reports whether a file of the log was seen that begins with this line.
func (t *tailer) begunAs(log, first string) bool {
	return slices.ContainsFunc(t.state.of(t.cfg.Scope), func(e *entry) bool {
		return e.Path == log && e.beginsWith(first)
	})
}
