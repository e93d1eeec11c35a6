package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"errors"
	"hash/crc32"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/test/poll"
)

// undecodable is a batch of one record with a gzip flag and no gzip.
func undecodable() []byte {
	b := make([]byte, 61)
	b[16] = 2
	b[22] = 1
	binary.BigEndian.PutUint64(b[27:], uint64(time.Now().UnixMilli()))
	binary.BigEndian.PutUint64(b[35:], uint64(time.Now().UnixMilli()))
	for i := 43; i < 57; i++ {
		b[i] = 0xff
	}
	b[60] = 1
	b = append(b, "this is not gzip"...)
	binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
	binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b
}

// produce sends a batch as it is and gives the answer's error.
func produce(t *testing.T, cluster bus.Cluster, topic string, batch []byte) error {
	t.Helper()
	cl, err := cluster.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = batch
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	rt.Partitions = []kmsg.ProduceRequestTopicPartition{p}
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	req.TimeoutMillis = 5000
	req.Topics = []kmsg.ProduceRequestTopic{rt}
	resp, err := cl.SeedBrokers()[0].Request(t.Context(), req)
	if err != nil {
		t.Fatal(err)
	}
	return kerr.ErrorForCode(resp.(*kmsg.ProduceResponse).Topics[0].Partitions[0].ErrorCode)
}

func TestNoTopicIsStoppedByABatchThatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.account("Acme")
	var skipped []string
	for _, sub := range app.Subscriptions() {
		// A client of the process gets past the check at the door.
		if err := produce(t, s.app.Cluster(), sub.Topic, undecodable()); err != nil {
			t.Fatalf("%s: %v", sub.Topic, err)
		}
		skipped = append(skipped, sub.Topic)
		poll.Until(t, sub.Group+" moves past it", func() bool {
			positions, err := s.app.Positions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(positions, func(p bus.Position) bool {
				return p.Topic == sub.Topic && p.Group == sub.Group && p.Next >= 1
			})
		})
	}
	if len(skipped) != 5 {
		t.Fatalf("only %q were tried", skipped)
	}
	// What comes behind is consumed: an event from the bus stands in the record.
	value, err := json.Marshal(object{
		"account_id": id,
		"id":         "behind",
		"action":     object{"type": "update"},
		"actor":      object{"type": "user", "id": "u1"},
		"resource":   object{"product": "dns", "type": "record", "id": "r1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.app.Publish(t.Context(), bus.Message{Topic: event.TopicAuditEvents, Value: value}); err != nil {
		t.Fatal(err)
	}
	poll.Until(t, "the event behind", func() bool {
		positions, err := s.app.Positions(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(positions, func(p bus.Position) bool {
			return p.Topic == event.TopicAuditEvents && p.Next == 2
		})
	})
	s.call("GET", "/accounts/"+id+"/audit/events/behind", nil)
	// The operators are told, with the place.
	// the batch at 0 is undecodable here as well
	behind := map[string]map[int32]kgo.Offset{event.TopicAuditRejects: {0: kgo.NewOffset().At(1)}}
	cl, err := s.app.Cluster().Client("test", kgo.ConsumePartitions(behind))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	told := map[string]bool{}
	poll.Until(t, "a reject for each topic", func() bool {
		cl.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			var one event.Reject
			if json.Unmarshal(r.Value, &one) == nil && one.Source != nil && len(one.Errors) == 1 &&
				strings.Contains(one.Errors[0].Message, "were skipped") {
				told[one.Source.Topic] = true
			}
		})
		return len(told) == len(skipped)
	})
	res, err := http.Get(s.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range app.Subscriptions() {
		for _, line := range []string{
			`belfry_bus_skipped_total{group="` + sub.Group + `",topic="` + sub.Topic + `"} 1`,
			`belfry_bus_partition_state{group="` + sub.Group + `",partition="0",state="ok",topic="` + sub.Topic + `"} 1`,
		} {
			if !strings.Contains(string(text), line) {
				t.Errorf("/metrics lacks %s", line)
			}
		}
	}
}

// The door of an installation as it is set up gives no more than the on-ramps and
// the rejects.
func TestTheDoorLetsEveryClientWriteAndReadWhatItMayAndNothingElse(t *testing.T) {
	s := newSite(t)
	door := bus.Cluster{Brokers: []string{s.app.KafkaAddr()}}
	p, err := bus.NewProducer(bus.ProducerConfig{Cluster: door})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close(t.Context())
	may := map[string]string{
		event.TopicAuditEvents:   "w",
		event.TopicTrafficCounts: "w",
		event.TopicAlerts:        "w",
		event.TopicAuditRejects:  "r",
	}
	for _, topic := range event.Topics {
		if topic.Internal || topic.Compacted { // not on the embedded bus
			continue
		}
		err := p.Publish(t.Context(), bus.Message{Topic: topic.Name, Value: []byte("{}")})
		want := errs.Forbidden
		if may[topic.Name] == "w" {
			want = errs.None
		}
		if errs.KindOf(err) != want {
			t.Errorf("writing to %s: %v", topic.Name, err)
		}
		if err := s.app.Publish(t.Context(), bus.Message{Topic: topic.Name, Value: []byte("{}")}); err != nil {
			t.Fatal(err)
		}
		cl, err := door.Client("test", kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
			topic.Name: {0: kgo.NewOffset().AtStart()},
		}))
		if err != nil {
			t.Fatal(err)
		}
		fetched := cl.PollFetches(t.Context())
		cl.Close()
		if got := fetched.Err(); (got == nil) != (may[topic.Name] == "r") ||
			got != nil && !errors.Is(got, kerr.TopicAuthorizationFailed) {
			t.Errorf("reading %s: %v", topic.Name, got)
		}
	}
	cl, err := door.Client("test")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	topics, err := kadm.NewClient(cl).ListTopics(t.Context())
	if err != nil || len(topics) != len(may) {
		t.Errorf("a client sees %v, %v", topics.Names(), err)
	}
	if err := produce(t, door, event.TopicAuditEvents, undecodable()); !errors.Is(err, kerr.CorruptMessage) {
		t.Errorf("an undecodable batch: %v", err)
	}
}

func TestTheDoorCanBeClosed(t *testing.T) {
	cfg, err := app.LoadConfig("", env(map[string]string{
		"BELFRY_LISTEN":          "127.0.0.1:0",
		"BELFRY_KAFKA_LISTEN":    "off",
		"BELFRY_DATA_DIR":        t.TempDir(),
		"BELFRY_BOOTSTRAP_TOKEN": bootstrap,
	}))
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Setup(t.Context(), cfg, "test", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if a.KafkaAddr() != "" {
		t.Errorf("clients are told %s", a.KafkaAddr())
	}
}

func TestFaultsOfTheKafkaSettingsAreNamed(t *testing.T) {
	for want, pairs := range map[string]map[string]string{
		"BELFRY_KAFKA_LISTEN":        {"BELFRY_KAFKA_LISTEN": "closed"},
		"BELFRY_KAFKA_ADVERTISE":     {"BELFRY_KAFKA_ADVERTISE": "broker"},
		"BELFRY_KAFKA_SASL":          {"BELFRY_KAFKA_SASL": "gssapi"},
		"must be on or off":          {"BELFRY_KAFKA_TLS": "yes"},
		"BELFRY_KAFKA_PASSWORD_FILE": {"BELFRY_KAFKA_BROKERS": "k:9092", "BELFRY_KAFKA_USER": "belfry"},
		"set one of them": {
			"BELFRY_KAFKA_BROKERS":       "k:9092",
			"BELFRY_KAFKA_USER":          "belfry",
			"BELFRY_KAFKA_PASSWORD":      "p",
			"BELFRY_KAFKA_PASSWORD_FILE": "f",
		},
		"sends the password in clear text": {
			"BELFRY_KAFKA_BROKERS":  "k:9092",
			"BELFRY_KAFKA_USER":     "belfry",
			"BELFRY_KAFKA_PASSWORD": "p",
			"BELFRY_KAFKA_SASL":     "plain",
		},
		"need BELFRY_KAFKA_TLS=on": {"BELFRY_KAFKA_BROKERS": "k:9092", "BELFRY_KAFKA_CA": "ca.pem"},
		"names none":               {"BELFRY_KAFKA_TLS": "on"},
		"BELFRY_KAFKA_CLIENT_KEY": {
			"BELFRY_KAFKA_BROKERS":     "k:9092",
			"BELFRY_KAFKA_TLS":         "on",
			"BELFRY_KAFKA_CLIENT_CERT": "c.pem",
		},
		"BELFRY_KAFKA_LISTEN_KEY": {"BELFRY_KAFKA_LISTEN_CERT": "c.pem"},
	} {
		if _, err := app.LoadConfig("", env(pairs)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", pairs, err, want)
		}
	}
}

func TestAUsersFileGivesNoMoreThanAClientMayHave(t *testing.T) {
	const password = ", password: long enough it is"
	for _, c := range []struct{ users, want string }{
		{
			"- {name: team" + password + ", write: [belfry.traffic.sharded]}\n",
			`user "team": write: "belfry.traffic.sharded" must be one of`,
		},
		{
			"- {name: team" + password + ", read: [belfry.audit.events]}\n",
			`user "team": read: "belfry.audit.events" must be one of belfry.audit.rejects`,
		},
		{"- {name: team, password: short}\n", `user "team" needs`},
		{"- {name: belfry.x" + password + "}\n", `does not begin with belfry`},
		{"- {name: team" + password + ", admin: true}\n", "must be a list in YAML"},
		{"hunter2-the-password", "must be a list in YAML"},
		{"", "names no user"},
		{"- {name: a" + password + "}\n- {name: a" + password + "}\n", "there are two users"},
	} {
		file := filepath.Join(t.TempDir(), "users.yaml")
		if err := os.WriteFile(file, []byte(c.users), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, err := app.LoadConfig("", env(map[string]string{
			"BELFRY_LISTEN":           "127.0.0.1:0",
			"BELFRY_KAFKA_LISTEN":     "127.0.0.1:0",
			"BELFRY_KAFKA_USERS_FILE": file,
			"BELFRY_DATA_DIR":         t.TempDir(),
		}))
		if err != nil {
			t.Fatal(err)
		}
		_, err = app.Setup(t.Context(), cfg, "test", t.Output())
		if err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), "BELFRY_KAFKA_USERS_FILE") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: %v, want %q", c.users, err, c.want)
		}
	}
}

// keyPair writes a certificate for 127.0.0.1 that signs itself, and its key.
func keyPair(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	plan := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, plan, plan, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cert = filepath.Join(dir, "cert.pem")
	key = filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		cert: {Type: "CERTIFICATE", Bytes: der},
		key:  {Type: "PRIVATE KEY", Bytes: pkcs8},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// The door with TLS and users, and the settings with which Belfry reaches such a
// cluster, are two ends of one connection.
func TestTLSAndUsersWorkOnBothEnds(t *testing.T) {
	t.Parallel()
	cert, key := keyPair(t)
	users := filepath.Join(t.TempDir(), "users.yaml")
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(users, []byte("- name: checkout\n  password: long enough it is\n  write: "+
		"[belfry.audit.events]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(password, []byte("long enough it is\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := app.LoadConfig("", env(map[string]string{
		"BELFRY_LISTEN":            "127.0.0.1:0",
		"BELFRY_KAFKA_LISTEN":      "127.0.0.1:0",
		"BELFRY_DATA_DIR":          t.TempDir(),
		"BELFRY_BOOTSTRAP_TOKEN":   bootstrap,
		"BELFRY_KAFKA_LISTEN_CERT": cert,
		"BELFRY_KAFKA_LISTEN_KEY":  key,
		"BELFRY_KAFKA_USERS_FILE":  users,
	}))
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.Setup(t.Context(), cfg, "test", t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	publish := func(topic string, limit time.Duration, settings map[string]string) error {
		settings["BELFRY_KAFKA_BROKERS"] = a.KafkaAddr()
		client, err := app.LoadConfig("", env(settings))
		if err != nil {
			t.Error(err)
			return nil
		}
		cluster, err := client.KafkaCluster()
		if err != nil {
			t.Error(err)
			return nil
		}
		p, err := bus.NewProducer(bus.ProducerConfig{Cluster: cluster, Timeout: limit})
		if err != nil {
			t.Error(err)
			return nil
		}
		defer p.Close(t.Context())
		return p.Publish(t.Context(), bus.Message{Topic: topic, Value: []byte("{}")})
	}
	// A client that is refused tries again until its time is over: they wait together.
	var waiting sync.WaitGroup
	refused := func(why string, settings map[string]string) {
		waiting.Go(func() {
			if err := publish(event.TopicAuditEvents, 3*time.Second, settings); err == nil {
				t.Errorf("%s: the client came in", why)
			}
		})
	}
	for _, mechanism := range []string{"scram-sha-256", "scram-sha-512"} {
		with := func() map[string]string {
			return map[string]string{
				"BELFRY_KAFKA_TLS":           "on",
				"BELFRY_KAFKA_CA":            cert,
				"BELFRY_KAFKA_SASL":          mechanism,
				"BELFRY_KAFKA_USER":          "checkout",
				"BELFRY_KAFKA_PASSWORD_FILE": password,
			}
		}
		if err := publish(event.TopicAuditEvents, time.Minute, with()); err != nil {
			t.Errorf("%s: %v", mechanism, err)
		}
		if err := publish(event.TopicAlerts, time.Minute, with()); errs.KindOf(err) != errs.Forbidden {
			t.Errorf("%s, a topic that the user may not write: %v", mechanism, err)
		}
		wrong := with()
		delete(wrong, "BELFRY_KAFKA_PASSWORD_FILE")
		wrong["BELFRY_KAFKA_PASSWORD"] = "another password"
		refused(mechanism+" with a wrong password", wrong)
	}
	// The mechanism PLAIN is not offered: the broker would take any user with it.
	refused("PLAIN", map[string]string{
		"BELFRY_KAFKA_TLS":           "on",
		"BELFRY_KAFKA_CA":            cert,
		"BELFRY_KAFKA_SASL":          "plain",
		"BELFRY_KAFKA_USER":          "checkout",
		"BELFRY_KAFKA_PASSWORD_FILE": password,
	})
	refused("without a user", map[string]string{"BELFRY_KAFKA_TLS": "on", "BELFRY_KAFKA_CA": cert})
	waiting.Wait()
}
