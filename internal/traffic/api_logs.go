package traffic

import (
	"context"
	"crypto/sha256"
	"io"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// LogParams are the parameters of the on-ramp of logs.
type LogParams struct {
	Params
	Format string `query:"format" required:"true" enum:"combined,nginx-json,caddy,logpush" doc:"How the lines are written"`
	Zone   string `query:"zone" maxLength:"255" doc:"Zone of all lines: id, name or alias; left out, the line's own (Logpush), else its host"`
}

func (f *Feature) registerLogs(api *web.API) {
	web.Raw(api, "POST", web.Op{
		Path: "/accounts/{account_id}/traffic/logs", ID: "send-access-logs", Tag: "Traffic", Permission: account.TrafficWrite,
		Summary: "Send an access log",
		Description: "Lines of an access log as the server wrote them; gzip is welcome, at most 64 MiB decompressed. They are counted by ten seconds, host and origin as they arrive and not kept. " +
			"A status of 500 and more is bad; 521, and nginx's 502 without a connection, is unreachable; for Logpush both statuses decide. Lines that are no requests are counted and described, the others are taken. " +
			"200 when at least one line was accepted.",
		MaxBody: MaxLogBody, Accepts: []string{"text/plain", "application/x-ndjson", "application/json", "application/octet-stream"}, Result: Taken{},
	}, f.takeLog)
	api.Limit("traffic.log_uploads", maxAccountUploads)
}

// takeLog counts a log while it arrives; it is held at no time.
func (f *Feature) takeLog(ctx context.Context, in *LogParams, x *web.Exchange) error {
	if err := checkKey(in.Key); err != nil {
		return err
	}
	format, err := ParseFormat(in.Format)
	if err != nil {
		return err
	}
	leave, err := f.uploads.enter(web.Account(ctx).ID)
	if err != nil {
		return err
	}
	defer leave()
	b := f.newBatch(ingest.From(ctx, web.Account(ctx).ID), "log")
	hash := sha256.New()
	io.WriteString(hash, "log\n"+in.Format+"\n"+in.Zone+"\n") // a hash takes everything
	tally, window := NewTally(maxCells), Recent(f.now())
	accepted, rejected := 0, 0
	refuse := func(line int, fault error) {
		rejected++
		f.metrics.refused.WithLabelValues("log", reason(described(fault)[0].Code)).Inc()
		if len(b.bad) < maxRefusedShown {
			b.bad = append(b.bad, refusal{index: line, account: b.from.Account, faults: described(fault)})
		}
	}
	err = format.Read(io.TeeReader(x.Body(), hash), func(line int, e Entry, fault error) error {
		if fault == nil {
			if late := window.check(e.At); late != nil {
				fault = late
			}
		}
		if fault == nil {
			fault = tally.Add(in.Zone, e)
			if fault != nil && errs.Is(fault, errs.CodeTooLarge) {
				return fault
			}
		}
		if fault != nil {
			refuse(line, fault)
			return nil
		}
		accepted++
		return nil
	})
	if err != nil {
		return err
	}
	if accepted+rejected == 0 {
		return errs.New(errs.CodeMissingField, "the body is empty; send the lines of an access log")
	}
	// A zone that cannot be refuses its lines.
	for i, c := range tally.Counts() {
		before := len(b.bad)
		if err := b.add(ctx, i, c, nil, nil); err != nil {
			return err
		}
		if len(b.bad) == before {
			continue
		}
		refused := b.bad[before]
		accepted -= int(c.Total)
		rejected += int(c.Total)
		f.metrics.refused.WithLabelValues("log", reason(refused.faults[0].Code)).Add(float64(c.Total))
		refused.index = 0 // of many lines
		if b.bad = b.bad[:before]; before < maxRefusedShown {
			b.bad = append(b.bad, refused)
		}
	}
	f.metrics.lines.WithLabelValues(in.Format, "ok").Add(float64(accepted))
	f.metrics.lines.WithLabelValues(in.Format, "refused").Add(float64(rejected))
	return f.answer(ctx, x, b, in.Key, [32]byte(hash.Sum(nil)), Taken{Accepted: accepted, Rejected: rejected, RejectedRequests: int64(rejected), Counts: len(b.good)}, ingest.Items{List: true})
}

// Uploads at once. A tally may take 30 MB, and a slow upload its place for half a
// minute: no account takes all places.
const (
	maxUploads        = 16
	maxAccountUploads = 4
)

// uploads are the logs that are arriving.
type uploads struct {
	mu    sync.Mutex // guards what follows
	all   int
	byOne map[string]int // by account
}

// enter takes a place, which leave gives back.
func (u *uploads) enter(accountID string) (leave func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == maxUploads || u.byOne[accountID] == maxAccountUploads {
		return nil, errs.New(errs.CodeUnavailable, "as many logs are arriving as are read at once: %d, of one account %d", maxUploads, maxAccountUploads).After(time.Second)
	}
	u.all++
	u.byOne[accountID]++
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.all--
		if u.byOne[accountID]--; u.byOne[accountID] == 0 {
			delete(u.byOne, accountID)
		}
	}, nil
}

// described is an error as a list that can be shown.
func described(err error) errs.List { return errs.All(err) }
