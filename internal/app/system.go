package app

import (
	"context"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

// system is the state of this process and of what it works on, for the operators.
type system struct {
	Version   string
	Started   time.Time
	Ready     telemetry.Readiness
	Failing   []telemetry.CheckResult
	Databases []databaseState
	Stored    int64 // bytes of all databases
	Consumers []consumerState
	Lag       int64 // records of all consumers
	Outboxes  []outboxState
	Oldest    time.Duration // of the messages in the outboxes
	Queue     queueState
	Disk      diskState
	Broker    brokerState
	Process   processState
}

// databaseState is a feature's database with its migrations.
type databaseState struct {
	Feature    string
	Engine     db.Engine
	Bytes      int64
	Migrations []db.Applied
}

// consumerState is a consumer with the partitions that this process owns.
type consumerState struct {
	Feature, Topic string
	Owned, Unowned int // partitions
	Lag            int64
	State          bus.State // the worst
	Error          string
}

// outboxState is the outbox of a feature.
type outboxState struct {
	Feature string
	Oldest  time.Duration
}

// queueState is the queue of deliveries.
type queueState struct {
	Depth   int64
	Running int64
	Oldest  time.Duration // how long the delivery that is overdue longest has been due
}

// diskState is the disk of the data directory; zero = it is not known.
type diskState struct{ Free, Total int64 }

// brokerState is the embedded broker's log; zero with a cluster.
type brokerState struct{ Bytes, Limit int64 }

// processState has the process's use of memory, goroutines and descriptors.
type processState struct {
	Memory     int64
	Heap       int64
	Goroutines int
	Files      int64
}

// readSystem reads the state. It asks no other process; a size that cannot be read is left out.
func (a *App) readSystem(ctx context.Context, version string) (*system, error) {
	gauges, err := a.gauges()
	if err != nil {
		return nil, err
	}
	s := &system{Version: version, Ready: a.Health.Ready(ctx)}
	for _, check := range s.Ready.Checks {
		if !check.OK {
			s.Failing = append(s.Failing, check)
		}
	}
	s.Started = time.UnixMicro(int64(gauges["process_start_time_seconds"] * 1e6))
	if err := a.readDatabases(ctx, s); err != nil {
		return nil, err
	}
	for _, f := range a.features {
		s.Outboxes = append(s.Outboxes, outboxState{
			Feature: f.name,
			Oldest:  seconds(gauges["belfry_outbox_oldest_seconds outbox="+f.name]),
		})
		s.Oldest = max(s.Oldest, s.Outboxes[len(s.Outboxes)-1].Oldest)
		if f.consumer != nil {
			s.addConsumer(f.name, f.consumer.Health())
		}
	}
	s.Queue = queueState{
		Depth:   int64(gauges["belfry_notify_queue_depth"]),
		Running: int64(gauges["belfry_notify_attempts_running"]),
		Oldest:  seconds(gauges["belfry_notify_oldest_due_seconds"]),
	}
	s.Broker = brokerState{
		Bytes: int64(gauges["belfry_broker_log_bytes"]),
		Limit: int64(gauges["belfry_broker_log_limit_bytes"]),
	}
	s.Process = processState{
		Memory:     int64(gauges["process_resident_memory_bytes"]),
		Heap:       int64(gauges["go_memstats_heap_inuse_bytes"]),
		Goroutines: runtime.NumGoroutine(),
		Files:      int64(gauges["process_open_fds"]),
	}
	s.Disk = diskOf(a.Config.DataDir)
	return s, nil
}

func (a *App) readDatabases(ctx context.Context, s *system) error {
	for _, d := range a.databases {
		list, err := d.Migrations(ctx)
		if err != nil {
			return err
		}
		bytes, err := d.Size(ctx)
		if err != nil {
			return err
		}
		s.Databases = append(s.Databases, databaseState{d.Name, d.Engine, bytes, list})
		s.Stored += bytes
	}
	return nil
}

// addConsumer adds up the partitions of a consumer by topic.
func (s *system) addConsumer(name string, health []bus.Health) {
	order := []bus.State{bus.OK, bus.Lagging, bus.AheadOf, bus.NoMembers, bus.Stalled}
	worse := func(a, b bus.State) bool {
		rank := func(state bus.State) int {
			for i, one := range order {
				if one == state {
					return i
				}
			}
			return len(order)
		}
		return rank(a) > rank(b)
	}
	at := map[string]int{}
	for _, h := range health {
		i, known := at[h.Topic]
		if !known {
			i = len(s.Consumers)
			at[h.Topic] = i
			s.Consumers = append(s.Consumers, consumerState{Feature: name, Topic: h.Topic, State: bus.OK})
		}
		c := &s.Consumers[i]
		if h.State == bus.NoMembers {
			c.Unowned++
		} else {
			c.Owned++
		}
		c.Lag += h.Lag()
		s.Lag += h.Lag()
		if h.Error != "" {
			c.Error = h.Error
		}
		if worse(h.State, c.State) {
			c.State = h.State
		}
	}
}

// diskOf measures the disk of a folder.
func diskOf(dir string) diskState {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return diskState{}
	}
	block := int64(s.Bsize) //nolint:unconvert // other systems have another type
	return diskState{Free: int64(s.Bavail) * block, Total: int64(s.Blocks) * block}
}

// Percent is the part of the disk that is free; 100 if it is not known.
func (d diskState) Percent() int {
	if d.Total == 0 {
		return 100
	}
	return int(100 * d.Free / d.Total)
}

// gaugeSet holds the gauges of this process: pages and /metrics have the same numbers. A key is a name, or a name with
// a label: "belfry_outbox_oldest_seconds outbox=audit". Several series of one key are added up; one that is not there
// is 0.
type gaugeSet map[string]float64

func (a *App) gauges() (gaugeSet, error) {
	families, err := a.Registry.Gather()
	if err != nil {
		return nil, err
	}
	all := gaugeSet{}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			value := m.GetGauge().GetValue()
			all[family.GetName()] += value
			for _, label := range m.GetLabel() {
				all[family.GetName()+" "+label.GetName()+"="+label.GetValue()] += value
			}
		}
	}
	return all, nil
}

func seconds(s float64) time.Duration {
	return time.Duration(s * float64(time.Second)).Truncate(time.Second)
}

// faults are the sentences about what is wrong, for the start page of the console; none = the installation is well.
func (s *system) faults() []string {
	var list []string
	for _, c := range s.Failing {
		list = append(list, strings.ToUpper(c.Name[:1])+c.Name[1:]+" fails: "+c.Reason)
	}
	for _, c := range s.Consumers {
		switch {
		case c.State == bus.Stalled:
			list = append(list, "The consumer of "+c.Topic+" does not move.")
		case c.State == bus.NoMembers:
			list = append(list, "No process consumes some partitions of "+c.Topic+".")
		}
	}
	if s.Oldest > lateAfter {
		list = append(list, "A message has waited in an outbox for longer than "+lateWords+".")
	}
	if s.Queue.Oldest > lateAfter {
		list = append(list, "A delivery has been due for longer than "+lateWords+".")
	}
	if s.Disk.Percent() < lowDisk {
		list = append(list, "The disk of the data directory is nearly full.")
	}
	if s.Broker.Limit > 0 && s.Broker.Bytes*10 > s.Broker.Limit*9 {
		list = append(list, "The log of the embedded broker has nearly reached its limit.")
	}
	return list
}

// Limits from which the console says that something is wrong.
const (
	lateAfter = time.Minute
	lateWords = "a minute"
	lowDisk   = 10 // per cent that is free
)
