package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/strict"
)

// Everything that a command prints goes through this file. Files and servers choose
// names, ids and error texts. On a terminal these must neither move the cursor nor
// imitate a line of the program.

// printf prints a text of the program about args. The format is trusted; every
// argument that is text is made visible (see [strict.Visible]) and stays within
// its line.
func printf(w io.Writer, format string, args ...any) {
	visible := make([]any, len(args))
	for i, a := range args {
		switch a := a.(type) {
		case string:
			visible[i] = foreign{a}
		case error:
			visible[i] = foreign(errorLines(a))
		case fmt.Stringer:
			visible[i] = foreign{a.String()}
		case []string:
			visible[i] = foreign{strings.Join(a, ", ")}
		default:
			visible[i] = a
		}
	}
	fmt.Fprintf(w, format, visible...)
}

// foreign is text that the program did not write: one line, or a list of lines
// that stay apart.
type foreign []string

// Format writes the text so that it is visible; %q quotes it, which is as good.
func (s foreign) Format(f fmt.State, verb rune) {
	lines := make([]string, len(s))
	for i, line := range s {
		lines[i] = strict.Visible(line)
		if verb == 'q' {
			lines[i] = strconv.Quote(line)
		}
	}
	fmt.Fprintf(f, fmt.FormatString(f, 's'), strings.Join(lines, "\n  "))
}

// errorLines returns the text of an error: a line for each joined error.
func errorLines(err error) []string {
	switch e := err.(type) { //nolint:errorlint // the tree of errors is walked here
	case interface{ Unwrap() []error }:
		var lines []string
		for _, one := range e.Unwrap() {
			lines = append(lines, errorLines(one)...)
		}
		if strings.Join(lines, "\n") == err.Error() { // errors.Join, not a text with several %w
			return lines
		}
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			if before, ends := strings.CutSuffix(err.Error(), inner.Error()); ends {
				lines := errorLines(inner)
				return append([]string{before + lines[0]}, lines[1:]...)
			}
		}
	}
	return []string{err.Error()}
}

// progress rewrites one line of a terminal; an empty text clears it. It prints
// nothing where no person watches.
func progress(w io.Writer, format string, args ...any) {
	if !isTerminal(w) {
		return
	}
	if p, ok := w.(*printer); ok {
		w = p.to
	}
	io.WriteString(w, "\r\033[K")
	printf(w, format, args...)
}

// isTerminal reports whether a person is likely to read w.
func isTerminal(w io.Writer) bool {
	if p, ok := w.(*printer); ok {
		w = p.to
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// printer is the stream that commands write to. It covers texts that are not printed
// by printf (flag errors, JSON lines, differences of catalogues): characters that act
// on a terminal, except the ends of lines and tabs, are made visible.
type printer struct {
	mu   sync.Mutex
	to   io.Writer
	tail []byte // the first bytes of an incomplete character
}

func (p *printer) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	text := slices.Concat(p.tail, b)
	whole := len(text) - unfinished(text)
	p.tail = append([]byte(nil), text[whole:]...)
	if _, err := io.WriteString(p.to, strict.VisibleLines(string(text[:whole]))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// flush writes the rest of an unfinished character.
func (p *printer) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	io.WriteString(p.to, strict.VisibleLines(string(p.tail)))
	p.tail = nil
}

// unfinished counts the bytes at the end that begin a character of UTF-8 and do
// not complete it.
func unfinished(b []byte) int {
	for n := 1; n <= min(utf8.UTFMax-1, len(b)); n++ {
		if last := b[len(b)-n:]; utf8.RuneStart(last[0]) {
			if utf8.FullRune(last) {
				return 0
			}
			return n
		}
	}
	return 0
}
