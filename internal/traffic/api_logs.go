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
	"github.com/belfryhq/belfry/internal/platform/strict"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// LogParams are the parameters of the on-ramp of access logs.
type LogParams struct {
	Params
	Format   string `query:"format" required:"true" enum:"combined,nginx-json,caddy,logpush,envoy,haproxy,alb,cloudfront" doc:"Format of the lines"`
	Zone     string `query:"zone" maxLength:"255" doc:"Zone of all lines: id, name or alias. Left out: the zone in the line (Logpush), else its host"`
	TimeZone string `query:"timezone" maxLength:"64" doc:"Time zone of times that name none (haproxy), such as Europe/Berlin" default:"UTC"`
}

func (f *Feature) registerLogs(api *web.API) {
	web.Raw(api, "POST", web.Op{
		Path:    "/accounts/{account_id}/traffic/logs",
		ID:      "send-access-logs",
		Tag:     tag,
		Summary: "Send an access log",
		Description: "Lines of an access log as the server wrote them; gzip is welcome, at most 64 MiB decompressed. They " +
			"are counted by ten seconds, host and origin as they arrive, and not stored. The account's rules decide from " +
			"the status, the status of the origin and the reason that the proxy names whether a request is good, bad or " +
			"unreachable (see get-traffic-rules). Lines that are not requests are counted and described, the others are " +
			"accepted. 200 when at least one line was accepted.",
		Permission: account.TrafficWrite,
		MaxBody:    MaxLogBody,
		Accepts:    []string{"text/plain", "application/x-ndjson", "application/json", "application/octet-stream"},
		Result:     IngestResult{},
	}, f.ingestLog)
	api.Limit("traffic.log_uploads", maxAccountUploads)
}

// ingestLog counts a log while it arrives; no more than a line of it is in memory.
func (f *Feature) ingestLog(ctx context.Context, in *LogParams, x *web.Exchange) error {
	if err := web.CheckIdempotencyKey(in.Key); err != nil {
		return err
	}
	format, err := ParseFormat(in.Format)
	if err != nil {
		return err
	}
	zone, err := loadZone(in.TimeZone)
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
	io.WriteString(hash, "log\n"+in.Format+"\n"+in.Zone+"\n") // a hash accepts all writes
	if zone != time.UTC {
		io.WriteString(hash, zone.String()+"\n")
	}
	parser := &Parser{Format: format, Zone: zone}
	lines, err := b.readLog(ctx, parser, in.Zone, io.TeeReader(x.Body(), hash))
	if err != nil {
		return err
	}
	f.metrics.lines.WithLabelValues(in.Format, "ok").Add(float64(lines.accepted))
	f.metrics.lines.WithLabelValues(in.Format, "refused").Add(float64(lines.rejected))
	return f.answer(ctx, x, b, ingest.Items{List: true}, &submission{
		scope: b.from.Scope(),
		key:   in.Key,
		hash:  [32]byte(hash.Sum(nil)),
		result: IngestResult{
			Accepted:         lines.accepted,
			Rejected:         lines.rejected,
			RejectedRequests: int64(lines.rejected),
			Ignored:          lines.ignored,
		},
	})
}

// loadZone finds a time zone by its name.
func loadZone(name string) (*time.Location, error) {
	if name == "Local" { // that of the server, which is nothing to the sender
		name = "local"
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, errs.At(errs.CodeInvalid, "timezone", "timezone is a name of the tz database, such as Europe/Berlin, "+
			"not %q", strict.Clip(name, maxWord))
	}
	return zone, nil
}

// lineCounts are the lines of a log by outcome; ignored lines are accepted ones.
type lineCounts struct{ accepted, rejected, ignored int }

// maxLinesShown limits the lines of a log that an answer shows with their text.
const maxLinesShown = 10

// readLog counts the lines of a log and adds the counts to the batch.
func (b *batch) readLog(ctx context.Context, p *Parser, zone string, r io.Reader) (n lineCounts, err error) {
	counts := NewLogCounts(maxCells)
	window := Recent(b.f.now())
	err = p.Read(r, func(line int, text []byte, e Entry, fault error) error {
		if fault == nil {
			if late := window.check(e.At); late != nil {
				fault = late
			}
		}
		if fault == nil {
			how, err := b.countingOf(ctx, b.from.Account, e.ZoneOf(zone))
			if err != nil {
				return err
			}
			how.Rules.Classify(p.Format, &e)
			fault = counts.Add(zone, e, how.Latency)
			if errs.Is(fault, errs.CodeTooLarge) {
				return fault
			}
		}
		if fault == nil {
			n.accepted++
			if e.Ignored {
				n.ignored++
			}
			return nil
		}
		n.rejected++
		faults := errs.All(fault)
		b.f.metrics.refused.WithLabelValues("log", reason(faults[0].Code)).Inc()
		if len(b.bad) < maxRefusedShown {
			sample := ""
			if len(b.bad) < maxLinesShown {
				sample = Sample(text)
			}
			b.bad = append(b.bad, refusal{index: line, account: b.from.Account, faults: faults, line: sample})
		}
		return nil
	})
	if err != nil {
		return n, err
	}
	if n.accepted+n.rejected == 0 {
		return n, errs.New(errs.CodeMissingField, "the body is empty; send the lines of an access log")
	}

	// A zone that cannot be resolved rejects all of its lines.
	for i, c := range counts.Counts() {
		before := len(b.bad)
		if err := b.add(ctx, i, c, nil, nil); err != nil {
			return n, err
		}
		if len(b.bad) == before {
			continue
		}
		refused := b.bad[before]
		if c.SLI != "" {
			b.bad = b.bad[:before] // the same lines as those of availability
			continue
		}
		n.accepted -= int(c.Total)
		n.rejected += int(c.Total)
		b.f.metrics.refused.WithLabelValues("log", reason(refused.faults[0].Code)).Add(float64(c.Total))
		refused.index = 0 // of many lines
		if b.bad = b.bad[:before]; before < maxRefusedShown {
			b.bad = append(b.bad, refused)
		}
	}
	return n, nil
}

// Uploads at once. The counts of one may take 30 MB of memory, and a slow upload
// keeps its slot for half a minute: no account can occupy all slots.
const (
	maxUploads        = 16
	maxAccountUploads = 4
)

// uploads counts the logs that are arriving.
type uploads struct {
	mu    sync.Mutex // guards the fields below
	all   int
	byOne map[string]int // by account
}

// enter takes a slot; leave returns it.
func (u *uploads) enter(accountID string) (leave func(), err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.all == maxUploads || u.byOne[accountID] == maxAccountUploads {
		return nil, errs.New(errs.CodeUnavailable, "too many logs are arriving: at most %d at once, %d of one account",
			maxUploads, maxAccountUploads).After(time.Second)
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
