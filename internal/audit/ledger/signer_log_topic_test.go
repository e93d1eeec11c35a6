package ledger_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/test/engines"
)

// signedTopic is a bus with the topic of the signed log; foreign publishes to
// it without Belfry's MAC.
type signedTopic struct {
	t            *testing.T
	cluster      bus.Cluster
	own, foreign *bus.Producer
}

func newSignedTopic(t *testing.T) *signedTopic {
	t.Helper()
	b, err := broker.New(broker.Config{DataDir: t.TempDir()})
	if err == nil {
		err = b.Start(t.Context())
	}
	if err == nil {
		err = bus.Ensure(t.Context(), b.Cluster(), bus.Topic{Name: event.TopicAuditSigned})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return signedOn(t, b.Cluster())
}

func signedOn(t *testing.T, cluster bus.Cluster) *signedTopic {
	t.Helper()
	s := &signedTopic{t: t, cluster: cluster}
	s.foreign = s.producer()
	s.cluster.Key = []byte("a key of the installation")
	s.own = s.producer()
	return s
}

func (s *signedTopic) producer() *bus.Producer {
	s.t.Helper()
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: s.cluster})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { p.Close(context.Background()) })
	return p
}

func (s *signedTopic) publish(p *bus.Producer, key, value string) {
	s.t.Helper()
	msg := bus.Message{Topic: event.TopicAuditSigned, Key: []byte(key)}
	if value != "" {
		msg.Value = []byte(value)
	}
	if err := p.Publish(s.t.Context(), msg); err != nil {
		s.t.Fatal(err)
	}
}

func (s *signedTopic) open() *ledger.TopicLog {
	s.t.Helper()
	m, err := ledger.OpenTopicLog(s.t.Context(), s.cluster, s.own.Publish, slog.New(slog.DiscardHandler),
		prometheus.NewRegistry())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { m.Close() })
	return m
}

func TestARecordThatBelfryDidNotPublishNeitherStopsNorLeadsTheSigner(t *testing.T) {
	s := newSignedTopic(t)
	first := s.open()
	if err := first.Record(t.Context(), []ledger.Signed{signedAt(accountA, 5, 1)}); err != nil {
		t.Fatal(err)
	}
	huge := accountA + " 9000000 " + merkle.Hash{9}.String()
	for key, value := range map[string]string{"zz": "garbage", accountA: huge, "": "x y z", "yy": huge} {
		s.publish(s.foreign, key, value)
	}
	s.publish(s.own, accountB, huge) // of another account than its key
	check := func(m *ledger.TopicLog, foreign string) {
		t.Helper()
		if err := m.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := m.Last(t.Context(), accountA); !ok || err != nil || got != signedAt(accountA, 5, 1) {
			t.Errorf("%+v %v %v", got, ok, err)
		}
		if err := m.Ready(); err == nil || !strings.Contains(err.Error(), foreign+" record(s) of "+event.TopicAuditSigned) {
			t.Errorf("ready: %v", err)
		}
	}
	check(first, "5")
	check(s.open(), "4") // one that starts states again what stood under the account's key
	check(first, "4")
	if err := first.Record(t.Context(), []ledger.Signed{signedAt(accountA, 6, 2)}); err != nil {
		t.Fatal(err)
	}
	// A statement of Belfry's takes a record's place, and so does a tombstone.
	for _, key := range []string{"zz", "", "yy", accountB} {
		s.publish(s.foreign, key, "")
	}
	if err := first.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := first.Ready(); err != nil {
		t.Error(err)
	}
}

func TestTwoHistoriesOfOneAccountStopOnlyItsSigning(t *testing.T) {
	s := newSignedTopic(t)
	s.publish(s.own, accountA, accountA+" 5 "+merkle.Hash{1}.String())
	s.publish(s.own, accountA, accountA+" 5 "+merkle.Hash{2}.String())
	s.publish(s.own, accountB, accountB+" 7 "+merkle.Hash{3}.String())
	m := s.open()
	if _, _, err := m.Last(t.Context(), accountA); !errs.Is(err, errs.CodeSigningStopped) {
		t.Error(err)
	}
	if got, ok, err := m.Last(t.Context(), accountB); !ok || err != nil || got.Size != 7 {
		t.Errorf("%+v %v %v", got, ok, err)
	}
}

// Statements that an earlier Belfry made without a MAC do not count. The signer
// states again what the database says was signed.
func TestStatementsWithoutAMACAreStatedAgainFromTheDatabase(t *testing.T) {
	w := newWorld(t, "")
	w.Append(accountA, minimal(members{"id": "1"}))
	before := w.Signer(w.DB, w.Memory()) // writes the row of the database
	if _, err := before.Checkpoint(t.Context(), accountA); err != nil {
		t.Fatal(err)
	}
	s := newSignedTopic(t)
	empty := accountB + " 0 " + merkle.EmptyRoot().String()
	s.publish(s.foreign, accountA, accountA+" 1 "+merkle.Hash{1}.String())
	s.publish(s.foreign, accountB, empty)
	m := s.open()
	signer := w.Signer(w.DB, m)
	if err := signer.Compare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := m.Ready(); err != nil {
		t.Errorf("records without a MAC still stand: %v", err)
	}
	again := s.open() // as another process finds it
	for account, size := range map[string]uint64{accountA: 1, accountB: 0} {
		if got, ok, err := again.Last(t.Context(), account); !ok || err != nil || got.Size != size {
			t.Errorf("%s: %+v %v %v", account, got, ok, err)
		}
	}
	if _, err := signer.Checkpoint(t.Context(), accountA); err != nil {
		t.Error(err)
	}
}

func TestTheSignersMemoryIsKeptOnApacheKafka(t *testing.T) {
	cluster := bus.Cluster{Brokers: strings.Split(engines.Kafka(t), ",")}
	if err := bus.Ensure(t.Context(), cluster, bus.Topic{Name: event.TopicAuditSigned, Compacted: true}); err != nil {
		t.Fatal(err)
	}
	s := signedOn(t, cluster)
	s.publish(s.foreign, "zz", "garbage")
	if err := s.open().Record(t.Context(), []ledger.Signed{signedAt(accountA, 5, 1)}); err != nil {
		t.Fatal(err)
	}
	m := s.open()
	if got, ok, err := m.Last(t.Context(), accountA); !ok || err != nil || got.Size != 5 {
		t.Errorf("%+v %v %v", got, ok, err)
	}
	s.publish(s.foreign, "zz", "")
	if err := m.Refresh(t.Context()); err != nil || m.Ready() != nil {
		t.Error(err, m.Ready())
	}
}
