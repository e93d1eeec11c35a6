package broker

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/belfryhq/belfry/internal/platform/bus"
)

// segment is one file of a partition's log: DIR/partitions/TOPIC-0/BASE.dat.
type segment struct {
	base int64 // first offset
	size int64
}

// segments lists the files of a topic's log, oldest first.
func segments(dir, topic string) ([]segment, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "partitions", url.PathEscape(topic)+"-0"))
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []segment
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".dat")
		base, err := strconv.ParseInt(name, 10, 64)
		if !ok || err != nil {
			continue
		}
		info, err := e.Info()
		if err != nil {
			continue // deleted meanwhile
		}
		list = append(list, segment{base, info.Size()})
	}
	slices.SortFunc(list, func(a, b segment) int { return int(min(1, max(-1, a.base-b.base))) })
	return list, nil
}

// logBytes is the size of the whole log, including topics that are no longer declared.
func logBytes(dir string) (int64, error) {
	files, err := filepath.Glob(filepath.Join(dir, "partitions", "*", "*.dat"))
	if err != nil {
		return 0, err
	}
	var sum int64
	for _, f := range files {
		if info, err := os.Stat(f); err == nil { // else it was deleted meanwhile
			sum += info.Size()
		}
	}
	return sum, nil
}

// windowStart is the first offset of the newest segments that hold the window.
func windowStart(list []segment, window int64) int64 {
	for i := len(list) - 1; i > 0; i-- {
		if window -= list[i].size; window <= 0 {
			return list[i].base
		}
	}
	if len(list) == 0 {
		return 0
	}
	return list[0].base
}

// trimOffset is the offset before which a topic's records may be deleted: outside of
// the window or the retention, stored by every consumer, and never the last record
// (an emptied log begins again at offset 0 after a crash).
func trimOffset(window, retention, floor, end int64) int64 {
	return min(max(window, retention), floor, end-1)
}

// floors are the offsets up to which all consumers of a topic have stored.
func floors(consumers []Subscription, positions []bus.Position) map[string]int64 {
	stored := map[Subscription]int64{}
	for _, p := range positions {
		if p.Partition == 0 {
			stored[Subscription{p.Group, p.Topic}] = p.Next
		}
	}
	list := map[string]int64{}
	for _, s := range consumers {
		next := stored[s] // 0 keeps everything until the consumer has a position
		if old, ok := list[s.Topic]; !ok || next < old {
			list[s.Topic] = next
		}
	}
	return list
}

// Trim deletes records outside of the replay window or the retention. Run calls it
// regularly.
func (b *Broker) Trim(ctx context.Context) error {
	var positions []bus.Position
	if b.cfg.Positions != nil {
		var err error
		if positions, err = b.cfg.Positions(ctx); err != nil {
			return fmt.Errorf("positions: %w", err)
		}
	}
	held := floors(b.cfg.Consumers, positions)
	b.mu.Lock()
	topics := make([]bus.Topic, 0, len(b.topics))
	for _, t := range b.topics {
		topics = append(topics, t)
	}
	b.mu.Unlock()
	expired, err := b.expired(ctx, topics)
	if err != nil {
		return err
	}
	// On a small disk the windows of all topics take at most half of the limit.
	window := b.cfg.Window
	if limit := b.limit.Load(); limit > 0 && len(topics) > 0 { // 0: not known yet
		window = min(window, limit/2/int64(len(topics)))
	}
	for _, t := range topics {
		info := b.cluster.PartitionInfo(t.Name, 0)
		list, err := segments(b.cfg.DataDir, t.Name)
		if err != nil {
			return err
		}
		if info == nil || len(list) == 0 {
			continue
		}
		floor, ok := held[t.Name]
		if !ok {
			floor = info.HighWatermark
		}
		to := trimOffset(windowStart(list, window), expired[t.Name], floor, info.HighWatermark)
		if to <= info.LogStartOffset {
			continue
		}
		if err := b.cluster.DeleteRecords(t.Name, 0, to); err != nil {
			return fmt.Errorf("trim %s to %d: %w", t.Name, to, err)
		}
		b.m.trimmed.Add(float64(to - info.LogStartOffset))
		b.cfg.Log.Debug("broker log trimmed", "topic", t.Name, "from", info.LogStartOffset, "to", to)
	}
	return nil
}

// expired finds, for topics with a retention, the first offset inside of it.
func (b *Broker) expired(ctx context.Context, topics []bus.Topic) (map[string]int64, error) {
	list := map[string]int64{}
	if !slices.ContainsFunc(topics, func(t bus.Topic) bool { return t.Retention > 0 }) {
		return list, nil
	}
	cl, err := b.Cluster().Client("belfry-broker")
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	admin := kadm.NewClient(cl)
	for _, t := range topics {
		if t.Retention <= 0 {
			continue
		}
		offsets, err := admin.ListOffsetsAfterMilli(ctx, time.Now().Add(-t.Retention).UnixMilli(), t.Name)
		if err != nil {
			return nil, err
		}
		if o, ok := offsets.Lookup(t.Name, 0); ok && o.Err == nil {
			list[t.Name] = o.Offset // the log's end, if all are older
		}
	}
	return list, nil
}

// measure compares the log's size with its limit.
func (b *Broker) measure() {
	used, err := logBytes(b.cfg.DataDir)
	if err != nil {
		b.cfg.Log.Warn("size of the broker's log not known", "error", err)
		return
	}
	free, err := freeBytes(b.cfg.DataDir)
	if err != nil {
		b.cfg.Log.Warn("free disk not known", "error", err)
		return
	}
	limit := int64(float64(free+used) * b.cfg.DiskShare)
	b.limit.Store(limit)
	b.m.bytes.Set(float64(used))
	b.m.limit.Set(float64(limit))
	// The two thresholds differ so that the state does not change with every record.
	switch full := b.refusing.Load(); {
	case !full && used >= limit:
		b.cfg.Log.Error("the broker's log has reached its limit: records are refused", "bytes", used, "limit", limit)
		b.refusing.Store(true)
		b.refuse()
	case full && used < limit-limit/20:
		b.cfg.Log.Info("the broker accepts records again", "bytes", used, "limit", limit)
		b.refusing.Store(false)
	}
}
