package tail

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"
)

// watch is one log that is followed.
type watch struct {
	name    string
	live    *source   // nil while there is no file under the name
	retired []*source // renamed files that a server may still write to
	last    *entry    // of the youngest file so far, while rotated files are sought
	scanned bool      // they were sought since the live one was opened
	missing int       // how many looks in a row found no file
}

// follow ships the files and goes on as they grow, until ctx ends. An error of a
// file is reported and the file is tried again; the run ends only when the server
// takes nothing at all from this sender, or when there is no sense in waiting.
func (t *tailer) follow(ctx context.Context) error {
	var list []*watch
	for _, name := range t.cfg.Files {
		path := absolute(name)
		if err := t.state.hold(path); err != nil {
			return err
		}
		if info, err := os.Stat(path); err == nil && info.IsDir() {
			return &folderError{name}
		}
		list = append(list, &watch{name: name, last: t.newest(path)})
	}
	t.warn(fmt.Sprintf("following %s; positions are kept in %s", strings.Join(t.cfg.Files, ", "), t.cfg.State))
	for {
		for _, w := range list {
			err := t.look(ctx, w)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if isSendError(err) {
				return err
			}
			t.tell(w, err)
		}
		t.report.tick(t)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(t.cfg.Poll):
		}
	}
}

// tell reports an error of a log, or its end.
func (t *tailer) tell(w *watch, err error) {
	if !errors.Is(err, fs.ErrNotExist) {
		w.missing = 0
	}
	switch {
	case err == nil || errors.Is(err, errChanged): // which the next look deals with
		t.report.over(w.name)
	case w.missing > 0 || !errors.Is(err, fs.ErrNotExist):
		t.report.trouble(t, w.name, fmt.Sprintf("%v; it is tried again", err))
	default: // a rotation may be between its two steps
		w.missing++
	}
}

// look ships what a log has now, and sees whether it was rotated or truncated.
func (t *tailer) look(ctx context.Context, w *watch) error {
	failed := t.lookRetired(ctx, w)
	if isSendError(failed) {
		return failed
	}
	err := t.lookLive(ctx, w)
	return errors.Join(failed, err)
}

// lookRetired ships what came to renamed files, and leaves those that got nothing
// for long.
func (t *tailer) lookRetired(ctx context.Context, w *watch) error {
	var failed error
	var kept []*source
	for i, s := range w.retired {
		over := s.stream != nil || time.Since(s.grown) > t.cfg.Quiet || len(w.retired)-i > maxRetired
		err := t.drain(ctx, s, over)
		if isSendError(err) || ctx.Err() != nil {
			w.retired = append(kept, w.retired[i:]...)
			return err
		}
		changed := errors.Is(err, errChanged)
		if changed {
			err = nil // another rotation wrote over it: there is nothing more of this one
		}
		failed = errors.Join(failed, err)
		switch {
		case s.stream != nil && err != nil:
			t.putOff(w, s)
		case over && err == nil, changed, time.Since(s.grown) > t.cfg.Quiet:
			t.release(s)
		default:
			kept = append(kept, s)
		}
	}
	w.retired = kept
	return failed
}

// putOff leaves a compressed file that cannot be read to its end. It is opened
// again by the next look while it may still be written, else when it has changed.
func (t *tailer) putOff(w *watch, s *source) {
	defer t.release(s)
	info, err := s.file.Stat()
	if err != nil || s.entry == nil {
		return
	}
	if time.Since(info.ModTime()) > t.cfg.Quiet {
		s.entry.Size = info.Size()
		s.entry.Modified = info.ModTime().UnixNano()
		return
	}
	w.scanned = false
	if w.last == nil {
		w.last = s.entry
	}
}

// lookLive ships new lines of the log, and of files rotated away from it.
func (t *tailer) lookLive(ctx context.Context, w *watch) error {
	if w.live != nil {
		err := t.drain(ctx, w.live, false)
		if isSendError(err) || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, errChanged) { // a copy may have the rest
			w.live.entry.Device = 0
			w.live.entry.Inode = 0
		}
		if err != nil { // the open file may never be readable again: open it again
			if w.last == nil {
				w.last = w.live.entry
			}
			t.release(w.live)
			w.live = nil
		}
		if err != nil && !errors.Is(err, errChanged) {
			return err
		}
	}
	if w.live != nil {
		renamed, err := w.live.renamed()
		if err != nil {
			return err
		}
		if renamed { // a server writes to it until it opens the new one
			if w.last = w.live.entry; w.last == nil {
				w.last = t.newest(w.live.path)
			}
			w.live.grown = time.Now()
			w.retired = append(w.retired, w.live)
			w.live = nil
		}
	}
	if w.live == nil {
		s, err := openSource(w.name)
		if err == nil {
			err = t.place(s, s.path, false)
		}
		if err != nil {
			s.close()
			if errors.Is(err, errOpen) { // under another name
				return nil
			}
			return err
		}
		w.live = s
		w.scanned = false
	}
	var failed error
	// Again when the live file gets its first line: others may have come and gone
	// while it was empty.
	if w.last != nil && (!w.scanned || w.live.entry != nil) {
		var rotated []*source
		last := w.last
		w.last = nil
		rotated, failed = t.rotated(w.live.path, w.live, last)
		if w.scanned = failed == nil; failed != nil || w.live.entry == nil {
			w.last = last
		}
		w.retired = append(w.retired, rotated...)
		if err := t.lookRetired(ctx, w); err != nil {
			return errors.Join(failed, err)
		}
	}
	return errors.Join(failed, t.drain(ctx, w.live, false))
}

// renamed reports whether another file, or none, is under the path.
func (s *source) renamed() (bool, error) {
	mine, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	return err == nil && !os.SameFile(mine, there), err
}
