package audit

import (
	"context"
	"net/url"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of an activity.
const (
	activityRows = 50 // at most, whatever the page asks for
	activityRead = 4  // events that are decoded for each row: reads are left out
)

// Activity reads the newest changes about an object, for the page of the object. They are found through the digests
// with a short budget, so that an object with few events in a long log costs its page at most that time; the section
// then links to the explorer, which searches longer.
func (f *Feature) Activity(
	ctx context.Context, who *web.Principal, accountID string, about feature.About, limit int,
) (ui.Activity, error) {
	filters := aboutFilters(about)
	if len(filters) == 0 || !who.Can(accountID, account.AuditRead) {
		return ui.Activity{}, nil
	}
	base := account.RecordPath(accountID)
	out := ui.Activity{All: base + query(valuesOf(filters))}

	limit = min(max(limit, 1), activityRows)
	same, err := f.samePerson(ctx, accountID, filters)
	if err != nil {
		return ui.Activity{}, err
	}
	found, err := f.quick.List(ctx, accountID, ledger.Query{Filters: same, Limit: limit * activityRead})
	if narrow(err) {
		out.Empty = "No event was found within a short search. The audit log searches longer."
		return out, nil
	}
	if err != nil {
		return ui.Activity{}, err
	}
	for _, r := range found.Records {
		if len(out.Rows) < limit && !f.isView(r) {
			out.Rows = append(out.Rows, f.activityRow(base, r))
		}
	}
	if len(out.Rows) == 0 && len(found.Records) > 0 {
		out.Empty = "Only reads lately. The audit log shows them."
		out.All = base + query(withValue(valuesOf(filters), "views", "shown"))
	}
	return out, nil
}

// aboutFilters returns the filters that select the events about an object; none when it is not given in full. Each has
// a field that the digests know. A token of Belfry is the actor of its requests, except a team's, where it is the team:
// its requests are found by the team.
func aboutFilters(about feature.About) []record.Filter {
	equal := func(field, value string) record.Filter { return record.Filter{Field: field, Values: []string{value}} }
	switch {
	case about.ResourceType != "" && about.ResourceID != "":
		return []record.Filter{
			equal("resource_product", event.Product),
			equal("resource_type", about.ResourceType),
			equal("resource_id", about.ResourceID),
		}
	case about.Actor != "":
		return []record.Filter{equal("actor_id", about.Actor)}
	case about.Zone != "":
		return []record.Filter{equal("zone", about.Zone)}
	case about.Token != "":
		return []record.Filter{equal("actor_id", about.Token)}
	}
	return nil
}

func valuesOf(filters []record.Filter) url.Values {
	q := url.Values{}
	for _, one := range filters {
		q[one.Field] = one.Values
	}
	return q
}

func withValue(q url.Values, name, value string) url.Values {
	q.Set(name, value)
	return q
}

func (f *Feature) activityRow(base string, r *record.Record) ui.ActivityRow {
	e := &r.Event
	row := ui.ActivityRow{
		ID:       "e-" + e.ID,
		Actor:    visible(r.ActorName()),
		Kind:     e.Actor.Type,
		Sentence: linked(f.rowSentence(r), base),
		At:       e.At(),
		Href:     base + "/events/" + url.PathEscape(e.ID),
	}
	if e.Action.Result == "failure" {
		row.Tone = ui.Bad
	}
	row.Note, _ = why(e)
	return row
}
