package broker_test

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

const patience = 60 * time.Second

// started opens a broker that the end of the test closes.
func started(t *testing.T, cfg broker.Config) *broker.Broker {
	t.Helper()
	b, err := openBroker(t, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func openBroker(t *testing.T, cfg broker.Config) (*broker.Broker, error) {
	t.Helper()
	if cfg.DataDir == "" {
		cfg.DataDir = t.TempDir()
	}
	if len(cfg.Guests.Write)+len(cfg.Guests.Read) == 0 {
		cfg.Guests = broker.Rights{Write: []string{"*"}, Read: []string{"*"}}
	}
	cfg.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	b, err := broker.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := b.Start(t.Context()); err != nil {
		return nil, err
	}
	t.Cleanup(func() { b.Close() })
	return b, nil
}

// outside is the cluster as a client beyond the process sees it.
func outside(b *broker.Broker) bus.Cluster { return bus.Cluster{Brokers: []string{b.Addr()}} }

// publish writes values of the given size, uncompressible, and fails the test
// if they are not acknowledged.
func publish(t *testing.T, cluster bus.Cluster, topic string, n, size int) {
	t.Helper()
	if err := try(t, cluster, topic, n, size, patience); err != nil {
		t.Fatal(err)
	}
}

func try(t *testing.T, cluster bus.Cluster, topic string, n, size int, limit time.Duration) error {
	t.Helper()
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: cluster, Timeout: limit})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for n > 0 {
		batch := make([]bus.Message, min(n, 64))
		for i := range batch {
			value := make([]byte, size)
			for k := range value {
				value[k] = byte(rand.Uint32())
			}
			batch[i] = bus.Message{Topic: topic, Key: []byte("k"), Value: value}
		}
		n -= len(batch)
		if err := p.Publish(t.Context(), batch...); err != nil {
			return err
		}
	}
	return nil
}

// extent is the log's first and next offset.
func extent(t *testing.T, cluster bus.Cluster, topic string) (start, end int64) {
	t.Helper()
	cl, err := cluster.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	admin := kadm.NewClient(cl)
	starts, err := admin.ListStartOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	ends, err := admin.ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	s, _ := starts.Lookup(topic, 0)
	e, _ := ends.Lookup(topic, 0)
	return s.Offset, e.Offset
}

// read takes n values from the topic's start.
func read(t *testing.T, cluster bus.Cluster, topic string, n int) []string {
	t.Helper()
	cl, err := cluster.Client("test", kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var list []string
	for len(list) < n {
		fetched := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("read %d of %d records: %v", len(list), n, fetched.Err())
		}
		for _, r := range fetched.Records() {
			list = append(list, string(r.Value))
		}
	}
	return list
}

// killed copies a running broker's directory: what a kill -9 at this moment
// leaves.
func killed(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, path)
		if e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// numbered publishes the values "first" to "first+n-1".
func numbered(t *testing.T, cluster bus.Cluster, topic string, first, n int) {
	t.Helper()
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: cluster})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	for i := range n {
		if err := p.Publish(t.Context(), bus.Message{Topic: topic, Value: fmt.Appendf(nil, "%d", first+i)}); err != nil {
			t.Fatal(err)
		}
	}
}
