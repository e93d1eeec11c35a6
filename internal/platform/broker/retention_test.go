package broker_test

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

func TestTheWindowKeepsTheNewestSegments(t *testing.T) {
	for _, c := range []struct {
		window int64
		want   int64
	}{{1000, 0}, {60, 0}, {31, 0}, {30, 100}, {11, 100}, {10, 200}, {0, 200}} {
		if got := broker.WindowStart(broker.Segments(0, 30, 100, 20, 200, 10), c.window); got != c.want {
			t.Errorf("window %d: %d, want %d", c.window, got, c.want)
		}
	}
}

func TestACutNeverPassesAConsumerNorEmptiesTheLog(t *testing.T) {
	for _, c := range []struct{ window, retention, floor, end, want int64 }{
		{50, 0, 1000, 1000, 50},     // the window decides
		{50, 80, 1000, 1000, 80},    // the retention decides
		{50, 80, 30, 1000, 30},      // a consumer has not stored it yet
		{50, 1000, 1000, 1000, 999}, // everything expired: the last record stays
		{0, 0, 0, 0, -1},            // nothing there
	} {
		if got := broker.TrimOffset(c.window, c.retention, c.floor, c.end); got != c.want {
			t.Errorf("%+v: %d", c, got)
		}
	}
}

func TestTheSlowestOwnConsumerHoldsAndForeignGroupsDoNot(t *testing.T) {
	consumers := []broker.Subscription{{
		Group: "ledger",
		Topic: "a",
	}, {Group: "notify", Topic: "a"}, {Group: "slo", Topic: "b"}}
	positions := []bus.Position{{
		Group: "ledger",
		Topic: "a",
		Next:  70,
	}, {Group: "notify", Topic: "a", Next: 40}, {Group: "replay", Topic: "a", Next: 3}}
	got := broker.Floors(consumers, positions)
	if len(got) != 2 || got["a"] != 40 || got["b"] != 0 {
		t.Fatal(got)
	}
}

func TestTrimmingFollowsTheConsumersAndLeavesTheLastRecord(t *testing.T) {
	var next atomic.Int64
	dir := t.TempDir()
	b := started(t, broker.Config{DataDir: dir, Window: 1, Topics: []bus.Topic{{Name: "a"}, {Name: "free"}},
		Consumers: []broker.Subscription{{Group: "g", Topic: "a"}},
		Positions: func(context.Context) ([]bus.Position, error) {
			if next.Load() == 0 {
				return nil, nil
			}
			return []bus.Position{{Group: "g", Topic: "a", Next: next.Load()}}, nil
		}})
	for _, topic := range []string{"a", "free"} {
		publish(t, b.Cluster(), topic, 320, 16<<10) // 5 MB: several segments of 1 MB
	}
	trim := func() int64 {
		t.Helper()
		if err := b.Trim(t.Context()); err != nil {
			t.Fatal(err)
		}
		start, end := extent(t, b.Cluster(), "a")
		if end != 320 {
			t.Fatalf("the log ends at %d", end)
		}
		return start
	}
	if start := trim(); start != 0 {
		t.Fatalf("trimmed to %d before the consumer had a position", start)
	}
	if start, end := extent(t, b.Cluster(), "free"); start < 200 || start >= end {
		t.Fatalf("a topic without consumers begins at %d of %d", start, end)
	}
	next.Store(150)
	if start := trim(); start != 150 {
		t.Fatalf("trimmed to %d, the consumer is at 150", start)
	}
	next.Store(320)
	start := trim()
	if start <= 150 || start >= 320 {
		t.Fatalf("trimmed to %d", start)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "partitions", "a-0", "*.dat"))
	if len(files) == 0 || len(files) > 2 {
		t.Fatalf("%d files are left", len(files))
	}
	// After a kill the log is where it was, not at offset 0.
	after := started(t, broker.Config{DataDir: killed(t, dir)})
	if again, end := extent(t, after.Cluster(), "a"); again < start-64 || end != 320 {
		t.Fatalf("after a kill: %d to %d, before %d to 320", again, end, start)
	}
}

func TestWhatIsOlderThanTheRetentionGoesButTheLastRecord(t *testing.T) {
	b := started(t, broker.Config{Topics: []bus.Topic{{
		Name:      "a",
		Retention: time.Millisecond,
	}, {Name: "kept", Retention: time.Hour}}})
	for _, topic := range []string{"a", "kept"} {
		numbered(t, b.Cluster(), topic, 0, 10)
	}
	time.Sleep(5 * time.Millisecond) // the records' age is the condition
	if err := b.Trim(t.Context()); err != nil {
		t.Fatal(err)
	}
	if start, end := extent(t, b.Cluster(), "a"); start != 9 || end != 10 {
		t.Errorf("expired: %d to %d", start, end)
	}
	if start, end := extent(t, b.Cluster(), "kept"); start != 0 || end != 10 {
		t.Errorf("not expired: %d to %d", start, end)
	}
}

func FuzzMendTail(f *testing.F) {
	f.Add([]byte("not a batch"))
	f.Add(make([]byte, 100))
	f.Fuzz(func(t *testing.T, data []byte) {
		file := filepath.Join(t.TempDir(), "0.dat")
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		cut, err := broker.RepairTail(file)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := broker.RepairTail(file); err != nil || again != 0 {
			t.Fatalf("a second time it cut %d (%v)", again, err)
		}
		left, err := os.ReadFile(file)
		if err != nil || int64(len(left))+cut != int64(len(data)) || string(left) != string(data[:len(left)]) {
			t.Fatalf("%d bytes became %d, %d cut (%v)", len(data), len(left), cut, err)
		}
	})
}
