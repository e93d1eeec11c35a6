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

// Retention of rejects. The oldest ones are dropped; the counts of the last day
// stay complete.
const (
	keepOfTeam    = 10_000
	keepOfAccount = 1_000
	keepFor       = 30 * 24 * time.Hour
	keepFaults    = 500      // kinds of faults that are counted apart, for each owner and hour
	maxReject     = 64 << 10 // bytes
)

// Consumer makes the consumer of the topic of rejects; the app runs it.
func (f *Feature) Consumer(cluster bus.Cluster) (*bus.Consumer, error) {
	return bus.NewConsumer(bus.Config{
		Cluster:    cluster,
		Group:      Group,
		Topics:     []string{event.TopicAuditRejects},
		DB:         f.db,
		Handle:     f.Handle,
		OwnOnly:    true,
		Log:        f.log,
		Registerer: f.cfg.Registerer,
	})
}

// ownerKey names the team or account that may read a reject, or the operators.
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
func (f *Feature) Handle(ctx context.Context, b *bus.Batch) error {
	var list []event.Reject
	var times []int64 // of each, in microseconds
	unreadable := 0
	for _, rec := range b.Records {
		var one event.Reject
		if len(rec.Value) > maxReject || json.Unmarshal(rec.Value, &one) != nil || len(one.Errors) == 0 {
			unreadable++ // it names no owner and no fault
			continue
		}
		at, err := time.Parse(time.RFC3339Nano, one.At)
		if err != nil || at.After(f.now().Add(24*time.Hour)) { // a later one would never be dropped
			at = rec.Time
		}
		list = append(list, one)
		times = append(times, at.UnixMicro())
	}

	err := f.db.Tx(ctx, func(tx *db.Tx) error {
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
		rows, counts := arrange(list, times, teams, f.now())
		if err := storeRejects(ctx, tx, rows); err != nil {
			return err
		}
		return storeFaults(ctx, tx, counts)
	})
	if err != nil {
		return err
	}

	f.metrics.unreadable.Add(float64(unreadable))
	for _, one := range list {
		f.metrics.rejects.WithLabelValues(reason(one.Errors[0].Code)).Inc()
	}
	return nil
}

// existingTeams returns which producers of the rejects are teams: the producer in
// a record of the bus is a claim.
func existingTeams(ctx context.Context, tx *db.Tx, list []event.Reject) (map[string]bool, error) {
	found := map[string]bool{}
	for _, one := range list {
		if _, asked := found[one.Producer]; asked || !id.Valid(one.Producer) {
			continue
		}
		var n int
		err := tx.QueryRow(ctx, `SELECT count(*) FROM team WHERE id = $1 AND deleted_at = 0`, one.Producer).Scan(&n)
		if err != nil {
			return nil, err
		}
		found[one.Producer] = n > 0
	}
	return found, nil
}

// faultKey is a row of the counts. Code 0 counts the rejects themselves.
type faultKey struct {
	ownerKey
	hour    int64 // since 1970
	code    int
	pointer string
	product string
}

func byFault(a, b faultKey) int {
	return cmp.Or(
		byOwner(a.ownerKey, b.ownerKey),
		cmp.Compare(a.hour, b.hour),
		cmp.Compare(a.code, b.code),
		cmp.Compare(a.pointer, b.pointer),
		cmp.Compare(a.product, b.product),
	)
}

// storedReject is a row of the table reject.
type storedReject struct {
	ownerKey
	at      int64 // microseconds
	id      string
	code    int // of the first fault
	pointer string
	product string
	team    string // of the product; '' for an unknown one
	content []byte
	account string
}

var rejectColumns = []string{
	"scope",
	"owner",
	"at",
	"id",
	"code",
	"pointer",
	"product",
	"team",
	"content",
	"account",
}

func (r storedReject) row() []any {
	return []any{
		r.scope,
		r.owner,
		r.at,
		r.id,
		r.code,
		r.pointer,
		r.product,
		r.team,
		r.content,
		r.account,
	}
}

// arrange returns the rows to insert for each owner, and the counts of faults.
func arrange(
	list []event.Reject, times []int64, teams map[string]bool, now time.Time,
) (rows map[ownerKey][][]any, counts map[faultKey]int64) {
	rows = map[ownerKey][][]any{}
	counts = map[faultKey]int64{}
	for i, one := range list {
		content, err := json.Marshal(one)
		if err != nil {
			continue // a value that was decoded from JSON can be encoded
		}
		stored := storedReject{
			at:      times[i],
			id:      id.At(now),
			code:    one.Errors[0].Code,
			pointer: general(one.Errors[0].Pointer),
			product: short(one.Product),
			content: content,
			account: one.Account,
		}
		if teams[one.Producer] {
			stored.team = one.Producer
		}
		for _, owner := range owners(one, teams) {
			stored.ownerKey = owner
			rows[owner] = append(rows[owner], stored.row())
			for fault := range faultsOf(stored, one.Errors) {
				counts[fault]++
			}
		}
	}
	return rows, counts
}

// owners are the team and the account that may read a reject; operators read the
// ones without a valid account.
func owners(one event.Reject, teams map[string]bool) []ownerKey {
	var list []ownerKey
	if teams[one.Producer] {
		list = append(list, ownerKey{scope: scopeTeam, owner: one.Producer})
	}
	if id.Valid(one.Account) {
		return append(list, ownerKey{scope: scopeAccount, owner: one.Account})
	}
	return append(list, ownerKey{scope: scopeOperators})
}

// faultsOf are the rows of the counts that a reject raises, each once.
func faultsOf(stored storedReject, faults []event.Fault) map[faultKey]bool {
	hour := stored.at / time.Hour.Microseconds()
	keys := map[faultKey]bool{{ownerKey: stored.ownerKey, hour: hour}: true}
	for _, fault := range faults {
		keys[faultKey{
			ownerKey: stored.ownerKey,
			hour:     hour,
			code:     fault.Code,
			pointer:  general(fault.Pointer),
			product:  stored.product,
		}] = true
	}
	return keys
}

// short bounds a text that a sender chose. PostgreSQL's text takes no NUL, and one
// such event must not block the ones behind it.
func short(s string) string { return cutBytes(strings.ReplaceAll(s, "\x00", ""), catalogue.MaxName) }

// general replaces list indexes by *: /related/3/id and /related/7/id are one field.
func general(pointer string) string {
	parts := strings.Split(short(pointer), "/")
	for i, p := range parts {
		if p != "" && strings.Trim(p, "0123456789") == "" {
			parts[i] = "*"
		}
	}
	return strings.Join(parts, "/")
}

func storeRejects(ctx context.Context, tx *db.Tx, rows map[ownerKey][][]any) error {
	// All transactions lock the owners in one order, so that two cannot deadlock.
	for _, o := range slices.SortedFunc(maps.Keys(rows), byOwner) {
		if err := tx.Insert(ctx, "reject", rejectColumns, "", rows[o]); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			DELETE FROM reject WHERE scope = $1 AND owner = $2 AND (at, id) <= (
				SELECT at, id FROM reject WHERE scope = $1 AND owner = $2
				ORDER BY at DESC, id DESC LIMIT 1 OFFSET $3)`, o.scope, o.owner, o.keep())
		if err != nil {
			return err
		}
	}
	return nil
}

// storeFaults adds the counts. Senders choose products and fields: beyond a number
// of kinds in an hour only the code is counted.
func storeFaults(ctx context.Context, tx *db.Tx, counts map[faultKey]int64) error {
	kinds := map[faultKey]int{} // rows that are stored, by owner and hour
	for _, k := range slices.SortedFunc(maps.Keys(counts), byFault) {
		n := counts[k]
		changed, err := tx.Exec(ctx, `
			UPDATE fault SET n = n + $7
			WHERE scope = $1 AND owner = $2 AND hour = $3 AND code = $4 AND pointer = $5 AND product = $6`,
			k.scope, k.owner, k.hour, k.code, k.pointer, k.product, n)
		if err != nil {
			return err
		}
		if changed > 0 {
			continue
		}

		hour := faultKey{ownerKey: k.ownerKey, hour: k.hour}
		if _, known := kinds[hour]; !known {
			if kinds[hour], err = countFaults(ctx, tx, hour); err != nil {
				return err
			}
		}
		kinds[hour]++
		if kinds[hour] > keepFaults && k.code != 0 {
			k.pointer = ""
			k.product = ""
		}
		_, err = tx.Exec(ctx, `
			INSERT INTO fault (scope, owner, hour, code, pointer, product, n)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (scope, owner, hour, code, pointer, product) DO UPDATE SET n = fault.n + excluded.n`,
			k.scope, k.owner, k.hour, k.code, k.pointer, k.product, n)
		if err != nil {
			return err
		}
	}
	return nil
}

// countFaults is the number of rows of an owner and hour.
func countFaults(ctx context.Context, tx *db.Tx, k faultKey) (n int, err error) {
	err = tx.QueryRow(ctx, `SELECT count(*) FROM fault WHERE scope = $1 AND owner = $2 AND hour = $3`,
		k.scope, k.owner, k.hour).Scan(&n)
	return n, err
}

// dropOld removes rejects and counts that are older than their retention.
func (f *Feature) dropOld(ctx context.Context) error {
	now := f.now()
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `DELETE FROM reject WHERE at < $1`, now.Add(-keepFor).UnixMicro()); err != nil {
			return err
		}
		oldest := now.Add(-49*time.Hour).UnixMicro() / time.Hour.Microseconds()
		_, err := tx.Exec(ctx, `DELETE FROM fault WHERE hour < $1`, oldest)
		return err
	})
}
