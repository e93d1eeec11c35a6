package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// unowned is a partition that no consumer of Belfry owns. A foreign client that joins
// the group gets partitions, and does not store their records.
type unowned struct {
	since     time.Time
	next, end int64
	why       string
}

// lookForOwners finds the partitions that no consumer of Belfry owns. Members of the
// group are identified by their client id. A foreign client with Belfry's client id is
// not detected; only the ACLs of the cluster keep it out.
func (c *Consumer) lookForOwners(ctx context.Context, admin *kadm.Client, ends kadm.ListedOffsets, now time.Time) {
	missing := map[source]unowned{}
	c.mu.Lock()
	ends.Each(func(o kadm.ListedOffset) {
		at := source{o.Topic, o.Partition}
		if o.Err == nil && c.owned[at] == nil {
			missing[at] = unowned{since: now, end: o.Offset, why: "it is not claimed"}
		}
	})
	c.mu.Unlock()
	if len(missing) > 0 && !c.cfg.Cluster.Alone {
		if err := c.askGroup(ctx, admin, missing); err != nil {
			return // the last result stays
		}
	}
	var positions []Position
	if len(missing) > 0 {
		positions, _ = Positions(ctx, c.cfg.DB) // without them the lag counts from the start
	}
	for _, p := range positions {
		at := source{p.Topic, p.Partition}
		if u, ok := missing[at]; ok && p.Group == c.cfg.Group {
			u.next = p.Next
			missing[at] = u
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for at, u := range missing {
		if old, ok := c.unowned[at]; ok {
			u.since = old.since
			missing[at] = u
		}
	}
	c.unowned = missing
}

// askGroup removes the partitions that other members of Belfry own, and names the
// owners of the others.
func (c *Consumer) askGroup(ctx context.Context, admin *kadm.Client, missing map[source]unowned) error {
	limited, cancel := context.WithTimeout(ctx, c.cfg.HealthEvery)
	defer cancel()
	groups, err := admin.DescribeGroups(limited, c.cfg.Group)
	if err == nil {
		err = groups.Error()
	}
	if err != nil {
		return err
	}
	group := groups[c.cfg.Group]
	why := "no member of the group has it"
	if group.State != "Stable" {
		why = fmt.Sprintf("the group is in the state %q", group.State)
	}
	for at, u := range missing {
		u.why = why
		missing[at] = u
	}
	for _, m := range group.Members {
		assigned, ok := m.Assigned.AsConsumer()
		if !ok {
			continue
		}
		for _, t := range assigned.Topics {
			for _, p := range t.Partitions {
				at := source{t.Topic, p}
				u, ok := missing[at]
				switch {
				case !ok:
				case m.ClientID == c.clientID():
					delete(missing, at)
				default:
					u.why = fmt.Sprintf("the group's member %q at %s has it, which is not Belfry's", m.ClientID, m.ClientHost)
					missing[at] = u
				}
			}
		}
	}
	return nil
}
