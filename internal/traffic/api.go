package traffic

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"slices"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// maxRefusedShown limits how many refused counts or lines an answer describes; it
// counts all of them.
const maxRefusedShown = 50

// IngestResult is the answer to a request with counts or lines.
type IngestResult struct {
	Accepted int            `json:"accepted" doc:"Counts, or lines of a log, that were accepted"`
	Rejected int            `json:"rejected"`
	Counts   int            `json:"counts" doc:"Counts stored; of a log, one for each ten seconds, host and origin"`
	Refused  []RefusedCount `json:"refused" doc:"The first 50 that were rejected"`

	RejectedRequests int64    `json:"rejected_requests" doc:"Requests in the rejected counts, or rejected lines of a log"`
	Ignored          int      `json:"ignored,omitempty" doc:"Of the accepted lines, those that the account's rules ignore"`
	OtherRequests    int64    `json:"other_requests" doc:"Requests counted for the property other, because the account has no room for more properties by traffic. A property added by hand takes its own"`
	RenamedRequests  int64    `json:"renamed_requests,omitempty" doc:"Requests whose origin, hostname or path class was counted under the name other, because the account has more of them than it may have (see get-traffic-names)"`
	OtherZones       []string `json:"other_zones" doc:"The first 10 of their names"`
}

// RefusedCount says why one count or line was rejected.
type RefusedCount struct {
	Index  int                  `json:"index" doc:"Position in the request, from 0; of a log, the line from 1"`
	Errors []ingest.ItemProblem `json:"errors"`
	Line   string               `json:"line,omitempty" doc:"Of a log, the beginning of the line, with addresses masked; the first 10. It is not stored: a repeated request does not get it"`
}

// Params has the header that both on-ramps take.
type Params struct {
	Key string `header:"Idempotency-Key" doc:"For 48 hours, a repeated request with the same key gets the first answer and counts nothing"`
}

// SentCount documents the body of both on-ramps.
type SentCount struct {
	Account     string `json:"account_id,omitempty" doc:"The account, where one request carries counts of many"`
	Zone        string `json:"zone" doc:"The zone (property), by id, name or alias" maxLength:"255"`
	At          int64  `json:"ts" doc:"Start of the interval, in Unix seconds"`
	Seconds     int64  `json:"seconds,omitempty" doc:"Length of the interval" minimum:"1" maximum:"3600" default:"10"`
	Total       int64  `json:"total" doc:"Requests in the interval" minimum:"0" maximum:"1000000000000"`
	Bad         int64  `json:"bad,omitempty" doc:"Those that failed (5xx)" minimum:"0"`
	Unreachable int64  `json:"unreachable,omitempty" doc:"Those failures that did not reach the origin (521)" minimum:"0"`
	Origin      string `json:"origin,omitempty" doc:"The server that answered" maxLength:"255"`
	Hostname    string `json:"hostname,omitempty" doc:"The host that was asked for" maxLength:"255"`
	PathClass   string `json:"path_class,omitempty" doc:"A class of paths, for objectives about a part of a site" maxLength:"100"`
	SLI         string `json:"sli,omitempty" doc:"Another ratio of good to all" maxLength:"100" default:"availability"`
}

const tag = "Traffic"

// API registers the operations.
func (f *Feature) API(api *web.API) {
	const description = "How many requests there were in an interval, and how many of them failed: one object, a JSON " +
		"array, or NDJSON; gzip is welcome. At most 10,000 counts or 4 MiB. {zone, ts, total} are required; seconds is 10 " +
		"unless given, bad counts failures (5xx), unreachable counts those failures that did not reach the origin (521). " +
		"An unknown zone is created from a hostname. The answer comes after the commit; 200 when at least one count was " +
		"accepted."
	web.Raw(api, "POST", web.Op{
		Path:        "/accounts/{account_id}/traffic/counts",
		ID:          "send-traffic-counts",
		Tag:         tag,
		Summary:     "Send request counts",
		Description: description,
		Permission:  account.TrafficWrite,
		MaxBody:     MaxCountsBody,
		Accepts:     ingest.MediaTypes,
		Body:        []SentCount{},
		Result:      IngestResult{},
	}, func(ctx context.Context, in *Params, x *web.Exchange) error {
		return f.ingestCounts(ctx, x, in.Key, web.Account(ctx).ID)
	})

	web.Raw(api, "POST", web.Op{
		Path:        "/traffic/counts",
		ID:          "send-traffic-counts-of-many-accounts",
		Tag:         tag,
		Summary:     "Send request counts of many accounts",
		Description: "For product teams: every count names its account in account_id. " + description,
		Scope:       web.ScopeProducer,
		Permission:  account.TrafficWrite,
		MaxBody:     MaxCountsBody,
		Accepts:     ingest.MediaTypes,
		Body:        []SentCount{},
		Result:      IngestResult{},
	}, func(ctx context.Context, in *Params, x *web.Exchange) error {
		return f.ingestCounts(ctx, x, in.Key, "")
	})

	f.registerLogs(api)
	f.registerRules(api)
	f.registerOTLP(api)
	f.registerPrometheus(api)
	f.registerNames(api)
	api.Limit("traffic.batch_counts", MaxCounts)
	api.Limit("traffic.batch_bytes", MaxCountsBody)
	api.Limit("traffic.log_bytes", MaxLogBody)
	api.Limit("traffic.log_line_bytes", MaxLine)
	api.Limit("traffic.max_age_seconds", int(MaxAge.Seconds()))
}

// ingestCounts serves both on-ramps of counts.
func (f *Feature) ingestCounts(ctx context.Context, x *web.Exchange, key, accountID string) error {
	if err := web.CheckIdempotencyKey(key); err != nil {
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
	if err := b.addAll(ctx, items.Values); err != nil {
		return err
	}
	hash := sha256.New()
	hash.Write([]byte("counts\n"))
	hash.Write(body)
	return f.answer(ctx, x, b, items, &submission{
		scope: b.from.Scope(),
		key:   key,
		hash:  [32]byte(hash.Sum(nil)),
		result: IngestResult{
			Accepted:         len(b.good),
			Rejected:         len(b.bad),
			RejectedRequests: b.refused,
		},
	})
}

// answer stores a batch and answers with its result.
func (f *Feature) answer(ctx context.Context, x *web.Exchange, b *batch, items ingest.Items, s *submission) error {
	out := &s.result
	out.Counts = len(b.good)
	out.Refused = []RefusedCount{}
	out.OtherRequests = b.other
	out.OtherZones = append([]string{}, b.others...)
	var shown errs.List
	var lines []string // samples
	for _, r := range b.bad[:min(len(b.bad), maxRefusedShown)] {
		out.Refused = append(out.Refused, RefusedCount{Index: r.index, Errors: ingest.Problems(r.faults)})
		lines = append(lines, r.line)
		for _, e := range r.faults {
			shown = append(shown, items.Locate(r.index, e))
		}
	}

	answer, replayed, err := f.submit(ctx, b, s)
	if err != nil {
		return err
	}
	if !replayed && slices.ContainsFunc(lines, func(s string) bool { return s != "" }) {
		for i, line := range lines {
			out.Refused[i].Line = line
		}
		if answer, err = json.Marshal(out); err != nil {
			return err
		}
	}
	env := web.Envelope{Result: answer}
	if replayed {
		f.metrics.replayed.Inc()
		x.Writer().Header().Set("Idempotency-Replayed", "true")
		if err := json.Unmarshal(answer, out); err != nil {
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
