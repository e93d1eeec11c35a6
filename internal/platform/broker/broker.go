// Package broker is Kafka on one machine: franz-go's kfake in this process,
// with its log on disk and an fsync before every acknowledgement, and with the
// guard rails that it needs to serve foreign Kafka clients.
//
//	flock -> bind -> load the log -> verify stored offsets -> accept foreign clients -> trim, watch
//
// Guarantee: an acknowledged record survives kill -9 and power loss. It does not
// survive a failing disk, because kfake ignores the result of fsync and no other
// code can see it. Where this matters, use Apache Kafka; the features' own records
// are durable in their databases.
//
// Worst case after a crash: the whole log is read into memory, about 1 GB of
// RAM and 15 s for each GB. The replay window and the backlog limit bound it.
//
// Non-obvious:
//   - Foreign clients have no administration: topics are created by
//     [Broker.Create]. No topic is compacted, none has more than one partition.
//   - kfake's own retention is off: it knows nothing of the consumers, and an
//     emptied partition begins again at offset 0 after a crash.
//   - Transactions are refused: an open one would hold up every reader.
//   - Users and ACLs are those of the configuration and are created at every start;
//     kfake's copies on disk are deleted. Clients of this process authenticate as a
//     superuser; a foreign client without a user is a guest, which may write and
//     read the topics of [Config.Guests], and sees no other.
//   - A batch that consumers could not decode is refused when it is produced.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// Config has the settings of a Broker. Zero values of the limits mean the defaults.
type Config struct {
	DataDir   string      // of the log; created if it is missing
	Listen    string      // host:port for foreign clients; "" = none (in-process clients only); port 0 = any
	Advertise string      // host:port that clients connect to; "" = the address listened on
	TLS       *tls.Config // for foreign clients
	Users     []User      // SASL users; none = every client is a guest, which only loopback allows
	Guests    Rights      // of clients that do not authenticate

	Topics []bus.Topic // created before foreign clients are accepted

	// Verify compares the stored offsets with the log before foreign clients are
	// accepted (bus.VerifyOffsets for every feature's database). nil = no check.
	Verify func(context.Context, bus.Cluster) error
	// Positions returns the positions of all features' databases. Records that one
	// of Consumers has not stored are not trimmed; a consumer without a position
	// keeps everything.
	Positions func(context.Context) ([]bus.Position, error)
	Consumers []Subscription

	Window       int64   // bytes of a topic that are kept for replay; 256 MiB
	DiskShare    float64 // of the disk that is free without the log, which the log may take; 0.25
	RequestBytes int     // largest request; 16 MiB
	Connections  int     // most foreign connections at once; 512

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// User is one SASL user (SCRAM-SHA-256 or -512; kfake's PLAIN accepts unknown users).
// The names of a reader's groups begin with its own.
type User struct {
	Name     string
	Password string
	Rights
}

// Subscription is one of Belfry's own consumers.
type Subscription struct {
	Group string
	Topic string
}

// Broker is the embedded broker.
type Broker struct {
	cfg      Config
	internal string // password of the in-process superuser
	listener *listener
	m        metrics
	watch    logWatch

	lock    *os.File
	cluster *kfake.Cluster // set by Start

	refusing  atomic.Bool // the log has reached its limit
	full      atomic.Bool // the disk is full; see diskfull.go
	installed atomic.Bool // the refusing control is in the cluster
	limit     atomic.Int64

	mu     sync.Mutex // guards topics
	topics map[string]bus.Topic
}

// superuser is the name of the in-process clients where SASL is on.
const superuser = "belfry-internal"

// New checks the configuration; Start opens the broker.
func New(cfg Config) (*Broker, error) {
	if cfg.DataDir == "" {
		return nil, errors.New("the embedded broker needs a data directory")
	}
	if err := checkListen(cfg); err != nil {
		return nil, err
	}
	if cfg.Window <= 0 {
		cfg.Window = 256 << 20
	}
	if cfg.DiskShare <= 0 || cfg.DiskShare > 1 {
		cfg.DiskShare = 0.25
	}
	if cfg.RequestBytes <= 0 {
		cfg.RequestBytes = 16 << 20
	}
	if cfg.Connections <= 0 {
		cfg.Connections = 512
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	b := &Broker{cfg: cfg, internal: id.Secret(32), topics: map[string]bus.Topic{}, m: newMetrics()}
	b.watch = logWatch{log: cfg.Log, warnings: b.m.warnings, full: func() {
		b.full.Store(true)
		b.refuse()
	}}
	if cfg.Registerer != nil {
		if err := b.m.register(cfg.Registerer); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// checkListen refuses an address that the network could reach without authentication.
func checkListen(cfg Config) error {
	if cfg.Listen == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(cfg.Listen)
	if err != nil {
		return fmt.Errorf("BELFRY_KAFKA_LISTEN: %q is not host:port", cfg.Listen)
	}
	ip := net.ParseIP(host)
	if host != "localhost" && (ip == nil || !ip.IsLoopback()) && (cfg.TLS == nil || len(cfg.Users) == 0) {
		return fmt.Errorf("BELFRY_KAFKA_LISTEN: %s is not a loopback address, and the embedded broker is open to the "+
			"network only with TLS (BELFRY_KAFKA_LISTEN_CERT, BELFRY_KAFKA_LISTEN_KEY) and SASL users "+
			"(BELFRY_KAFKA_USERS_FILE); use 127.0.0.1, or set all three, or use Apache Kafka", cfg.Listen)
	}
	if cfg.Advertise == "" && (host == "" || ip != nil && ip.IsUnspecified()) {
		return fmt.Errorf("BELFRY_KAFKA_LISTEN: %s is every address of the machine; set BELFRY_KAFKA_ADVERTISE to the "+
			"one that clients connect to", cfg.Listen)
	}
	for _, u := range cfg.Users {
		if u.Name == "" || strings.HasPrefix(u.Name, "belfry") || len(u.Password) < 12 {
			return fmt.Errorf("BELFRY_KAFKA_USERS_FILE: user %q needs a name that does not begin with belfry, "+
				"and a password of at least 12 characters", u.Name)
		}
	}
	return nil
}

// Start loads the log, verifies the stored offsets, creates the topics and accepts
// foreign clients. After an error nothing is left open. Run or Close must follow.
func (b *Broker) Start(ctx context.Context) (err error) {
	if b.lock, err = lock(b.cfg.DataDir); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.listener, err = newListener(b.cfg, b.m); err != nil {
		return err
	}
	for _, name := range []string{"sasl.json", "acls.json"} {
		if err := os.Remove(filepath.Join(b.cfg.DataDir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if err := repairTails(b.cfg.DataDir, b.cfg.Log); err != nil {
		return fmt.Errorf("broker log: %w", err)
	}
	began := time.Now()
	if b.cluster, err = kfake.NewCluster(b.options()...); err != nil {
		return fmt.Errorf("load the broker's log: %w", err)
	}
	b.cfg.Log.Debug("broker log loaded", "took", time.Since(began))
	if err := b.createACLs(ctx); err != nil {
		return fmt.Errorf("kafka users: %w", err)
	}
	for _, t := range b.cfg.Topics {
		if err := b.Create(ctx, t); err != nil {
			return fmt.Errorf("topic %s: %w", t.Name, err)
		}
	}
	if b.cfg.Verify != nil {
		if err := b.cfg.Verify(ctx, b.Cluster()); err != nil {
			return err
		}
	}
	b.measure()
	b.listener.open()
	return nil
}

func (b *Broker) options() []kfake.Opt {
	list := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("belfry"),
		kfake.DataDir(b.cfg.DataDir),
		kfake.SyncWrites(),
		kfake.DefaultNumPartitions(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return b.listener, nil }),
		kfake.WithLogger(&b.watch),
		kfake.MaxVersions(offered()),
		kfake.BrokerConfigs(map[string]string{
			"log.segment.bytes":   strconv.FormatInt(max(1<<20, min(b.cfg.Window/8, 32<<20)), 10),
			"log.retention.ms":    "-1",
			"log.retention.bytes": "-1",
		}),
	}
	// The clients of this process authenticate, so that the ACLs apply to all others.
	list = append(list, kfake.EnableACLs(), kfake.Superuser("SCRAM-SHA-512", superuser, b.internal))
	if len(b.cfg.Users) > 0 {
		list = append(list, kfake.EnableSASL())
	}
	for _, u := range b.cfg.Users {
		list = append(list, kfake.User("SCRAM-SHA-256", u.Name, u.Password), kfake.User("SCRAM-SHA-512", u.Name, u.Password))
	}
	return list
}

// Cluster is the connection for clients of this process, with or without Listen.
func (b *Broker) Cluster() bus.Cluster {
	return bus.Cluster{Brokers: []string{"embedded:9092"}, Create: b.Create, Alone: true, User: superuser,
		Password: b.internal,
		Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if b.listener == nil {
				return nil, errors.New("the embedded broker is not started")
			}
			return b.listener.dial(ctx)
		}}
}

// Addr is the advertised address for foreign clients; "" without one.
func (b *Broker) Addr() string {
	if b.cfg.Listen == "" || b.listener == nil {
		return ""
	}
	return b.listener.advertised
}

// Create creates a topic, with one partition, if there is none of the name, and
// stores its retention in memory. It is the Create of [bus.Cluster].
func (b *Broker) Create(_ context.Context, t bus.Topic) error {
	if t.Compacted {
		return errors.New("the embedded broker has no compacted topics: compaction loses keys in a crash")
	}
	configs := map[string]string{"cleanup.policy": "delete"}
	if t.MaxMessageBytes > 0 {
		if t.MaxMessageBytes > b.cfg.RequestBytes {
			return fmt.Errorf("messages of %d bytes are larger than a request may be (%d)",
				t.MaxMessageBytes, b.cfg.RequestBytes)
		}
		configs["max.message.bytes"] = strconv.Itoa(t.MaxMessageBytes)
	}
	switch err := b.cluster.CreateTopic(t.Name, 1, configs); {
	case errors.Is(err, kerr.InvalidTopicException):
		return errs.New(errs.CodeInvalid, "%q is not a name of a topic", t.Name).Because(err)
	case err != nil && !errors.Is(err, kerr.TopicAlreadyExists):
		return err
	}
	b.mu.Lock()
	b.topics[t.Name] = t
	b.mu.Unlock()
	return nil
}

// Run trims and watches until ctx ends, then closes the broker. Stages that use
// the broker stop before it.
func (b *Broker) Run(ctx context.Context) error {
	tick := time.NewTicker(2 * time.Second)
	defer tick.Stop()
	stuck := false
	for n := 1; ; n++ {
		select {
		case <-ctx.Done():
			return b.Close()
		case <-tick.C:
		}
		b.measure()
		if b.full.Load() && !stuck {
			stuck = b.checkDisk()
		}
		if n%10 == 0 {
			if err := b.Trim(ctx); err != nil && ctx.Err() == nil {
				b.cfg.Log.Warn("broker log not trimmed, will be tried again", "error", err)
			}
		}
	}
}

// Ready is nil while records can be published and nothing suggests that some
// were lost; otherwise the reason for /readyz.
func (b *Broker) Ready() error {
	if err := b.watch.fault(); err != nil {
		return fmt.Errorf("broker log: %w; see docs/guide/operate.md, then restart", err)
	}
	if b.full.Load() {
		return errors.New("the disk of the broker's log is full; records are refused until there is space")
	}
	if b.refusing.Load() {
		return fmt.Errorf("the broker's log has reached its limit of %d MB; records are refused until the consumers catch up",
			b.limit.Load()>>20)
	}
	return nil
}

// Close ends all connections, saves the state and frees the directory.
func (b *Broker) Close() error {
	if b.listener != nil {
		b.listener.Close()
	}
	if b.cluster != nil {
		b.cluster.Close()
	}
	if b.lock != nil {
		return b.lock.Close() // frees the flock
	}
	return nil
}

// refuse answers produce requests with a retriable error while the log has reached
// its limit or the disk is full. The control is in the cluster only then, because
// kfake keeps a reference to every connection that passed one.
func (b *Broker) refuse() {
	if b.installed.Swap(true) {
		return
	}
	b.cluster.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		full := b.full.Load()
		if !full && !b.refusing.Load() {
			b.installed.Store(false)
			b.cluster.DropControl()
			return nil, nil, false
		}
		b.cluster.KeepControl()
		b.m.refused.Inc()
		produce := req.(*kmsg.ProduceRequest)
		if produce.Acks == 0 {
			// There is no answer to refuse with. The error closes the connection, as
			// Apache Kafka does: the producer notices, and connects again.
			return nil, errors.New("records are refused, and the producer asks for no answer"), true
		}
		text := "the broker's log has reached its limit"
		if full {
			text = "the disk of the broker's log is full"
		}
		resp := produce.ResponseKind().(*kmsg.ProduceResponse)
		for _, t := range produce.Topics {
			rt := kmsg.NewProduceResponseTopic()
			rt.Topic = t.Topic
			for _, p := range t.Partitions {
				rp := kmsg.NewProduceResponseTopicPartition()
				rp.Partition = p.Partition
				rp.ErrorCode = kerr.KafkaStorageError.Code
				rp.ErrorMessage = &text
				rt.Partitions = append(rt.Partitions, rp)
			}
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
}
