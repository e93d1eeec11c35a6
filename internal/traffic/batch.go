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

// refusal is a count or line that is not taken.
type refusal struct {
	index   int
	account string
	data    []byte
	faults  errs.List
}

// batch is what was handed in at once, on its way to be stored.
type batch struct {
	f     *Feature
	from  ingest.Sender
	via   string // http, log, kafka
	good  []Located
	total int64 // requests in the good counts
	bad   []refusal
	// Requests in the bad counts, and in those that have no zone of their own.
	refused int64
	other   int64
	others  []string // the first of their names, as they were written

	accounts map[string]found
	zones    map[[2]string]found
}

// found is what a reference means, or why nothing.
type found struct {
	id    string
	other bool // it is counted for the zone of names that have none
	fault *errs.Error
}

// otherZone takes the names for which the account's budget of new zones has no room.
const otherZone = account.OtherZone

const maxOthersShown = 10

func (f *Feature) newBatch(from ingest.Sender, via string) *batch {
	return &batch{f: f, from: from, via: via, accounts: map[string]found{}, zones: map[[2]string]found{}}
}

// values takes counts as JSON. Its error is of the infrastructure: nothing may
// be stored then.
func (b *batch) values(ctx context.Context, values []jsontext.Value) error {
	window := Recent(b.f.now())
	for i, v := range values {
		c, faults := ParseCount(v, window)
		if err := b.add(ctx, i, c, v, faults); err != nil {
			return err
		}
	}
	return nil
}

// add takes one count, or refuses it.
func (b *batch) add(ctx context.Context, index int, c Count, data []byte, faults errs.List) error {
	account, fault, err := b.account(ctx, c.Account)
	if err != nil {
		return err
	}
	if fault != nil && !hasPointer(faults, "") {
		faults = append(faults, fault)
	}
	var zone found
	if len(faults) == 0 {
		if zone, err = b.zone(ctx, account, c.Zone); err != nil {
			return err
		}
		if zone.fault != nil {
			faults = errs.List{zone.fault}
		}
	}
	if len(faults) > 0 {
		b.bad = append(b.bad, refusal{index, account, data, faults})
		b.refused += max(0, c.Total)
		return nil
	}
	if zone.other {
		b.other += c.Total
		if len(b.others) < maxOthersShown && !slices.Contains(b.others, c.Zone) {
			b.others = append(b.others, c.Zone)
		}
	}
	b.good = append(b.good, Located{account, zone.id, c.Count})
	b.total += c.Total
	return nil
}

// hasPointer reports whether a fault is of that place: a count that could not be
// read at all is not said to lack its account too.
func hasPointer(list errs.List, pointer string) bool {
	for _, e := range list {
		if e.Pointer == pointer {
			return true
		}
	}
	return false
}

// account resolves the account that a count names; each name is looked up once.
func (b *batch) account(ctx context.Context, ref string) (string, *errs.Error, error) {
	got, known := b.accounts[ref]
	if !known {
		var err error
		got.id, got.fault, err = b.from.ItemAccount(ctx, ref, b.f.cfg.Account)
		if err != nil {
			return "", nil, err
		}
		b.accounts[ref] = got
	}
	return got.id, got.fault, nil
}

// zone resolves or makes the zone of a count.
func (b *batch) zone(ctx context.Context, account, ref string) (found, error) {
	k := [2]string{account, ref}
	got, known := b.zones[k]
	if known {
		return got, nil
	}
	id, name, err := b.f.cfg.Zone(ctx, account, ref)
	outcome := "ok"
	if err != nil {
		switch e := errs.All(err)[0]; e.Kind() {
		case errs.Invalid:
			got.fault = errs.At(e.Code, "/zone", "zone %q is not known, and cannot be made of it: %s", strict.Clip(ref, maxWord), e.Message)
		case errs.NotFound, errs.Forbidden, errs.Conflict:
			got.fault = errs.At(e.Code, "/zone", "zone %q: %s", strict.Clip(ref, maxWord), e.Message)
		default:
			return got, err
		}
		outcome = "refused"
	}
	got.id = id
	if got.other = name == otherZone && ref != id && !strings.EqualFold(ref, otherZone); got.other {
		outcome = "other"
	}
	b.f.metrics.zones.WithLabelValues(outcome).Inc()
	b.zones[k] = got
	return got, nil
}
