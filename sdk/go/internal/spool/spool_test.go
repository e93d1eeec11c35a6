package spool_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/belfryhq/belfry/sdk/go/internal/spool"
)

const many = 1 << 20

type fixture struct {
	*spool.Spool
	damage []spool.Corruption
}

func open(t *testing.T, dir string, change ...func(*spool.Options)) *fixture {
	t.Helper()
	f := new(fixture)
	opt := spool.Options{
		Dir: dir, Tag: "acct", MaxBytes: 1 << 30, SegmentBytes: 1 << 20,
		Corrupt: func(c spool.Corruption) { f.damage = append(f.damage, c) },
	}
	for _, c := range change {
		c(&opt)
	}
	var err error
	if f.Spool, err = spool.Open(opt); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *fixture) put(t *testing.T, payloads ...string) {
	t.Helper()
	for _, p := range payloads {
		if err := f.Append(t.Context(), append(spool.Reserve(nil), p...)); err != nil {
			t.Fatal(err)
		}
	}
}

// rest settles everything, record by record, and returns it.
func (f *fixture) rest(t *testing.T) (got []string) {
	t.Helper()
	for {
		b, err := f.Next(3, many)
		if err != nil {
			t.Fatal(err)
		}
		if len(b.Records) == 0 {
			if n, size := f.Backlog(); n != 0 || size != 0 {
				t.Errorf("everything is settled, and the backlog is %d records, %d bytes", n, size)
			}
			return got
		}
		got = append(got, string(b.Records[0]))
		if err := f.Settle(b, 1); err != nil {
			t.Fatal(err)
		}
	}
}

func (f *fixture) close(t *testing.T) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func payload(i int) string {
	return fmt.Sprintf("record %03d %s", i, bytes.Repeat([]byte("x"), i%40))
}

func sequence(from, to int) (list []string) {
	for i := from; i < to; i++ {
		list = append(list, payload(i))
	}
	return list
}

func same(a, b []string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

func segments(t *testing.T, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.seg"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestRecordsComeBackInOrderAcrossSegmentsAndProcesses(t *testing.T) {
	dir := t.TempDir()
	small := func(o *spool.Options) { o.SegmentBytes = 300; o.Sync = true }
	s := open(t, dir, small)
	s.put(t, sequence(0, 50)...)
	b, err := s.Next(7, many)
	if err != nil || len(b.Records) == 0 || b.Tag != "acct" {
		t.Fatalf("%d records of %q, %v", len(b.Records), b.Tag, err)
	}
	settled := 2
	if err := s.Settle(b, settled); err != nil {
		t.Fatal(err)
	}
	s.close(t)
	s = open(t, dir, small)
	if n, _ := s.Backlog(); n != int64(50-settled) {
		t.Errorf("backlog of %d records, want %d", n, 50-settled)
	}
	s.put(t, sequence(50, 60)...)
	if got := s.rest(t); !same(got, sequence(settled, 60)) {
		t.Errorf("got %q", got)
	}
	s.close(t)
	if left := segments(t, dir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	s = open(t, dir, small)
	if got := s.rest(t); len(got) != 0 || len(s.damage) != 0 {
		t.Errorf("settled records came back: %q, damage %v", got, s.damage)
	}
	s.close(t)
}

func TestABatchKeepsItsLimits(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.close(t)
	s.put(t, "aaaa", "bbbb", "cccc", "dddd")
	for _, c := range []struct{ records, bytes, want int }{{2, many, 2}, {9, many, 4}, {9, 15, 3}, {9, 14, 2}, {9, 1, 1}} {
		b, err := s.Next(c.records, c.bytes)
		if err != nil || len(b.Records) != c.want {
			t.Errorf("at most %d records of %d bytes: got %d, %v; want %d", c.records, c.bytes, len(b.Records), err, c.want)
		}
	}
}

func TestConcurrentWritersAllGetTheirRecordsStored(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, func(o *spool.Options) { o.SegmentBytes = 10_000; o.Sync = true })
	var wg sync.WaitGroup
	for w := range 16 {
		wg.Go(func() {
			for i := range 50 {
				if err := s.Append(context.Background(), append(spool.Reserve(nil), fmt.Sprintf("%d/%d", w, i)...)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	s.close(t)
	s = open(t, dir)
	defer s.close(t)
	next := map[int]int{}
	for _, r := range s.rest(t) {
		var w, i int
		fmt.Sscanf(r, "%d/%d", &w, &i)
		if next[w] != i {
			t.Fatalf("writer %d: record %d came where %d was due", w, i, next[w])
		}
		next[w]++
	}
	for w := range 16 {
		if next[w] != 50 {
			t.Errorf("writer %d: %d records", w, next[w])
		}
	}
}

func TestAFullSpoolRefusesAndTakesAgainWhenRecordsAreSettled(t *testing.T) {
	s := open(t, t.TempDir(), func(o *spool.Options) { o.MaxBytes = 100 })
	defer s.close(t)
	rec := append(spool.Reserve(nil), make([]byte, 30)...)
	var err error
	for n := 0; err == nil; n++ {
		if n > 10 {
			t.Fatal("it never fills")
		}
		err = s.Append(t.Context(), rec)
	}
	if !errors.Is(err, spool.ErrFull) {
		t.Fatal(err)
	}
	b, _ := s.Next(1, many)
	s.Settle(b, 1)
	if err := s.Append(t.Context(), rec); err != nil {
		t.Error(err)
	}
}

func TestADirectoryBelongsToOneSpool(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	if _, err := spool.Open(spool.Options{Dir: dir, MaxBytes: many, SegmentBytes: many}); !errors.Is(err,
		spool.ErrLocked) {
		t.Errorf("a second spool: %v", err)
	}
	s.close(t)
	open(t, dir).close(t)
}

func TestAClosedSpoolTakesNothing(t *testing.T) {
	s := open(t, t.TempDir())
	s.close(t)
	if err := s.Append(t.Context(), spool.Reserve(nil)); !errors.Is(err, spool.ErrClosed) {
		t.Error(err)
	}
}

// crashed is the segment of a spool that was not closed, and the offset behind
// each of its records; offsets[0] is the end of the header.
func crashed(t *testing.T, n int) (content []byte, offsets []int) {
	t.Helper()
	dir := t.TempDir()
	s := open(t, dir)
	s.put(t, sequence(0, n)...)
	name := segments(t, dir)[0]
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	s.close(t)
	offsets = []int{len(content)}
	for i := n - 1; i >= 0; i-- {
		offsets = append([]int{offsets[0] - len(payload(i)) - len(spool.Reserve(nil))}, offsets...)
	}
	return content, offsets
}

func spoolOf(t *testing.T, segment []byte) *fixture {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "0000000000000007.seg"), segment, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, dir)
}

func TestATornTailIsCutWhereverItWasTorn(t *testing.T) {
	content, offsets := crashed(t, 4)
	for cut := range content {
		whole := 0
		for whole < 4 && offsets[whole+1] <= cut {
			whole++
		}
		for _, tail := range [][]byte{nil, make([]byte, 50)} {
			if cut < offsets[0] && tail != nil {
				continue // zeros inside the header are damage
			}
			s := spoolOf(t, append(content[:cut:cut], tail...))
			s.put(t, "after")
			got := s.rest(t)
			if !same(got, append(sequence(0, whole), "after")) {
				t.Fatalf("cut at %d with %d zeros: got %q, want %d records", cut, len(tail), got, whole)
			}
			if len(s.damage) != 0 && tail == nil {
				t.Fatalf("cut at %d: reported as damage: %v", cut, s.damage)
			}
			s.close(t)
		}
	}
}

func TestAChangedByteCostsItsRecordAloneAndIsReported(t *testing.T) {
	const n = 4
	content, offsets := crashed(t, n)
	for at := range content {
		bad := bytes.Clone(content)
		bad[at] ^= 0x10
		s := spoolOf(t, bad)
		hit := -1 // the header
		for hit < n-1 && offsets[hit+1] <= at {
			hit++
		}
		var want []string
		if hit >= 0 {
			want = append(sequence(0, hit), sequence(hit+1, n)...)
		}
		got := s.rest(t)
		if !same(got, want) {
			t.Fatalf("byte %d of record %d: got %q", at, hit, got)
		}
		if len(s.damage) != 1 {
			t.Fatalf("byte %d of record %d: reported %v", at, hit, s.damage)
		}
		copied, err := os.ReadFile(s.damage[0].Copy)
		if err != nil {
			t.Fatal(err)
		}
		if hit >= 0 && !bytes.Equal(copied, bad[offsets[hit]:offsets[hit+1]]) || hit < 0 && !bytes.Equal(copied, bad) {
			t.Fatalf("byte %d: the quarantined bytes are not the damaged ones", at)
		}
		s.close(t)
	}
}

func TestDamageThatHappensMeanwhileIsSteppedOver(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	s.put(t, sequence(0, 20)...)
	name := segments(t, dir)[0]
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range []int{0, 7, 8, 19} {
		content[bytes.Index(content, []byte(payload(i)))] ^= 1
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	f.WriteAt(content, 0)
	f.Close()
	s.put(t, "after")
	want := append(append(sequence(1, 7), sequence(9, 19)...), "after")
	if got := s.rest(t); !same(got, want) {
		t.Errorf("got %q", got)
	}
	if len(s.damage) != 3 { // 7 and 8 are one part
		t.Errorf("reported %v", s.damage)
	}
	s.close(t)
	if left := segments(t, dir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestAPositionThatCannotBeReadRepeatsRecords(t *testing.T) {
	for _, position := range []string{"", "short", "twenty bytes of nons", string(make([]byte, 20))} {
		dir := t.TempDir()
		s := open(t, dir)
		s.put(t, sequence(0, 3)...)
		b, _ := s.Next(1, many)
		s.Settle(b, 1)
		s.close(t)
		if err := os.WriteFile(filepath.Join(dir, "position"), []byte(position), 0o600); err != nil {
			t.Fatal(err)
		}
		s = open(t, dir)
		if got := s.rest(t); !same(got, sequence(0, 3)) {
			t.Errorf("position %q: got %q", position, got)
		}
		s.close(t)
	}
}

func TestANumberIsNotUsedTwiceEvenWhenAllSegmentsAreGone(t *testing.T) {
	dir := t.TempDir()
	for i := range 4 {
		s := open(t, dir)
		s.put(t, payload(i))
		want := filepath.Join(dir, fmt.Sprintf("%016d.seg", i+1))
		if got := segments(t, dir); len(got) != 1 || got[0] != want {
			t.Errorf("segments %q, want %q", got, want)
		}
		if got := s.rest(t); !same(got, sequence(i, i+1)) {
			t.Errorf("got %q", got)
		}
		s.close(t)
	}
}

func TestADiskErrorIsToldAndTheNextRecordGetsANewSegment(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, dir, func(o *spool.Options) { o.SegmentBytes = 1; o.Sync = true })
	s.put(t, payload(0))
	away := dir + ".away"
	if err := os.Rename(dir, away); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), append(spool.Reserve(nil), payload(1)...)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without its directory: %v", err)
	}
	if n, _ := s.Backlog(); n != 1 {
		t.Errorf("backlog %d, want 1", n)
	}
	if err := os.Rename(away, dir); err != nil {
		t.Fatal(err)
	}
	s.put(t, payload(2))
	if got := s.rest(t); !same(got, []string{payload(0), payload(2)}) {
		t.Errorf("got %q", got)
	}
	s.close(t)
}

func TestAnEndedContextEndsTheWaitOnly(t *testing.T) {
	s := open(t, t.TempDir(), func(o *spool.Options) { o.Sync = true })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := s.Append(ctx, append(spool.Reserve(nil), "x"...))
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	s.Stop()
	if got := s.rest(t); !same(got, []string{"x"}) {
		t.Errorf("got %q", got)
	}
	s.close(t)
}

// Whatever a file holds, recovery ends, delivers only whole records and can be
// repeated.
func FuzzRecover(f *testing.F) {
	f.Add([]byte("BELFRYSP"), 0)
	f.Add(bytes.Repeat([]byte("BEL\x9c"), 40), 3)
	dir := f.TempDir()
	s, err := spool.Open(spool.Options{Dir: dir, Tag: "a", MaxBytes: many, SegmentBytes: many})
	if err != nil {
		f.Fatal(err)
	}
	for i := range 3 {
		s.Append(context.Background(), append(spool.Reserve(nil), payload(i)...))
	}
	content, err := os.ReadFile(filepath.Join(dir, "0000000000000001.seg"))
	if err != nil {
		f.Fatal(err)
	}
	s.Close()
	f.Add(content, 20)
	f.Add(content[:len(content)-3], 40)
	f.Fuzz(func(t *testing.T, junk []byte, at int) {
		at = max(0, min(at, len(content)))
		file := append(append(bytes.Clone(content[:at]), junk...), content[at:]...)
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "0000000000000001.seg"), file, 0o600); err != nil {
			t.Fatal(err)
		}
		opt := spool.Options{Dir: dir, Tag: "a", MaxBytes: 1 << 30, SegmentBytes: many}
		s, err := spool.Open(opt)
		if err != nil {
			return // another version, said so
		}
		for {
			b, err := s.Next(10, many)
			if err != nil {
				t.Fatal(err)
			}
			if len(b.Records) == 0 {
				break
			}
			if err := s.Settle(b, len(b.Records)); err != nil {
				t.Fatal(err)
			}
		}
		if n, size := s.Backlog(); n != 0 || size != 0 {
			t.Fatalf("backlog of %d records, %d bytes", n, size)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
