package incident

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// UpdateTemplate is a text that the form of an update offers.
type UpdateTemplate struct {
	Name    string `json:"name" minLength:"1" maxLength:"200"`
	State   State  `json:"status,omitempty" enum:"investigating,identified,monitoring,resolved,scheduled,in_progress,completed,canceled" doc:"The status that it goes with; unchanged when left out"`
	Message string `json:"message" minLength:"1" maxLength:"10000"`
}

// UpdateTemplates are all of them, in their order.
type UpdateTemplates struct {
	Templates []UpdateTemplate `json:"templates" maxItems:"50"`
}

func selectTemplates(ctx context.Context, tx *db.Tx) ([]UpdateTemplate, error) {
	return db.Collect(ctx, tx, func(row db.Row) (t UpdateTemplate, err error) {
		err = row.Scan(&t.Name, &t.State, &t.Message)
		return t, err
	}, `SELECT name, status, message FROM update_template ORDER BY position LIMIT $1`, maxTemplates)
}

// Templates lists the texts of updates.
func (f *Feature) Templates(ctx context.Context) (out UpdateTemplates, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		out.Templates, err = selectTemplates(ctx, tx)
		return err
	})
	return out, err
}

// ReplaceTemplates replaces the texts of updates.
func (f *Feature) ReplaceTemplates(ctx context.Context, in UpdateTemplates) (UpdateTemplates, error) {
	if len(in.Templates) > maxTemplates {
		return in, errs.At(errs.CodeTooLarge, "/templates", "expected at most %d templates", maxTemplates)
	}
	k := &checker{}
	all := append(append([]State{""}, states[KindIncident]...), states[KindMaintenance]...)
	rows := make([][]any, len(in.Templates))
	for n := range in.Templates {
		t := &in.Templates[n]
		at := fmt.Sprintf("/templates/%d", n)
		t.Name = k.line(at+"/name", t.Name, true)
		t.Message = k.text(at+"/message", t.Message, maxMessage, true)
		oneOf(k, at+"/status", t.State, all)
		rows[n] = []any{
			n,
			t.Name,
			string(t.State),
			t.Message,
		}
	}
	if err := k.err(); err != nil {
		return in, err
	}
	if in.Templates == nil {
		in.Templates = []UpdateTemplate{}
	}
	err := f.cfg.Change(ctx, func(tx *db.Tx) error {
		before, err := selectTemplates(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM update_template`); err != nil {
			return err
		}
		if err := tx.Insert(ctx, "update_template", []string{"position", "name", "status", "message"}, "", rows); err != nil {
			return err
		}
		updated := event.NewAudit(f.cfg.OperatorAccount, "update", "update_templates", "templates", "templates of updates")
		return f.cfg.Record(ctx, tx, updated.Changed(UpdateTemplates{before}, in))
	})
	return in, err
}
