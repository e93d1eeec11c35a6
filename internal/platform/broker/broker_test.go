package broker_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestASecondBrokerOnTheDirectoryIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := started(t, broker.Config{DataDir: dir})
	if _, err := openBroker(t, broker.Config{DataDir: dir}); err == nil ||
		!strings.Contains(err.Error(), "another process") {
		t.Fatalf("the second: %v", err)
	}
	first.Close()
	started(t, broker.Config{DataDir: dir})
}

func TestAnAddressOnTheNetworkNeedsTLSAndUsers(t *testing.T) {
	users := []broker.User{{Name: "team", Password: "long enough it is"}}
	for _, cfg := range []broker.Config{
		{Listen: "0.0.0.0:0"},
		{Listen: "192.0.2.1:9092"},
		{Listen: "broker.example:9092", Users: users},
		{Listen: "9092"},
	} {
		cfg.DataDir = t.TempDir()
		if _, err := broker.New(cfg); err == nil || !strings.Contains(err.Error(), "BELFRY_KAFKA_LISTEN") {
			t.Errorf("%s: %v", cfg.Listen, err)
		}
	}
	if _, err := broker.New(broker.Config{
		DataDir: t.TempDir(),
		Listen:  "127.0.0.1:0",
		Users:   []broker.User{{Name: "team", Password: "short"}},
	}); err == nil {
		t.Error("a short password was taken")
	}
}

func TestABusyAddressFailsTheStartAndNamesTheSetting(t *testing.T) {
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	if _, err := openBroker(t, broker.Config{Listen: busy.Addr().String()}); err == nil ||
		!strings.Contains(err.Error(), "BELFRY_KAFKA_LISTEN") {
		t.Fatal(err)
	}
}

// While the stored offsets are compared, clients of the process are served and
// foreign ones are not.
func TestTheDoorOpensAfterTheOffsetsAreVerified(t *testing.T) {
	verified := false
	// apiVersions is a request that every broker answers at once.
	apiVersions := []byte{0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 1, 0xff, 0xff}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	ask := func(wait time.Duration) error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(wait))
		if _, err := conn.Write(apiVersions); err != nil {
			return err
		}
		_, err = conn.Read(make([]byte, 4))
		return err
	}
	started(t, broker.Config{Listen: address, Topics: []bus.Topic{{Name: "a"}},
		Verify: func(ctx context.Context, c bus.Cluster) error {
			numbered(t, c, "a", 0, 1)
			if err := ask(200 * time.Millisecond); err == nil {
				t.Error("a foreign client was answered before the offsets were verified")
			}
			verified = true
			return nil
		}})
	if err := ask(patience); err != nil || !verified {
		t.Fatalf("after the start: %v, verified %v", err, verified)
	}
	fault := errors.New("cannot compare")
	b, err := broker.New(broker.Config{
		DataDir: t.TempDir(),
		Listen:  "127.0.0.1:0",
		Verify:  func(context.Context, bus.Cluster) error { return fault },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(t.Context()); !errors.Is(err, fault) {
		t.Fatalf("a start without verified offsets: %v", err)
	}
}

func TestAcknowledgedRecordsSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	b := started(t, broker.Config{DataDir: dir, Topics: []bus.Topic{{Name: "a"}}})
	for round := range 5 {
		numbered(t, b.Cluster(), "a", round*20, 20)
		after := started(t, broker.Config{DataDir: killed(t, dir)})
		list := read(t, after.Cluster(), "a", (round+1)*20)
		for i, v := range list {
			if v != fmt.Sprint(i) {
				t.Fatalf("round %d: record %d is %s", round, i, v)
			}
		}
		if err := after.Ready(); err != nil {
			t.Fatal(err)
		}
		after.Close()
	}
}

func TestAnIncompleteBatchAtTheEndIsCutOffWithoutAnAlarm(t *testing.T) {
	dir := t.TempDir()
	b := started(t, broker.Config{DataDir: dir, Topics: []bus.Topic{{Name: "a"}}})
	numbered(t, b.Cluster(), "a", 0, 3)
	for _, torn := range []int{1, 11, 13, 60} {
		copied := killed(t, dir)
		file := filepath.Join(copied, "partitions", "a-0", "0.dat")
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		part := min(torn, len(data)/3-1)
		if err := os.WriteFile(file, append(data, data[:part]...), 0o600); err != nil {
			t.Fatal(err)
		}
		after := started(t, broker.Config{DataDir: copied})
		if err := after.Ready(); err != nil {
			t.Errorf("%d bytes of a batch: %v", part, err)
		}
		if got := read(t, after.Cluster(), "a", 3); strings.Join(got, " ") != "0 1 2" {
			t.Errorf("%d bytes of a batch: %v", part, got)
		}
		after.Close()
	}
}

func TestADamagedLogFailsReadinessAndIsCounted(t *testing.T) {
	dir := t.TempDir()
	b := started(t, broker.Config{DataDir: dir, Topics: []bus.Topic{{Name: "a"}}})
	numbered(t, b.Cluster(), "a", 0, 3)
	if err := b.Ready(); err != nil {
		t.Fatal(err)
	}
	copied := killed(t, dir)
	file := filepath.Join(copied, "partitions", "a-0", "0.dat")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewPedanticRegistry()
	after := started(t, broker.Config{DataDir: copied, Registerer: registry})
	if err := after.Ready(); err == nil || !strings.Contains(err.Error(), "corrupt") {
		t.Fatalf("ready: %v", err)
	}
	if n := counted(t, registry, "belfry_broker_warnings_total"); n < 1 {
		t.Fatalf("%v warnings counted", n)
	}
}

func counted(t *testing.T, g prometheus.Gatherer, name string) (sum float64) {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

func TestPastTheLimitRecordsAreRefusedUntilThereIsRoom(t *testing.T) {
	t.Parallel()
	b := started(t, broker.Config{Topics: []bus.Topic{{Name: "a"}}})
	publish(t, b.Cluster(), "a", 10, 100)
	b.SetDiskShare(1e-12)
	err := try(t, b.Cluster(), "a", 1, 100, 2*time.Second)
	if errs.KindOf(err) != errs.Unavailable {
		t.Fatalf("past the limit: %v", err)
	}
	if err := b.Ready(); err == nil || !strings.Contains(err.Error(), "limit") {
		t.Fatalf("ready: %v", err)
	}
	b.SetDiskShare(0.5)
	publish(t, b.Cluster(), "a", 10, 100)
	if err := b.Ready(); err != nil {
		t.Fatal(err)
	}
	b.SetDiskShare(1e-12) // again: the refusal can be put in place more than once
	if err := try(t, b.Cluster(), "a", 1, 100, 2*time.Second); errs.KindOf(err) != errs.Unavailable {
		t.Fatalf("past the limit again: %v", err)
	}
	if _, end := extent(t, b.Cluster(), "a"); end != 20 {
		t.Fatalf("the log ends at %d, want 20", end)
	}
}

// stored opens a feature's database with the bus's tables.
func stored(t *testing.T) *db.DB {
	t.Helper()
	d, err := db.Open(t.Context(), db.Config{Feature: "test", DataDir: t.TempDir(), Schemas: []db.Schema{bus.Schema()}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	return d
}

func verify(t *testing.T, d *db.DB, into *[]bus.Restart) func(context.Context, bus.Cluster) error {
	return func(ctx context.Context, c bus.Cluster) error {
		list, err := bus.VerifyOffsets(ctx, c, d)
		*into = list
		return err
	}
}

// consumed runs a consumer until it has stored n records more, and gives their
// values.
func consumed(t *testing.T, cluster bus.Cluster, d *db.DB, n int) []string {
	t.Helper()
	values := make(chan string, 1000)
	c, err := bus.NewConsumer(bus.Config{Cluster: cluster, Group: "g", Topics: []string{"a"}, DB: d, MaxRecords: 7,
		Handle: func(ctx context.Context, b *bus.Batch) error {
			err := d.Tx(ctx, func(tx *db.Tx) error { return b.Commit(ctx, tx) })
			if err == nil {
				for _, r := range b.Records {
					values <- string(r.Value)
				}
			}
			return err
		}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	var list []string
	deadline := time.After(patience)
	for len(list) < n {
		select {
		case v := <-values:
			list = append(list, v)
		case <-deadline:
			t.Fatalf("only %d of %d records", len(list), n)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return list
}

func TestAnOffsetBeyondTheEndBeginsAgainAtTheStart(t *testing.T) {
	dir, d := t.TempDir(), stored(t)
	b := started(t, broker.Config{DataDir: dir, Topics: []bus.Topic{{Name: "a"}}})
	numbered(t, b.Cluster(), "a", 0, 10)
	early := killed(t, dir)
	numbered(t, b.Cluster(), "a", 10, 10)
	consumed(t, b.Cluster(), d, 20)
	b.Close()
	before, err := bus.Positions(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	var restarts []bus.Restart
	b = started(t, broker.Config{DataDir: early, Verify: verify(t, d, &restarts)})
	want := bus.Restart{Group: "g", Topic: "a", From: 20, To: 0, Reason: bus.Ahead}
	if len(restarts) != 1 || restarts[0] != want {
		t.Fatalf("%+v", restarts)
	}
	after, err := bus.Positions(t.Context(), d)
	if err != nil || after[0].Epoch <= before[0].Epoch || after[0].Next != 0 {
		t.Fatalf("%+v after %+v (%v)", after, before, err)
	}
	numbered(t, b.Cluster(), "a", 100, 15)
	if list := consumed(t, b.Cluster(), d, 25); list[0] != "0" || list[24] != "114" {
		t.Fatal(list)
	}
}

func TestAnOffsetOfAnotherLogBeginsAgainAtTheStart(t *testing.T) {
	d := stored(t)
	b := started(t, broker.Config{Topics: []bus.Topic{{Name: "a"}}})
	numbered(t, b.Cluster(), "a", 0, 10)
	consumed(t, b.Cluster(), d, 10)
	b.Close()
	// Another log with as many records: only their content tells.
	other := started(t, broker.Config{Topics: []bus.Topic{{Name: "a"}}})
	numbered(t, other.Cluster(), "a", 50, 30)
	list, err := bus.VerifyOffsets(t.Context(), other.Cluster(), d)
	if err != nil || len(list) != 1 || list[0].Reason != bus.Changed || list[0].To != 0 {
		t.Fatalf("%+v %v", list, err)
	}
	if again, err := bus.VerifyOffsets(t.Context(), other.Cluster(), d); err != nil || len(again) != 0 {
		t.Fatalf("a second look: %+v %v", again, err)
	}
	if got := consumed(t, other.Cluster(), d, 30); got[0] != "50" {
		t.Fatal(got)
	}
	// A consumer without a verifier detects it, too.
	third := started(t, broker.Config{Topics: []bus.Topic{{Name: "a"}}})
	numbered(t, third.Cluster(), "a", 200, 40)
	if got := consumed(t, third.Cluster(), d, 40); got[0] != "200" {
		t.Fatal(got)
	}
}

func TestAPositionThatFitsIsKept(t *testing.T) {
	dir, d := t.TempDir(), stored(t)
	b := started(t, broker.Config{DataDir: dir, Topics: []bus.Topic{{Name: "a"}}})
	numbered(t, b.Cluster(), "a", 0, 10)
	consumed(t, b.Cluster(), d, 10)
	copied := killed(t, dir)
	var restarts []bus.Restart
	b = started(t, broker.Config{DataDir: copied, Verify: verify(t, d, &restarts)})
	if len(restarts) != 0 {
		t.Fatalf("%+v", restarts)
	}
	numbered(t, b.Cluster(), "a", 10, 5)
	if got := consumed(t, b.Cluster(), d, 5); got[0] != "10" {
		t.Fatal(got)
	}
}

func TestCloseEndsEveryGoroutine(t *testing.T) {
	d := stored(t)
	run := func() {
		b, err := broker.New(broker.Config{DataDir: t.TempDir(), Listen: "127.0.0.1:0", Topics: []bus.Topic{{Name: "a"}},
			Guests: broker.Rights{Write: []string{"a"}}})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- b.Run(ctx) }()
		numbered(t, outside(b), "a", 0, 5)
		consumed(t, b.Cluster(), d, 5)
		idle, err := net.Dial("tcp", b.Addr()) // a client that stays
		if err != nil {
			t.Fatal(err)
		}
		defer idle.Close()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	before := runtime.NumGoroutine()
	run()
	deadline := time.Now().Add(patience)
	for runtime.NumGoroutine() > before {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(20 * time.Millisecond)
	}
}
