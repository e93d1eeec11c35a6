package producer

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/id"
)

// Group is the consumer group that stores rejects.
const Group = "belfry.producer.rejects"

// The scopes in which a refused event is kept.
const (
	scopeTeam      = "producer"
	scopeAccount   = "account"
	scopeOperators = "operators" // no valid account; owner is empty
)

// How many rejects are kept, and how long. What is dropped is the oldest; the
// counts of the last day stay whole.
const (
	keepOfTeam    = 10_000
	keepOfAccount = 1_000
	keepFor       = 30 * 24 * time.Hour
	keepFaults    = 500 // kinds of faults that are told apart in an hour, for each owner
	maxReject     = 64 << 10
)

// Consumer makes the consumer of the topic of rejects; the app runs it.
func (r *Registry) Consumer(cluster bus.Cluster) (*bus.Consumer, error) {
	return bus.NewConsumer(bus.Config{
		Cluster:    cluster,
		Group:      Group,
		Topics:     []string{event.TopicAuditRejects},
		DB:         r.db,
		Handle:     r.Handle,
		OwnOnly:    true,
		Log:        r.log,
		Registerer: r.registerer,
	})
}

// ownerKey names who may see a reject.
type ownerKey struct{ scope, owner string }

func (k ownerKey) keep() int {
	if k.scope == scopeAccount {
		return keepOfAccount
	}
	return keepOfTeam
}

func byOwner(a, b ownerKey) int {
	return cmp.Or(cmp.Compare(a.scope, b.scope), cmp.Compare(a.owner, b.owner))
}

// Handle stores a batch of rejects and moves the offset in one transaction.
func (r *Registry) Handle(ctx context.Context, b *bus.Batch) error {
	var list []event.Reject
	var times []int64
	unreadable := 0
	for _, rec := range b.Records {
		var one event.Reject
		if len(rec.Value) > maxReject || json.Unmarshal(rec.Value, &one) != nil || len(one.Errors) == 0 {
			unreadable++ // nothing to show, and nobody to show it to
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, one.At)
		if err != nil || at.After(r.now().Add(24*time.Hour)) { // it would never be trimmed
			at = rec.Time
		}
		list, times = append(list, one), append(times, at.UnixMicro())
	}
	var stored []event.Reject
	err := r.db.Tx(ctx, func(tx *db.Tx) error {
		if err := b.Commit(ctx, tx); err != nil {
			return err
		}
		teams, err := existingTeams(ctx, tx, list)
		if err != nil {
			return err
		}
		if err := dropErased(ctx, tx, list, times); err != nil {
			return err
		}
		rows, faults := arrange(list, times, teams, r.now())
		stored = list
		return storeRejects(ctx, tx, rows, faults)
	})
	if err != nil {
		return err
	}
	r.metrics.unreadable.Add(float64(unreadable))
	for _, one := range stored {
		r.metrics.rejects.WithLabelValues(reason(one.Errors[0].Code)).Inc()
	}
	return nil
}

// existingTeams are those of the rejects' producers that are there: what a
// record on the bus says of its producer is a claim.
func existingTeams(ctx context.Context, tx *db.Tx, list []event.Reject) (map[string]bool, error) {
	found := map[string]bool{}
	for _, one := range list {
		if _, asked := found[one.Producer]; asked || !id.Valid(one.Producer) {
			continue
		}
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM team WHERE id = $1 AND deleted_at = 0`, one.Producer).Scan(&n); err != nil {
			return nil, err
		}
		found[one.Producer] = n > 0
	}
	return found, nil
}

// faultKey is a line of the counts. Code 0 counts the rejects themselves.
type faultKey struct {
	ownerKey
	hour             int64
	code             int
	pointer, product string
}

// arrange gives the rows to insert for each owner, and the counts.
func arrange(list []event.Reject, times []int64, teams map[string]bool, now time.Time) (rows map[ownerKey][][]any, faults map[faultKey]int64) {
	rows, faults = map[ownerKey][][]any{}, map[faultKey]int64{}
	for i, one := range list {
		content, err := json.Marshal(one)
		if err != nil {
			continue // a value that was JSON is JSON
		}
		var owners []ownerKey
		if teams[one.Producer] {
			owners = append(owners, ownerKey{scopeTeam, one.Producer})
		}
		if id.Valid(one.Account) {
			owners = append(owners, ownerKey{scopeAccount, one.Account})
		} else {
			owners = append(owners, ownerKey{scopeOperators, ""})
		}
		key := id.At(now)
		product := short(one.Product)
		for _, o := range owners {
			rows[o] = append(rows[o], []any{o.scope, o.owner, times[i], key, one.Errors[0].Code, product, content, one.Account})
			hour := times[i] / time.Hour.Microseconds()
			faults[faultKey{o, hour, 0, "", ""}]++
			seen := map[faultKey]bool{}
			for _, f := range one.Errors {
				k := faultKey{o, hour, f.Code, general(f.Pointer), product}
				if !seen[k] {
					seen[k] = true
					faults[k]++
				}
			}
		}
	}
	return rows, faults
}

// short bounds what a sender chose itself. PostgreSQL's text takes no NUL, and
// one such event must not hold up all that follow.
func short(s string) string { return cutBytes(strings.ReplaceAll(s, "\x00", ""), catalogue.MaxName) }

// general makes /related/3/id and /related/7/id one field.
func general(pointer string) string {
	parts := strings.Split(short(pointer), "/")
	for i, p := range parts {
		if p != "" && strings.Trim(p, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

func storeRejects(ctx context.Context, tx *db.Tx, rows map[ownerKey][][]any, faults map[faultKey]int64) error {
	// One order for all transactions, so that two do not wait for each other.
	for _, o := range slices.SortedFunc(maps.Keys(rows), byOwner) {
		if err := tx.Insert(ctx, "reject", []string{"scope", "owner", "at", "id", "code", "product", "content", "account"}, "", rows[o]); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM reject WHERE scope = $1 AND owner = $2 AND (at, id) <= (
			SELECT at, id FROM reject WHERE scope = $1 AND owner = $2 ORDER BY at DESC, id DESC LIMIT 1 OFFSET $3)`, o.scope, o.owner, o.keep())
		if err != nil {
			return err
		}
	}
	keys := slices.SortedFunc(maps.Keys(faults), func(a, b faultKey) int {
		return cmp.Or(byOwner(a.ownerKey, b.ownerKey), cmp.Compare(a.hour, b.hour), cmp.Compare(a.code, b.code), cmp.Compare(a.pointer, b.pointer), cmp.Compare(a.product, b.product))
	})
	kinds := map[faultKey]int{} // by owner and hour: rows there are
	for _, k := range keys {
		n := faults[k]
		changed, err := tx.Exec(ctx, `UPDATE fault SET n = n + $7 WHERE scope = $1 AND owner = $2 AND hour = $3 AND code = $4 AND pointer = $5 AND product = $6`,
			k.scope, k.owner, k.hour, k.code, k.pointer, k.product, n)
		if err != nil {
			return err
		}
		if changed > 0 {
			continue
		}
		hour := faultKey{ownerKey: k.ownerKey, hour: k.hour}
		if _, known := kinds[hour]; !known {
			var there int
			if err := tx.QueryRow(ctx, `SELECT count(*) FROM fault WHERE scope = $1 AND owner = $2 AND hour = $3`, k.scope, k.owner, k.hour).Scan(&there); err != nil {
				return err
			}
			kinds[hour] = there
		}
		// Senders choose products and fields; past the bound only the code counts.
		if kinds[hour]++; kinds[hour] > keepFaults && k.code != 0 {
			k.pointer, k.product = "", ""
		}
		_, err = tx.Exec(ctx, `INSERT INTO fault (scope, owner, hour, code, pointer, product, n) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (scope, owner, hour, code, pointer, product) DO UPDATE SET n = fault.n + excluded.n`,
			k.scope, k.owner, k.hour, k.code, k.pointer, k.product, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// dropOld removes what is older than it is kept.
func (r *Registry) dropOld(ctx context.Context) error {
	now := r.now()
	return r.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM reject WHERE at < $1`, now.Add(-keepFor).UnixMicro()); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM fault WHERE hour < $1`, now.Add(-49*time.Hour).UnixMicro()/time.Hour.Microseconds())
		return err
	})
}
