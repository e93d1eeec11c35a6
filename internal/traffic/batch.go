package traffic

import (
	"context"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// refusal is a rejected count or line.
type refusal struct {
	index   int
	account string
	data    []byte // as it was sent; nil for lines of logs
	line    string // sample of a line of a log
	faults  errs.List
}

// batch holds the counts of one request or record on the way to the store.
type batch struct {
	f     *Feature
	from  ingest.Sender
	via   string // http, log, kafka
	good  []ResolvedCount
	total int64 // requests in the good counts
	bad   []refusal

	refused int64    // requests in the bad counts
	other   int64    // requests counted for the zone other
	others  []string // the first of their names, as they were written
	renamed int64    // requests counted under the name other, because of the limit of names

	accounts map[string]resolved
	zones    map[zoneRef]resolved
	counting map[zoneRef]*Counting
}

// zoneRef is a zone as a count names it.
type zoneRef struct{ account, ref string }

// resolved is the id that a reference resolves to, or the fault.
type resolved struct {
	id    string
	other bool // counted for the zone of names that have none
	fault *errs.Error
}

// otherZone gets the names for which the account has no room for new zones.
const otherZone = account.OtherZone

const maxOthersShown = 10

func (f *Feature) newBatch(from ingest.Sender, via string) *batch {
	return &batch{
		f:        f,
		from:     from,
		via:      via,
		accounts: map[string]resolved{},
		zones:    map[zoneRef]resolved{},
		counting: map[zoneRef]*Counting{},
	}
}

// addAll adds counts as JSON. Its error is one of the infrastructure: nothing may
// be stored then.
func (b *batch) addAll(ctx context.Context, values []jsontext.Value) error {
	window := Recent(b.f.now())
	for i, v := range values {
		c, faults := ParseCount(v, window)
		if err := b.add(ctx, i, c, v, faults); err != nil {
			return err
		}
	}
	return nil
}

// add adds one count, or its refusal.
func (b *batch) add(ctx context.Context, index int, c Count, data []byte, faults errs.List) error {
	accountID, fault, err := b.resolveAccount(ctx, c.Account)
	if err != nil {
		return err
	}
	if fault != nil && !hasPointer(faults, "") {
		faults = append(faults, fault)
	}
	var zone resolved
	if len(faults) == 0 {
		if zone, err = b.resolveZone(ctx, accountID, c.Zone); err != nil {
			return err
		}
		if zone.fault != nil {
			faults = errs.List{zone.fault}
		}
	}
	if len(faults) > 0 {
		b.bad = append(b.bad, refusal{index: index, account: accountID, data: data, faults: faults})
		b.refused += max(0, c.Total)
		return nil
	}

	own := b.via == "http" || b.via == "kafka" || c.SLI == "" // else it is about the same requests as another one
	if zone.other && own {
		b.other += c.Total
		if len(b.others) < maxOthersShown && !slices.Contains(b.others, c.Zone) {
			b.others = append(b.others, c.Zone)
		}
	}
	b.good = append(b.good, ResolvedCount{Account: accountID, Zone: zone.id, Count: c.Count})
	if own {
		b.total += c.Total
	}
	return nil
}

// hasPointer reports whether a fault has the pointer. A count that cannot be read
// at all (pointer "") gets no further fault about its account.
func hasPointer(list errs.List, pointer string) bool {
	return slices.ContainsFunc(list, func(e *errs.Error) bool { return e.Pointer == pointer })
}

// resolveAccount resolves the account that a count names, once for each name.
func (b *batch) resolveAccount(ctx context.Context, ref string) (string, *errs.Error, error) {
	got, done := b.accounts[ref]
	if !done {
		var err error
		got.id, got.fault, err = b.from.ItemAccount(ctx, ref, b.f.cfg.Account)
		if err == nil && got.fault == nil && b.f.cfg.Closed != nil {
			if err = b.f.cfg.Closed(ctx, got.id); errs.KindOf(err) == errs.Conflict {
				got.fault = errs.All(err)[0]
				err = nil
			}
		}
		if err != nil {
			return "", nil, err
		}
		b.accounts[ref] = got
	}
	return got.id, got.fault, nil
}

// resolveZone finds or creates the zone that a count names, once for each name.
func (b *batch) resolveZone(ctx context.Context, accountID, ref string) (resolved, error) {
	k := zoneRef{accountID, ref}
	got, done := b.zones[k]
	if done {
		return got, nil
	}
	zoneID, name, err := b.f.cfg.Zone(ctx, accountID, ref)
	outcome := "ok"
	if err != nil {
		switch e := errs.All(err)[0]; e.Kind() {
		case errs.Invalid:
			got.fault = errs.At(e.Code, "/zone", "zone %q is not known, and cannot be created: %s",
				strict.Clip(ref, maxWord), e.Message)
		case errs.NotFound, errs.Forbidden, errs.Conflict:
			got.fault = errs.At(e.Code, "/zone", "zone %q: %s", strict.Clip(ref, maxWord), e.Message)
		default:
			return got, err
		}
		outcome = "refused"
	}
	got.id = zoneID
	if got.other = name == otherZone && ref != zoneID && !strings.EqualFold(ref, otherZone); got.other {
		outcome = "other"
	}
	b.f.metrics.zones.WithLabelValues(outcome).Inc()
	b.zones[k] = got
	return got, nil
}
