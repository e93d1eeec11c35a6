package engines_test

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/test/engines"
)

func open(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func TestEachDatabaseIsFreshAndSortsByBytes(t *testing.T) {
	first := open(t, engines.Postgres(t))
	second := open(t, engines.Postgres(t))
	if _, err := first.ExecContext(t.Context(), `CREATE TABLE t (x TEXT)`); err != nil {
		t.Fatal(err)
	}
	if _, err := second.ExecContext(t.Context(), `CREATE TABLE t (x TEXT)`); err != nil {
		t.Errorf("the second database knows the first one's table: %v", err)
	}
	var bytewise bool
	if err := first.QueryRowContext(t.Context(), `SELECT 'a' > 'B'`).Scan(&bytewise); err != nil || !bytewise {
		t.Errorf("'a' > 'B' is %v (%v): the collation is not C", bytewise, err)
	}
}

func TestADatabaseIsDroppedAtTheEndOfItsTestThoughConnected(t *testing.T) {
	var url string
	t.Run("inner", func(t *testing.T) {
		url = engines.Postgres(t)
		db, err := sql.Open("pgx", url)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.PingContext(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	if url == "" {
		t.Skip("PostgreSQL left out")
	}
	err := open(t, url).PingContext(t.Context())
	if err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("after the test its database answers: %v", err)
	}
}

func TestAKilledPostgresKeepsWhatWasCommitted(t *testing.T) {
	p := engines.StartPostgres(t)
	db := open(t, p.URL())
	if _, err := db.ExecContext(t.Context(), `CREATE TABLE t (x INT)`); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), `INSERT INTO t VALUES (7)`); err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if err := open(t, p.URL()).PingContext(t.Context()); err == nil {
		t.Fatal("the killed server answers")
	}
	p.Start()
	var x int
	if err := open(t, p.URL()).QueryRowContext(t.Context(), `SELECT x FROM t`).Scan(&x); err != nil || x != 7 {
		t.Errorf("after the restart x = %d (%v), want 7", x, err)
	}
}

func TestAKilledKafkaKeepsWhatWasAcknowledged(t *testing.T) {
	p := engines.StartKafka(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	produce(ctx, t, p.URL(), "topic", "kept")
	p.Kill()
	p.Start()
	if got := consume(ctx, t, p.URL(), "topic"); got != "kept" {
		t.Errorf("read %q, want what was acknowledged before the kill", got)
	}
}

func TestAnUnknownTopicIsNotCreatedByAsking(t *testing.T) {
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(engines.Kafka(t), ",")...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := kmsg.NewPtrMetadataRequest()
	request.AllowAutoTopicCreation = true
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = kmsg.StringPtr("nobody-made-this")
	request.Topics = append(request.Topics, topic)
	answer, err := request.RequestWith(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	const unknownTopic = 3
	if code := answer.Topics[0].ErrorCode; code != unknownTopic {
		t.Errorf("error code %d, want %d (unknown topic)", code, unknownTopic)
	}
}

func TestTheBrowserStarts(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), engines.Chromium(t), "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

func TestTheNodeClientsCanBeImported(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), "node", "--input-type=module", "-e",
		`import Cloudflare from "cloudflare"; import { Kafka } from "kafkajs"; import "axe-core";
		new Kafka({ brokers: ["x"] }); new Cloudflare({ apiToken: "x" });`)
	cmd.Dir = engines.Node(t)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// TestAMissingEngineFailsWhereEverythingIsPromised runs this test binary again without
// the engine, once with the promise and once without.
func TestAMissingEngineFailsWhereEverythingIsPromised(t *testing.T) {
	for all, want := range map[string]string{"1": "FAIL", "": "PASS"} {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestTheBrowserStarts$", "-test.v")
		cmd.Env = append(os.Environ(), "BELFRY_TEST_CHROMIUM=", "BELFRY_TEST_ALL="+all)
		out, err := cmd.CombinedOutput()
		if !strings.Contains(string(out), "BELFRY_TEST_CHROMIUM is not set") || (err != nil) != (want == "FAIL") {
			t.Errorf("BELFRY_TEST_ALL=%q: want %s, got %v\n%s", all, want, err, out)
		}
	}
}

func produce(ctx context.Context, t *testing.T, brokers, topic, value string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	request := kmsg.NewPtrCreateTopicsRequest()
	create := kmsg.NewCreateTopicsRequestTopic()
	create.Topic = topic
	create.NumPartitions = 1
	create.ReplicationFactor = 1
	request.Topics = append(request.Topics, create)
	answer, err := request.RequestWith(ctx, client)
	if err != nil || answer.Topics[0].ErrorCode != 0 {
		t.Fatalf("topic not created: %v %+v", err, answer)
	}
	record := &kgo.Record{Topic: topic, Value: []byte(value)}
	if err := client.ProduceSync(ctx, record).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func consume(ctx context.Context, t *testing.T, brokers, topic string) string {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(brokers), kgo.ConsumeTopics(topic),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	for ctx.Err() == nil {
		if records := client.PollFetches(ctx).Records(); len(records) > 0 {
			return string(records[0].Value)
		}
	}
	t.Fatal("nothing to read")
	return ""
}
