package producer

import (
	"context"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// States by which a list of teams can be filtered.
const (
	teamRejected = "rejected" // an event was rejected in the last 24 hours
	teamMissing  = "missing"  // no catalogue was applied yet
)

// teamFilter selects and orders teams. Zero values select everything, the newest first.
type teamFilter struct {
	text   string // part of the name or of the contact address
	state  string
	byName bool
}

// teamPlace is a position in a list of teams: behind this team.
type teamPlace struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// listedTeam is a team with the last use of its tokens.
type listedTeam struct {
	Team
	lastUsed time.Time // zero = never
}

// searchTeams lists teams that come after a place (zero = from the start).
func (f *Feature) searchTeams(
	ctx context.Context, filter teamFilter, after teamPlace, limit int,
) (list []listedTeam, err error) {
	order := `id < $4 AND $5 = '' ORDER BY id DESC`
	place := []any{after.ID, ""}
	if after.ID == "" {
		place[0] = "g" // sorts after every id, which is hexadecimal
	}
	if filter.byName {
		order = `(name, id) > ($4, $5) ORDER BY name, id`
		place = []any{after.Name, after.ID}
	}
	like := ""
	if filter.text != "" {
		escape := strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
		like = "%" + escape.Replace(strings.ToLower(filter.text)) + "%"
	}
	scan := func(row db.Row) (t listedTeam, err error) {
		var created, modified, used int64
		err = row.Scan(&t.ID, &t.Name, &t.ContactEmail, &t.CatalogVersion, &created, &modified, &used)
		t.CreatedOn.Time = time.UnixMicro(created).UTC()
		t.ModifiedOn.Time = time.UnixMicro(modified).UTC()
		if used > 0 {
			t.lastUsed = time.UnixMicro(used).UTC()
		}
		return t, err
	}
	args := append([]any{like, filter.state, f.firstHour()}, place...)
	err = f.db.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scan, `
			SELECT `+teamColumns+`, (SELECT coalesce(max(k.last_used_at), 0) FROM token k WHERE k.team_id = team.id)
			FROM team
			WHERE deleted_at = 0
				AND ($1 = '' OR lower(name) LIKE $1 ESCAPE '\' OR lower(contact_email) LIKE $1 ESCAPE '\')
				AND ($2 <> 'missing' OR version = 0)
				AND ($2 <> 'rejected' OR EXISTS (SELECT 1 FROM fault
					WHERE scope = 'producer' AND owner = team.id AND hour >= $3 AND code = 0))
				AND `+order+` LIMIT $6`, append(args, limit)...)
		return err
	})
	return list, err
}
