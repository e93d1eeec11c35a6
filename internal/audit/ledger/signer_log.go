package ledger

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// FileLog is the signed log of one process: a file of lines "ACCOUNT SIZE ROOT" next
// to the key, appended and fsynced before a signature is returned. It is rewritten
// with one line an account when it is opened, and whenever most of its lines are old.
type FileLog struct {
	path string

	mu     sync.Mutex // guards the fields below
	file   *os.File
	last   map[string]Signed
	lines  int   // in the file
	broken error // a write or fsync failed: what the file holds is not known
}

// compactAfter is how many lines beyond two an account a file may have.
const compactAfter = 4096

// OpenFileLog reads the file, or makes it.
func OpenFileLog(path string) (*FileLog, error) {
	m := &FileLog{path: path, last: map[string]Signed{}}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	if err := m.load(path); err != nil {
		return nil, fmt.Errorf("signed log %s: %w", path, err)
	}
	if err := m.rewrite(); err != nil {
		return nil, err
	}
	return m, nil
}

// rewrite replaces the file by one with one line an account, and opens it. Until the
// rename the old file is complete.
func (m *FileLog) rewrite() error {
	fresh := m.path + ".new"
	f, err := os.OpenFile(fresh, os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, s := range m.last {
		w.WriteString(s.line())
	}
	if err := errors.Join(w.Flush(), f.Sync()); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := errors.Join(os.Rename(fresh, m.path), syncDir(filepath.Dir(m.path))); err != nil {
		return errors.Join(err, f.Close())
	}
	if m.file != nil {
		m.file.Close() // every line of it was fsynced, and is in the new one
	}
	m.file = f
	m.lines = len(m.last)
	return nil
}

func (m *FileLog) load(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	// A torn last line was never acknowledged: no signature went out for it.
	whole := text[:strings.LastIndexByte(string(text), '\n')+1]
	for n, line := range strings.Split(strings.TrimSuffix(string(whole), "\n"), "\n") {
		if line == "" {
			continue
		}
		s, err := parseSigned(line)
		if err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		if err := check(m.last, s); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
		m.last[s.Account] = s
	}
	return nil
}

func (s Signed) line() string { return fmt.Sprintf("%s %d %s\n", s.Account, s.Size, s.Root) }

func parseSigned(line string) (s Signed, err error) {
	parts := strings.Split(line, " ")
	if len(parts) != 3 {
		return s, errors.New("not ACCOUNT SIZE ROOT")
	}
	s.Account = parts[0]
	if s.Size, err = strconv.ParseUint(parts[1], 10, 63); err != nil {
		return s, err
	}
	return s, s.Root.UnmarshalText([]byte(parts[2]))
}

// check is the compare of the compare-and-swap.
func check(last map[string]Signed, s Signed) error {
	have, ok := last[s.Account]
	switch {
	case ok && s.Size < have.Size:
		return fmt.Errorf("account %s: size %d was signed, %d is smaller", s.Account, have.Size, s.Size)
	case ok && s.Size == have.Size && s.Root != have.Root:
		return fmt.Errorf("account %s: another root was signed for size %d", s.Account, s.Size)
	}
	return nil
}

// Refresh has nothing to do: no other process writes the file.
func (m *FileLog) Refresh(context.Context) error { return nil }

// Last returns an account's largest statement.
func (m *FileLog) Last(_ context.Context, account string) (Signed, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.last[account]
	return s, ok, nil
}

// All returns the largest statement of every account.
func (m *FileLog) All(context.Context) ([]Signed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return nil, m.broken
	}
	return slices.Collect(maps.Values(m.last)), nil
}

// Record appends and fsyncs. After a failed write or fsync it refuses everything:
// a second attempt could write behind a torn line, or report as durable what
// the kernel has dropped. Opening the file again reads what there is.
func (m *FileLog) Record(_ context.Context, list []Signed) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return fmt.Errorf("signed log: an earlier write failed, restart to read it again: %w", m.broken)
	}
	var b strings.Builder
	n := 0
	for _, s := range list {
		if err := check(m.last, s); err != nil {
			return err
		}
		if m.last[s.Account] == s {
			continue // recorded already
		}
		b.WriteString(s.line())
		n++
	}
	if n == 0 {
		return nil
	}
	if _, err := m.file.WriteString(b.String()); err != nil {
		m.broken = err
		return err
	}
	if err := m.file.Sync(); err != nil {
		m.broken = err
		return err
	}
	for _, s := range list {
		m.last[s.Account] = s
	}
	if m.lines += n; m.lines > 2*len(m.last)+compactAfter {
		if err := m.rewrite(); err != nil {
			m.broken = err
			return err
		}
	}
	return nil
}

// Close closes the file.
func (m *FileLog) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.file.Close()
}

// syncDir makes a rename durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// TopicLog is the signed log of several processes: a compacted Kafka topic
// whose records are the lines of [FileLog], by account. A restore of the
// database does not touch it.
//
// A client that may write to the topic could stop the signing with a line that was
// never signed. So only records that carry Belfry's MAC count. The others are
// passed over, and readiness tells of them until a statement of Belfry's, or a
// tombstone, takes their place: the newest record of a key is the one that counts.
//
// Records of a Belfry that wrote no MAC are passed over as well; [Signer] states
// again, with a MAC, what the database says was signed last.
type TopicLog struct {
	table   *bus.Table
	publish func(context.Context, ...bus.Message) error
	ignored prometheus.Counter
	log     *slog.Logger

	mu      sync.Mutex // guards the fields below
	last    map[string]Signed
	foreign map[string]foreignRecord // newest record of a key, where it does not count
	split   map[string]error         // accounts of which two histories were signed
}

// foreignRecord is a record of the topic that does not count.
type foreignRecord struct {
	why   string
	empty bool // it states the empty log, as it was stated without a MAC
}

// OpenTopicLog uses the topic event.TopicAuditSigned. What is published must
// carry the MAC of the cluster's key.
func OpenTopicLog(
	ctx context.Context,
	cluster bus.Cluster,
	publish func(context.Context, ...bus.Message) error,
	log *slog.Logger,
	registry prometheus.Registerer,
) (*TopicLog, error) {
	m := &TopicLog{
		publish: publish,
		log:     log,
		last:    map[string]Signed{},
		foreign: map[string]foreignRecord{},
		split:   map[string]error{},
		ignored: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_audit_signed_ignored_total",
			Help: "Records of the signed log on Kafka that do not count, such as those without Belfry's MAC.",
		}),
	}
	if err := registry.Register(m.ignored); err != nil {
		return nil, err
	}
	var err error
	m.table, err = bus.NewTable(ctx, cluster, event.TopicAuditSigned, m.apply)
	if err != nil {
		return nil, err
	}
	if err := m.table.Sync(ctx); err != nil {
		m.table.Close()
		return nil, err
	}
	if err := m.restate(ctx); err != nil {
		m.table.Close()
		return nil, err
	}
	return m, nil
}

// restate publishes Belfry's own statement again where the newest record of its key
// is a foreign one, which compaction would keep in its place. Of empty logs, which
// an earlier Belfry stated without a MAC, the database keeps no row that the signer
// could restate.
func (m *TopicLog) restate(ctx context.Context) error {
	var list []Signed
	m.mu.Lock()
	for key, f := range m.foreign {
		if s, known := m.last[key]; known {
			list = append(list, s)
		} else if f.empty {
			list = append(list, Signed{Account: key, Root: merkle.EmptyRoot()})
		}
	}
	m.mu.Unlock()
	if len(list) == 0 {
		return nil
	}
	return errors.Join(m.Record(ctx, list), m.table.Sync(ctx))
}

// maxForeign bounds how many keys of records that do not count are remembered.
const maxForeign = 1000

// apply keeps the largest statement. Two processes may have recorded theirs in
// either order: both were true of the same log, or the signer would have refused.
// It never fails: a record that cannot count must not hold up those behind it.
func (m *TopicLog) apply(r bus.Record) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	key := string(r.Key)
	if len(r.Value) == 0 { // a tombstone
		delete(m.foreign, key)
		return nil
	}
	s, err := parseSigned(strings.TrimSuffix(string(r.Value), "\n"))
	have, known := m.last[s.Account]
	switch {
	case !r.Own:
		empty := err == nil && s.Account == key && s.Size == 0 && s.Root == merkle.EmptyRoot()
		m.passOver(key, r.Offset, foreignRecord{"it does not carry the MAC of this installation", empty})
	case err != nil || s.Account != key:
		m.passOver(key, r.Offset, foreignRecord{why: "it is not ACCOUNT SIZE ROOT"})
	case known && s.Size == have.Size && s.Root != have.Root:
		m.split[key] = errs.New(errs.CodeSigningStopped, "two roots were signed for size %d", s.Size)
	default:
		delete(m.foreign, key)
		if !known || s.Size > have.Size {
			m.last[s.Account] = s
		}
	}
	return nil
}

// passOver notes a record that does not count. The caller has the lock.
func (m *TopicLog) passOver(key string, offset int64, f foreignRecord) {
	m.ignored.Inc()
	m.log.Error("a record of the signed log does not count",
		"topic", event.TopicAuditSigned, "key", strict.Clip(key, 64), "offset", offset, "reason", f.why)
	if _, ok := m.foreign[key]; ok || len(m.foreign) < maxForeign {
		m.foreign[key] = f
	}
}

// Ready is nil while every key's newest record counts and all could be decoded.
func (m *TopicLog) Ready() error {
	skipped := m.table.Skipped()
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, f := range m.foreign {
		return fmt.Errorf("%d record(s) of %s do not count, such as the one with the key %q: %s; see docs/guide/operate.md",
			len(m.foreign), event.TopicAuditSigned, strict.Clip(key, 64), f.why)
	}
	if skipped > 0 {
		return fmt.Errorf("%d stretch(es) of %s cannot be decoded and were passed over; see docs/guide/operate.md, "+
			"then restart",
			skipped, event.TopicAuditSigned)
	}
	return nil
}

// Refresh reads the topic to its end.
func (m *TopicLog) Refresh(ctx context.Context) error { return m.table.Sync(ctx) }

// All returns the largest statement of every account, as of the last Refresh.
func (m *TopicLog) All(context.Context) ([]Signed, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.last)), nil
}

// Last returns an account's largest statement. Its error says that two histories of
// the account were signed.
func (m *TopicLog) Last(_ context.Context, account string) (Signed, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.last[account]
	return s, ok, m.split[account]
}

// Record publishes and waits for all replicas in sync.
func (m *TopicLog) Record(ctx context.Context, list []Signed) error {
	msgs := make([]bus.Message, len(list))
	m.mu.Lock()
	for i, s := range list {
		if err := check(m.last, s); err != nil {
			m.mu.Unlock()
			return err
		}
		msgs[i] = bus.Message{Topic: event.TopicAuditSigned, Key: []byte(s.Account), Value: []byte(s.line())}
	}
	m.mu.Unlock()
	if err := m.publish(ctx, msgs...); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range list {
		if have, ok := m.last[s.Account]; !ok || s.Size >= have.Size {
			m.last[s.Account] = s
		}
	}
	return nil
}

// Close ends the connections.
func (m *TopicLog) Close() error { return m.table.Close() }
