package verifier

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// maxLine bounds a line of an export: an envelope in base64, its event and its openings.
const maxLine = 1 << 20

// A Report says what an export that verified contains.
type Report struct {
	Account   string
	From, To  int64 // the range of seq, To excluded
	Uncovered int64 // events past the checkpoint's size, which it cannot prove
	Erased    int   // commitments whose content was erased
	Leaves    []tlog.Hash
}

// CheckExport verifies a provable export against a checkpoint: every event is what its
// envelope and openings say, no event of the range is missing, and the tree they make,
// with the hashes beside the range, has the checkpoint's root. Each checkpoint in since is
// proved to be a prefix of the same tree; it must not be older than the range.
func CheckExport(r io.Reader, checkpoint Checkpoint, since ...Checkpoint) (Report, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	if !lines.Scan() {
		return Report{}, errors.Join(errors.New("the export has no header"), lines.Err())
	}
	h, err := parseHeader(lines.Text())
	if err != nil {
		return Report{}, fmt.Errorf("header: %w", err)
	}
	if _, account, _ := cutLast(checkpoint.Origin, "/"); account != h.account {
		return Report{}, fmt.Errorf("the checkpoint of %s does not speak of account %s", checkpoint.Origin, h.account)
	}
	x := &export{header: h, pending: append([]Checkpoint{checkpoint}, since...)}
	x.report = Report{Account: h.account, From: h.from, To: h.to, Uncovered: max(0, h.to-max(h.from, checkpoint.Size))}
	for i, level := range subtrees(0, h.from) {
		x.tree.add(level, h.left[i])
	}
	if err := x.compare(); err != nil {
		return x.report, err
	}
	for lines.Scan() {
		if err := x.line(lines.Text()); err != nil {
			return x.report, fmt.Errorf("event seq %d: %w", x.tree.size, err)
		}
		if err := x.compare(); err != nil {
			return x.report, err
		}
	}
	if err := lines.Err(); err != nil {
		return x.report, err
	}
	return x.report, x.end()
}

type export struct {
	header
	report  Report
	tree    frontier
	pending []Checkpoint // not yet compared with the tree at their size
	latest  string       // recorded_at of the event before
}

func (x *export) line(text string) error {
	if x.tree.size == x.to {
		return fmt.Errorf("the header says that the range ends at %d", x.to)
	}
	line, err := parseJSON(text)
	if err != nil {
		return err
	}
	if line.kind != '{' || !slices.Equal(slices.Sorted(slices.Values(line.names())),
		[]string{"envelope", "event", "openings", "seq"}) {
		return fmt.Errorf("members %q, want seq, envelope, event and openings", line.names())
	}
	seq, _ := line.get("seq")
	if n, err := parseDecimal(seq.text); seq.kind != '#' || err != nil || n != x.tree.size {
		return fmt.Errorf("the line says seq %s: an event is missing, repeated or out of order", seq.compact())
	}
	raw, _ := line.get("envelope")
	bytes, err := parseBase64(raw.text)
	if raw.kind != '"' || err != nil {
		return errors.New("the envelope is not strict base64")
	}
	event, _ := line.get("event")
	openings, _ := line.get("openings")
	leaf, e, erased, err := checkRecord(x.tree.size, bytes, event, openings)
	if err != nil {
		return err
	}
	if e.account != x.account {
		return fmt.Errorf("recorded for account %s", e.account)
	}
	if e.recordedAt < x.latest {
		return fmt.Errorf("recorded at %s, before the event before it (%s)", e.recordedAt, x.latest)
	}
	x.latest = e.recordedAt
	x.report.Erased += erased
	x.report.Leaves = append(x.report.Leaves, leaf)
	x.tree.add(0, leaf)
	return nil
}

// compare checks the checkpoints whose size the tree has just reached.
func (x *export) compare() error {
	var err error
	x.pending = slices.DeleteFunc(x.pending, func(c Checkpoint) bool {
		if c.Size != x.tree.size {
			return false
		}
		if x.tree.root() != c.Root {
			err = fmt.Errorf("the first %d events do not make the root of the checkpoint of that size", c.Size)
		}
		return true
	})
	return err
}

// end completes the tree with the hashes to the right of the range.
func (x *export) end() error {
	if x.tree.size != x.to {
		return fmt.Errorf("the export ends at seq %d, its header promises %d", x.tree.size, x.to)
	}
	for i, level := range subtrees(x.to, x.size) {
		x.tree.add(level, x.right[i])
		if err := x.compare(); err != nil {
			return err
		}
	}
	if len(x.pending) > 0 {
		return fmt.Errorf("this export (events %d to %d of %d) cannot be compared with a checkpoint of size %d",
			x.from, x.to, x.size, x.pending[0].Size)
	}
	return nil
}

type header struct {
	account        string
	from, to, size int64
	left, right    []tlog.Hash
}

func parseHeader(text string) (header, error) {
	v, err := parseJSON(text)
	if err != nil {
		return header{}, err
	}
	body, ok := v.get("export")
	if !ok || len(v.members) != 1 {
		return header{}, errors.New(`want {"export":{...}}`)
	}
	h := header{}
	version, _ := body.get("v")
	if version.compact() != "1" {
		return h, fmt.Errorf("version %s, want 1", version.compact())
	}
	account, _ := body.get("account")
	h.account = account.text
	for name, to := range map[string]*int64{"from": &h.from, "to": &h.to, "size": &h.size} {
		n, _ := body.get(name)
		if *to, err = parseDecimal(n.text); n.kind != '#' || err != nil {
			return h, fmt.Errorf("%s is not a number of events", name)
		}
	}
	if h.from > h.to || h.to > h.size {
		return h, fmt.Errorf("the range %d to %d does not lie within %d", h.from, h.to, h.size)
	}
	if h.left, err = hashesIn(body, "left", len(subtrees(0, h.from))); err != nil {
		return h, err
	}
	h.right, err = hashesIn(body, "right", len(subtrees(h.to, h.size)))
	return h, err
}

func hashesIn(v value, name string, want int) ([]tlog.Hash, error) {
	list, _ := v.get(name)
	if list.kind != '[' || len(list.items) != want {
		return nil, fmt.Errorf("%s has %d hashes, want %d", name, len(list.items), want)
	}
	found := make([]tlog.Hash, want)
	for i, item := range list.items {
		hash, err := parseHash(item.text)
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", name, i, err)
		}
		found[i] = hash
	}
	return found, nil
}

// cutLast cuts s around the last separator.
func cutLast(s, separator string) (before, after string, found bool) {
	at := strings.LastIndex(s, separator)
	if at < 0 {
		return "", s, false
	}
	return s[:at], s[at+len(separator):], true
}
