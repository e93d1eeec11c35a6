package traffic

import (
	"context"
	"crypto/sha256"
	"encoding/json"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// maxRefusedShown is how many refused counts or lines an answer describes; it
// counts all.
const maxRefusedShown = 50

// Taken answers a request that brings counts or lines.
type Taken struct {
	Accepted int            `json:"accepted" doc:"Counts, or lines of a log, that were taken"`
	Rejected int            `json:"rejected"`
	Counts   int            `json:"counts" doc:"Counts that were stored: of a log, one for each ten seconds, host and origin"`
	Refused  []RefusedCount `json:"refused" doc:"The first 50 that were not taken"`

	RejectedRequests int64    `json:"rejected_requests" doc:"Requests in the counts, or lines of a log, that were not taken"`
	OtherRequests    int64    `json:"other_requests" doc:"Requests that were counted for the property other: traffic showed more new hostnames than become properties by themselves. A property that is added by hand takes its own"`
	OtherZones       []string `json:"other_zones" doc:"The first 10 of their names"`
}

// RefusedCount says why one count or line was not taken.
type RefusedCount struct {
	Index  int                  `json:"index" doc:"Place in the request, from 0; of a log, the line from 1"`
	Errors []ingest.ItemProblem `json:"errors"`
}

// Params has the header that both on-ramps of counts take.
type Params struct {
	Key string `header:"Idempotency-Key" doc:"A repeated request with the same key is answered as the first one and counts nothing, for 48 hours"`
}

// Register adds the HTTP on-ramps.
func (f *Feature) Register(api *web.API) {
	op := web.Op{
		Path: "/accounts/{account_id}/traffic/counts", ID: "send-traffic-counts", Tag: "Traffic", Permission: account.TrafficWrite,
		Summary: "Send request counts",
		Description: "How many requests there were in an interval and how many of them failed: one object, a JSON array, or NDJSON; gzip is welcome. " +
			"At most 10,000 counts or 4 MiB. {zone, ts, total} are required; seconds is 10 unless given, bad counts failures (5xx), unreachable those of them that did not reach the origin (521). " +
			"A zone that is not known is made of a hostname. The answer comes after the commit; 200 when at least one count was accepted.",
		MaxBody: MaxCountsBody, Accepts: ingest.MediaTypes, Result: Taken{},
	}
	web.Raw(api, "POST", op, func(ctx context.Context, in *Params, x *web.Exchange) error {
		return f.takeCounts(ctx, x, in.Key, web.Account(ctx).ID)
	})
	op.Path, op.ID, op.Scope = "/traffic/counts", "send-traffic-counts-of-many-accounts", web.ScopeProducer
	op.Summary = "Send request counts of many accounts"
	op.Description = "For product teams: every count names its account in account_id. " + op.Description
	web.Raw(api, "POST", op, func(ctx context.Context, in *Params, x *web.Exchange) error { return f.takeCounts(ctx, x, in.Key, "") })
	f.registerLogs(api)
	api.Limit("traffic.batch_counts", MaxCounts)
	api.Limit("traffic.batch_bytes", MaxCountsBody)
	api.Limit("traffic.log_bytes", MaxLogBody)
	api.Limit("traffic.log_line_bytes", MaxLine)
	api.Limit("traffic.max_age_seconds", int(MaxAge.Seconds()))
}

// checkKey refuses keys as web does for creating operations.
func checkKey(key string) error {
	bad := len(key) > 255
	for i := range len(key) {
		bad = bad || key[i] < 0x21 || key[i] > 0x7e
	}
	if bad {
		return errs.At(errs.CodeInvalid, "Idempotency-Key", "an Idempotency-Key has 1 to 255 visible ASCII characters")
	}
	return nil
}

// takeCounts is both on-ramps of counts.
func (f *Feature) takeCounts(ctx context.Context, x *web.Exchange, key, accountID string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	body, err := x.Bytes()
	if err != nil {
		return err
	}
	items, err := countFormat.Split(body, x.MediaType())
	if err != nil {
		return err
	}
	b := f.newBatch(ingest.From(ctx, accountID), "http")
	if err := b.values(ctx, items.Values); err != nil {
		return err
	}
	hash := sha256.New()
	hash.Write([]byte("counts\n"))
	hash.Write(body)
	return f.answer(ctx, x, b, key, [32]byte(hash.Sum(nil)), Taken{Accepted: len(b.good), Rejected: len(b.bad), RejectedRequests: b.refused, Counts: len(b.good)}, items)
}

// answer stores a batch and says what became of it.
func (f *Feature) answer(ctx context.Context, x *web.Exchange, b *batch, key string, hash [32]byte, out Taken, items ingest.Items) error {
	out.Refused = []RefusedCount{}
	out.OtherRequests = b.other
	out.OtherZones = append([]string{}, b.others...)
	var shown errs.List
	for i, r := range b.bad {
		if i == maxRefusedShown {
			break
		}
		out.Refused = append(out.Refused, RefusedCount{Index: r.index, Errors: ingest.Problems(r.faults)})
		for _, e := range r.faults {
			shown = append(shown, items.Locate(r.index, e))
		}
	}
	answer, err := json.Marshal(out)
	if err != nil {
		return err
	}
	answer, replayed, err := f.submit(ctx, b, &submission{scope: b.from.Scope(), key: key, hash: hash, answer: answer})
	if err != nil {
		return err
	}
	env := web.Envelope{Result: answer}
	if replayed {
		f.metrics.replayed.Inc()
		x.Writer().Header().Set("Idempotency-Replayed", "true")
		if err := json.Unmarshal(answer, &out); err != nil {
			return err
		}
	} else if out.Accepted == 0 && len(shown) > 0 {
		env.Status = 400
		env.Errors = shown
	}
	env.Info, err = json.Marshal(struct {
		Accepted int `json:"accepted"`
		Rejected int `json:"rejected"`
	}{out.Accepted, out.Rejected})
	if err != nil {
		return err
	}
	x.Send(env)
	return nil
}
