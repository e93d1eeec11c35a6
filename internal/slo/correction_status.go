package slo

import (
	"context"
	"encoding/json"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// ActiveCorrection is a correction as the status and the series of an objective show it.
type ActiveCorrection struct {
	ID     string         `json:"id"`
	Kind   CorrectionKind `json:"kind" enum:"maintenance,incident,reset"`
	Reason string         `json:"reason"`
	From   web.Time       `json:"from" doc:"Older counts are kept in longer intervals, which are left out as a whole"`
	To     web.Time       `json:"to"`
	Total  uint64         `json:"total" doc:"Requests of the budget's period that are left out"`
	Bad    uint64         `json:"bad"`
}

// excludedTally returns the requests that a correction leaves out of an objective's period.
type excludedTally struct {
	correction string
	Tally
}

// excludedText encodes what corrections leave out of an objective's period.
func (e *engine) excludedText(w *watch) string {
	if len(e.corrected.of) == 0 || len(e.corrected.of[w]) == 0 {
		return ""
	}
	list := make([][3]any, 0, len(e.corrected.of[w]))
	for _, x := range e.corrected.of[w] {
		sum := e.Sums(uint32(x.series), w.Window).Budget()
		list = append(list, [3]any{x.correction, sum.Total, sum.Bad})
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	return string(text)
}

func decodeExcluded(text string) (list []excludedTally, err error) {
	if text == "" {
		return nil, nil
	}
	var rows [][3]json.RawMessage
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, err
	}
	for _, row := range rows {
		var x excludedTally
		for i, to := range []any{&x.correction, &x.Total, &x.Bad} {
			if err := json.Unmarshal(row[i], to); err != nil {
				return nil, err
			}
		}
		list = append(list, x)
	}
	return list, nil
}

// setExcluded sums what the exclusions of the objective leave out, from the history of want.
func (r *reading) setExcluded(o *Objective, histories map[uint32][]bucket) {
	r.excluded = nil
	for i, list := range excludedOf(histories[r.series], r.exclusions, histories) {
		sum := tally.Sum(r.clock, o.Window, list).Budget()
		r.excluded = append(r.excluded, excludedTally{r.exclusions[i].correction, sum})
	}
}

// activeCorrections lists the corrections of an objective that end after a time, the oldest first.
func activeCorrections(
	ctx context.Context, tx *db.Tx, o *Objective, r *reading, since int64,
) ([]ActiveCorrection, error) {
	out := []ActiveCorrection{}
	if len(r.exclusions) == 0 {
		return out, nil
	}
	at := map[string]int{}
	for _, x := range r.exclusions {
		if x.to <= since {
			continue
		}
		i, known := at[x.correction]
		if !known {
			i = len(out)
			at[x.correction] = i
			out = append(out, ActiveCorrection{ID: x.correction, From: timeOf(x.from), To: timeOf(x.to)})
		}
		out[i].From = timeOf(min(out[i].From.Unix(), x.from))
		out[i].To = timeOf(max(out[i].To.Unix(), x.to))
	}
	for _, x := range r.excluded {
		if i, known := at[x.correction]; known {
			out[i].Total += x.Total
			out[i].Bad += x.Bad
		}
	}
	for i := range out {
		c, err := findCorrection(ctx, tx, o.account, out[i].ID)
		if err != nil {
			return nil, err
		}
		out[i].Kind = c.Kind
		out[i].Reason = c.Reason
	}
	return out, nil
}

// activeCorrections lists the corrections of an objective over the last seconds of its counts, for charts.
func (f *Feature) activeCorrections(
	ctx context.Context, o *Objective, seconds int64,
) (list []ActiveCorrection, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		r, err := readingOf(ctx, tx, o)
		if err == nil {
			list, err = activeCorrections(ctx, tx, o, &r, r.clock-seconds)
		}
		return err
	})
	return list, err
}
