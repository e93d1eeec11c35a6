package audit

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// SummaryInput asks for counts.
type SummaryInput struct {
	Since   string `query:"since" doc:"Date or RFC 3339; the default is 30 days before"`
	Before  string `query:"before" doc:"Date or RFC 3339; the default is now"`
	GroupBy string `query:"group_by" enum:"product,action,actor,person,interface,day" default:"product" doc:"person: actors that are the same member of the account, by address or id, are one row"`
}

func (f *Feature) summary(ctx context.Context, in *SummaryInput) ([]ledger.SummaryRow, error) {
	if err := noEmptyValues(ctx); err != nil {
		return nil, err
	}
	since, before, empty, err := timeRange(in.Since, in.Before)
	if err != nil || empty {
		return []ledger.SummaryRow{}, err
	}
	now := f.now()
	if before == 0 {
		before = now.UnixMicro()
	}
	if since == 0 {
		since = time.UnixMicro(before).AddDate(0, 0, -30).UnixMicro()
	}
	if in.GroupBy == "person" {
		return f.countPeople(ctx, web.Account(ctx).ID, since, before)
	}
	if in.GroupBy == "actor" || in.GroupBy == "interface" {
		return f.reader.CountBy(ctx, web.Account(ctx).ID, in.GroupBy, since, before)
	}
	return f.reader.Summary(ctx, web.Account(ctx).ID, in.GroupBy, since, before)
}
