package slo

import (
	"context"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// finders find objectives.
func (f *Feature) finders() feature.Finders {
	return feature.Finders{{
		Kind: "objective", Label: "Objectives", Icon: "target", Permission: account.SLORead, Find: f.findObjectives,
	}}
}

// actions are the feature's entries of the palette.
func (f *Feature) actions() []feature.Action {
	return []feature.Action{{
		Label: "Create an objective", Words: "new slo error budget target availability", Icon: "target",
		Href: objectivesPath("{account_id}") + "/new", Permission: account.SLOWrite,
	}}
}

// findObjectives finds objectives by their name, and by their property and part of it. It reads all objectives of the
// account, at most MaxObjectives, without their counts; a firing one is marked.
func (f *Feature) findObjectives(
	ctx context.Context, accountID, query string, limit int,
) ([]feature.Match, error) {
	objectives, err := f.Objectives(ctx, accountID, "", MaxObjectives)
	if err != nil {
		return nil, err
	}
	list := make([]feature.Match, len(objectives))
	for i, o := range objectives {
		_, zone, err := f.cfg.Zone(ctx, accountID, o.Match.Zone)
		if err != nil {
			return nil, err
		}
		list[i] = feature.Match{
			ID:     o.ID,
			Title:  o.Name,
			Detail: zone + ", " + o.Percent() + ", " + o.WindowText(),
			Href:   objectivePath(accountID, o.ID),
			Names:  []string{zone, o.Part()},
		}
	}
	list = feature.Best(query, limit, list)
	return list, f.markFiring(ctx, accountID, list)
}

// markFiring gives the objectives of the list that fire their state.
func (f *Feature) markFiring(ctx context.Context, accountID string, list []feature.Match) error {
	burning := map[string]bool{}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		ids, err := db.Collect(ctx, tx, db.ScanText, `SELECT DISTINCT s.objective_id
			FROM objective o JOIN standing s ON s.objective_id = o.id
			WHERE o.account_id = $1 AND s.state = $2`, accountID, int64(firing))
		for _, objectiveID := range ids {
			burning[objectiveID] = true
		}
		return err
	})
	for i := range list {
		if burning[list[i].ID] {
			list[i].Tone = ui.Bad
			list[i].Detail = "burning, " + list[i].Detail
		}
	}
	return err
}

// Counted reports whether a request of the account was ever counted.
func (f *Feature) Counted(ctx context.Context, accountID string) (yes bool, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		one, err := db.Collect(ctx, tx, db.ScanText, `SELECT zone_id FROM line WHERE account_id = $1 LIMIT 1`, accountID)
		yes = len(one) > 0
		return err
	})
	return yes, err
}
