package bus

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// leaveTime is the time after the drain for committing the last offsets to the group
// and leaving it.
const leaveTime = 3 * time.Second

// Limits of a consumer's memory.
const (
	maxDecompressed = 64 << 20 // of one batch: compressed data may expand without limit
	fetchBytes      = 16 << 20
	partitionBytes  = 4 << 20
)

// Config has the settings of a Consumer. Zero values of the limits mean the defaults.
type Config struct {
	Cluster Cluster
	Group   string
	Topics  []string
	DB      *db.DB // has the tables of [Schema]

	// Handle stores the results of a batch and calls [Batch.Commit] in the same
	// transaction; it returns nil when that is committed. Any error but ErrFenced is
	// treated as a fault of the infrastructure: the batch is handled again after a
	// pause, and the partition waits. Handle runs once at a time for a partition,
	// concurrently for several.
	Handle func(ctx context.Context, batch *Batch) error

	// OwnOnly ignores records that Belfry did not publish, and counts them. On a topic
	// that only Belfry writes to, they are forged.
	OwnOnly bool

	MaxRecords    int           // in a batch; 1000
	MaxBytes      int           // of keys and values in a batch, a larger record comes alone; 8 MiB
	HandleTimeout time.Duration // of one Handle; 60 s
	Drain         time.Duration // for a running Handle when the partition is revoked; 5 s
	Retry         Backoff       // between repetitions; 100 ms to 30 s
	LagLimit      int64         // records behind, from which a moving partition is "lagging"; 10,000
	StallAfter    time.Duration // without progress, a partition with records left is "stalled"; 30 s
	UnownedAfter  time.Duration // a partition without a consumer of Belfry's for so long is a fault; 15 s
	HealthEvery   time.Duration // between two looks at the log's end; 5 s

	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Consumer reads topics: as a member of a group, or, where one process consumes
// ([Cluster.Alone]), all of their partitions.
//
// Three kinds of goroutines: Run's own polls and puts records into the partitions'
// queues; one for each owned partition calls Handle; one measures the lag. The
// client's callbacks claim and release partitions between two polls.
type Consumer struct {
	// Skipped reports records that cannot be decoded, in the transaction that moves the
	// position past them. Set before Run; nil = they are only logged.
	Skipped func(context.Context, *db.Tx, Skipped) error

	cfg     Config
	cl      *kgo.Client // set once by Run, under mu
	m       metrics
	decoder *Decoder

	mu      sync.Mutex // guards the fields below; never held while waiting
	owned   map[source]*claimedPartition
	ends    map[source]progress // of the owned partitions, by the lag goroutine
	unowned map[source]unowned  // partitions that no consumer of Belfry's has, by the lag goroutine
	givenUp []source            // claims to make again, of a direct consumer
	fault   pollFault           // of the last poll that had one
}

// pollFault is the error of a poll. A later good poll clears it; so do the next claim
// and time, because on a topic without new records no good poll follows, and a fault
// that lasts is seen again within seconds.
type pollFault struct {
	err error
	at  time.Time
}

type source struct {
	topic     string
	partition int32
}

// NewConsumer makes a Consumer; Run joins the group.
func NewConsumer(cfg Config) (*Consumer, error) {
	switch {
	case cfg.Group == "" || len(cfg.Topics) == 0:
		return nil, errors.New("a consumer needs a group and at least one topic")
	case cfg.DB == nil || cfg.Handle == nil:
		return nil, errors.New("a consumer needs a database and a handler")
	}
	defaults(&cfg.MaxRecords, 1000)
	defaults(&cfg.MaxBytes, 8<<20)
	defaults(&cfg.HandleTimeout, time.Minute)
	defaults(&cfg.Drain, 5*time.Second)
	defaults(&cfg.LagLimit, 10_000)
	defaults(&cfg.StallAfter, 30*time.Second)
	defaults(&cfg.UnownedAfter, 15*time.Second)
	defaults(&cfg.HealthEvery, 5*time.Second)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Log = cfg.Log.With("group", cfg.Group)
	c := &Consumer{
		cfg:     cfg,
		m:       newMetrics(cfg.Group),
		owned:   map[source]*claimedPartition{},
		ends:    map[source]progress{},
		unowned: map[source]unowned{},
	}
	var err error
	if c.decoder, err = NewDecoder(); err != nil {
		return nil, err
	}
	telemetry.StartAtZero(c.m.records, cfg.Topics)
	telemetry.StartAtZero(c.m.fenced, cfg.Topics)
	telemetry.StartAtZero(c.m.skipped, cfg.Topics)
	telemetry.StartAtZero(c.m.foreign, cfg.Topics)
	telemetry.StartAtZero(c.m.restarts, cfg.Topics, []string{string(Ahead), string(Behind), string(Changed)})
	telemetry.StartAtZero(c.m.retries, cfg.Topics, errs.Kinds())
	if cfg.Registerer != nil {
		if err := cfg.Registerer.Register(collector{c}); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func defaults[T int | int64 | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Run consumes until ctx ends; then it lets running handlers finish (at most
// Drain), leaves the group and returns.
func (c *Consumer) Run(ctx context.Context) error {
	if c.cfg.Cluster.Alone {
		return c.runDirect(ctx)
	}
	// Eager: a rebalance releases and claims every partition, so that a fenced member
	// recovers by joining again. The client may call back before kgo.NewClient has
	// returned: assign locks mu before it uses cl.
	c.mu.Lock()
	whole, hangUp := context.WithCancel(context.WithoutCancel(ctx)) // of the client: it outlives ctx, to leave the group
	defer hangUp()
	cl, err := c.cfg.Cluster.Client(c.clientID(), append(c.fetching(),
		kgo.WithContext(whole),
		kgo.ConsumerGroup(c.cfg.Group),
		kgo.ConsumeTopics(c.cfg.Topics...),
		kgo.Balancers(kgo.StickyBalancer(), kgo.RangeBalancer()),
		kgo.SessionTimeout(15*time.Second),
		kgo.HeartbeatInterval(2*time.Second),
		kgo.RebalanceTimeout(30*time.Second),
		kgo.BlockRebalanceOnPoll(),
		kgo.AutoCommitMarks(),
		kgo.AutoCommitInterval(2*time.Second),
		kgo.AdjustFetchOffsetsFn(c.assign),
		kgo.OnPartitionsRevoked(c.revoked),
		kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { c.release(lost, 0) }))...)
	c.cl = cl
	c.mu.Unlock()
	if err != nil {
		return fmt.Errorf("consumer %s: %w", c.cfg.Group, err)
	}
	var watch sync.WaitGroup
	watch.Go(func() { c.watch(ctx) })
	for ctx.Err() == nil {
		c.dispatch(cl.PollRecords(ctx, 10_000))
		cl.AllowRebalance()
	}
	watch.Wait()
	// A join that waits for a dead member cannot be cancelled, and leaving waits for
	// it. The client then closes without leaving, and the other members wait for the
	// end of this session.
	late := time.AfterFunc(c.cfg.Drain+leaveTime, hangUp)
	defer late.Stop()
	cl.CloseAllowingRebalance() // leaves the group: release runs for every partition
	c.release(nil, c.cfg.Drain) // those of a session that ended without it
	return nil
}

// clientID is the name under which Belfry's members join the group.
func (c *Consumer) clientID() string { return "belfry-" + c.cfg.Group }

// fetching are the client's options for reading.
func (c *Consumer) fetching() []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(fetchBytes),
		kgo.FetchMaxPartitionBytes(partitionBytes),
		kgo.MaxDecompressBatchBytes(maxDecompressed),
		kgo.FetchMaxWait(time.Second),
	}
}

// dispatch hands the records to their partitions. No rebalance can run between
// the poll and its end: the records are of the present claims.
func (c *Consumer) dispatch(fetches kgo.Fetches) {
	var failed error
	fetches.EachError(func(topic string, p int32, err error) {
		var loss *kgo.ErrDataLoss
		switch {
		case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), kgo.IsRetryableBrokerErr(err):
		case errors.As(err, &loss):
			// The log lost records that were read. Claiming again compares the position
			// with the present log.
			c.cfg.Log.Warn("the log was truncated", "topic", topic, "partition", p, "error", err)
			c.mu.Lock()
			owner := c.owned[source{topic, p}]
			c.mu.Unlock()
			c.abandon(owner)
		case topic == "": // of the group
			failed = err
		default:
			failed = fmt.Errorf("%s/%d: %w", topic, p, err)
			c.mu.Lock()
			owner := c.owned[source{topic, p}]
			c.mu.Unlock()
			if owner != nil {
				owner.suspect()
			}
		}
	})
	if failed != nil || fetches.NumRecords() > 0 {
		c.failed(failed)
	}
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		if len(f.Records) == 0 {
			return
		}
		c.mu.Lock()
		p := c.owned[source{f.Topic, f.Partition}]
		c.mu.Unlock()
		if p != nil && p.add(f.Records) {
			c.cl.PauseFetchPartitions(map[string][]int32{f.Topic: {f.Partition}})
		}
	})
}

// failed notes the fault of a poll; nil ends it.
func (c *Consumer) failed(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if (err != nil) != (c.fault.err != nil) {
		c.cfg.Log.Warn("consuming", "fault", err)
	}
	c.fault = pollFault{err, time.Now()}
}

// assign claims partitions in the database and answers where to read. It
// retries until the database and the brokers answer or the session ends; the
// heartbeats go on meanwhile.
func (c *Consumer) assign(
	ctx context.Context, offsets map[string]map[int32]kgo.Offset,
) (map[string]map[int32]kgo.Offset, error) {
	var positions []Position
	for topic, partitions := range offsets {
		for p := range partitions {
			positions = append(positions, Position{Group: c.cfg.Group, Topic: topic, Partition: p})
		}
	}
	backoff := c.cfg.Retry
	for {
		err := c.claim(ctx, positions)
		if err == nil {
			break
		}
		c.cfg.Log.Warn("partitions not claimed, will be tried again", "error", err)
		c.failed(fmt.Errorf("partitions not claimed: %w", err))
		if err := backoff.Wait(ctx); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	c.fault = pollFault{}
	for _, pos := range positions {
		// No leader epoch: the position was compared with the log just now.
		offsets[pos.Topic][pos.Partition] = kgo.NewOffset().At(pos.Next)
		at := source{pos.Topic, pos.Partition}
		if old := c.owned[at]; old != nil {
			old.end() // of a session that ended without a release
		}
		c.owned[at] = c.start(pos)
		delete(c.ends, at)
	}
	c.mu.Unlock()
	// A queue that was full when its partition was taken away left it paused.
	if c.cl != nil { // else nothing was fetched yet
		c.cl.ResumeFetchPartitions(topicNames(positions))
	}
	return offsets, nil
}

func topicNames(positions []Position) map[string][]int32 {
	list := map[string][]int32{}
	for _, p := range positions {
		list[p.Topic] = append(list[p.Topic], p.Partition)
	}
	return list
}

func (c *Consumer) claim(ctx context.Context, positions []Position) error {
	for i := range positions {
		if err := claim(ctx, c.cfg.DB, &positions[i]); err != nil {
			return err
		}
	}
	logs, err := extents(ctx, c.cfg.Cluster, positions)
	if err != nil {
		return err
	}
	for i := range positions {
		p := &positions[i]
		from := p.Next
		next, why := fit(*p, logs[i])
		if next == from {
			continue
		}
		if err := restart(ctx, c.cfg.DB, p, next); err != nil {
			return err
		}
		if why != "" {
			c.m.restarts.WithLabelValues(p.Topic, string(why)).Inc()
			c.cfg.Log.Warn("the position does not fit the log; reading from its start",
				"topic", p.Topic, "partition", p.Partition, "reason", why, "from", from, "to", next)
		}
	}
	return nil
}

// revoked releases partitions: the stored offsets are committed to the group before
// another member begins.
func (c *Consumer) revoked(ctx context.Context, cl *kgo.Client, lost map[string][]int32) {
	c.release(lost, c.cfg.Drain)
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Drain)
	defer cancel()
	if err := cl.CommitMarkedOffsets(ctx); err != nil {
		c.cfg.Log.Info("the group does not know the last offsets", "error", err)
	}
}

// release stops the given partitions (all, if lost is nil) and waits for their
// handlers: drain long for an answer, then until they notice that their
// context ended.
func (c *Consumer) release(lost map[string][]int32, drain time.Duration) {
	var list []*claimedPartition
	c.mu.Lock()
	if lost == nil {
		for _, p := range c.owned {
			list = append(list, p)
		}
		clear(c.owned)
		clear(c.ends)
	}
	for topic, partitions := range lost {
		for _, id := range partitions {
			at := source{topic, id}
			if p := c.owned[at]; p != nil {
				list = append(list, p)
				delete(c.owned, at)
				delete(c.ends, at)
			}
		}
	}
	c.mu.Unlock()
	for _, p := range list {
		p.stopOnce()
	}
	deadline := time.NewTimer(drain)
	defer deadline.Stop()
	for _, p := range list {
		select {
		case <-p.done:
		case <-deadline.C:
			deadline.Reset(0)
			p.cancel()
			<-p.done
		}
	}
}

// abandon gives a claim up. A direct consumer claims the partition again; a member
// of a group joins again, which claims it if it is still this member's.
func (c *Consumer) abandon(p *claimedPartition) {
	if p != nil {
		c.mu.Lock()
		if c.owned[p.at] == p {
			delete(c.owned, p.at)
			delete(c.ends, p.at)
			if c.cfg.Cluster.Alone {
				c.givenUp = append(c.givenUp, p.at)
			}
		}
		c.mu.Unlock()
		p.end()
	}
	if !c.cfg.Cluster.Alone {
		c.cl.ForceRebalance()
	}
}
