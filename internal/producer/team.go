package producer

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/mail"
	"strings"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Team is one product team.
type Team struct {
	ID             string   `json:"id"`
	Name           string   `json:"name"`
	ContactEmail   string   `json:"contact_email,omitempty"`
	CatalogVersion int64    `json:"catalog_version" doc:"Of its catalogue; 0 = none was applied yet"`
	CreatedOn      web.Time `json:"created_on"`
	ModifiedOn     web.Time `json:"modified_on"`
}

const (
	maxTeams  = 10_000
	maxTokens = 100 // of a team
)

const teamColumns = `id, name, contact_email, version, created_at, modified_at`

func scanTeam(row db.Row) (Team, error) {
	var t Team
	var created, modified int64
	err := row.Scan(
		&t.ID,
		&t.Name,
		&t.ContactEmail,
		&t.CatalogVersion,
		&created,
		&modified,
	)
	t.CreatedOn = web.TimeOf(created)
	t.ModifiedOn = web.TimeOf(modified)
	return t, err
}

// CreateTeam creates a team. Names are unique among the teams that are not deleted.
func (f *Feature) CreateTeam(ctx context.Context, name, email string) (Team, error) {
	now := f.now()
	t := Team{ID: id.At(now), CreatedOn: web.TimeOf(now.UnixMicro()), ModifiedOn: web.TimeOf(now.UnixMicro())}
	var err error
	if t.Name, t.ContactEmail, err = checkTeam(name, email); err != nil {
		return Team{}, err
	}
	err = f.change(ctx, func(tx *db.Tx) error {
		var n int
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM team WHERE deleted_at = 0`).Scan(&n); err != nil {
			return err
		}
		if n >= maxTeams {
			return errs.New(errs.CodeLimit, "the installation has %d product teams, the most it may have", n)
		}
		_, err := tx.Exec(ctx, `
			INSERT INTO team (id, name, contact_email, created_at, modified_at, deleted_at, version)
			VALUES ($1, $2, $3, $4, $4, 0, 0)`,
			t.ID, t.Name, t.ContactEmail, now.UnixMicro())
		if err != nil {
			return nameTaken(err, t.Name)
		}
		created := event.NewAudit(f.cfg.OperatorAccount, "create", "producer", t.ID, t.Name)
		return f.cfg.Record(ctx, tx, created.Changed(nil, t.recorded()))
	})
	return t, err
}

func nameTaken(err error, name string) error {
	if db.Unique(err) {
		return errs.At(errs.CodeExists, "/name", "there is a product team %s already", catalogue.Quote(name))
	}
	return err
}

// recorded is a team as the record shows it before and after a change.
func (t Team) recorded() map[string]any {
	m := map[string]any{"name": t.Name}
	if t.ContactEmail != "" {
		m["contact_email"] = t.ContactEmail
	}
	return m
}

// checkTeam returns the name and the address without spaces at their ends.
func checkTeam(name, email string) (string, string, error) {
	name = strings.TrimSpace(name)
	email = strings.TrimSpace(email)
	var faults errs.List
	if !oneLine(name) {
		faults = append(faults, errs.At(errs.CodeInvalid, "/name",
			"name must have 1 to %d characters in one line", catalogue.MaxTitle))
	}
	if email != "" {
		if a, err := mail.ParseAddress(email); err != nil || a.Address != email || len(email) > 254 {
			faults = append(faults, errs.At(errs.CodeInvalid, "/contact_email",
				"contact_email must be one address, such as team@example.com"))
		}
	}
	return name, email, faults.Or()
}

// oneLine reports whether a name for people has text and no control characters.
func oneLine(name string) bool {
	isControl := func(r rune) bool { return r < ' ' || r == 0x7f }
	return name != "" && utf8.RuneCountInString(name) <= catalogue.MaxTitle && !strings.ContainsFunc(name, isControl)
}

// Team returns a team; CodeNotFound when there is none.
func (f *Feature) Team(ctx context.Context, teamID string) (t Team, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		t, err = loadTeam(ctx, tx, teamID)
		return err
	})
	return t, err
}

func loadTeam(ctx context.Context, tx *db.Tx, teamID string) (Team, error) {
	if !id.Valid(teamID) {
		return Team{}, errs.At(errs.CodeNotFound, "producer_id", "there is no such product team")
	}
	t, err := scanTeam(tx.QueryRow(ctx, `SELECT `+teamColumns+` FROM team WHERE id = $1 AND deleted_at = 0`, teamID))
	if errors.Is(err, sql.ErrNoRows) {
		return t, errs.At(errs.CodeNotFound, "producer_id", "there is no such product team")
	}
	return t, err
}

// Teams lists teams, newest first, that come after an id ("" = from the start).
func (f *Feature) Teams(ctx context.Context, after string, limit int) (list []Team, err error) {
	if after == "" {
		after = "g" // sorts after every id, which is hexadecimal
	}
	err = f.db.View(ctx, func(tx *db.Tx) (err error) {
		list, err = db.Collect(ctx, tx, scanTeam, `
			SELECT `+teamColumns+` FROM team
			WHERE deleted_at = 0 AND id < $1
			ORDER BY id DESC LIMIT $2`, after, limit)
		return err
	})
	return list, err
}

// UpdateTeam changes the name and the address that are not nil.
func (f *Feature) UpdateTeam(ctx context.Context, teamID string, name, email *string) (t Team, err error) {
	now := f.now().UnixMicro()
	err = f.change(ctx, func(tx *db.Tx) error {
		if t, err = loadTeam(ctx, tx, teamID); err != nil {
			return err
		}
		if err := web.IfMatch(ctx, t); err != nil {
			return err
		}
		before := t.recorded()
		if name != nil {
			t.Name = *name
		}
		if email != nil {
			t.ContactEmail = *email
		}
		if t.Name, t.ContactEmail, err = checkTeam(t.Name, t.ContactEmail); err != nil {
			return err
		}
		t.ModifiedOn = web.TimeOf(now)
		_, err := tx.Exec(ctx, `UPDATE team SET name = $2, contact_email = $3, modified_at = $4 WHERE id = $1`,
			t.ID, t.Name, t.ContactEmail, now)
		if err != nil {
			return nameTaken(err, t.Name)
		}
		if err := db.Tick(ctx, tx, clock); err != nil { // the name is in the snapshot
			return err
		}
		updated := event.NewAudit(f.cfg.OperatorAccount, "update", "producer", t.ID, t.Name)
		return f.cfg.Record(ctx, tx, updated.Changed(before, t.recorded()))
	})
	return t, err
}

// DeleteTeam removes a team that owns nothing: no name in a catalogue and no
// token. Its history stays.
func (f *Feature) DeleteTeam(ctx context.Context, teamID string) error {
	return f.change(ctx, func(tx *db.Tx) error {
		// The clock's lock keeps an apply from running at the same time.
		if err := db.Tick(ctx, tx, clock); err != nil {
			return err
		}
		t, err := loadTeam(ctx, tx, teamID)
		if err != nil {
			return err
		}
		if err := web.IfMatch(ctx, t); err != nil {
			return err
		}
		if err := ownsNothing(ctx, tx, teamID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE team SET deleted_at = $2 WHERE id = $1`, teamID, f.now().UnixMicro()); err != nil {
			return err
		}
		for _, statement := range []string{
			`DELETE FROM reject WHERE scope = 'producer' AND owner = $1`,
			`DELETE FROM fault WHERE scope = 'producer' AND owner = $1`,
		} {
			if _, err := tx.Exec(ctx, statement, teamID); err != nil {
				return err
			}
		}
		removed := event.NewAudit(f.cfg.OperatorAccount, "delete", "producer", t.ID, t.Name)
		return f.cfg.Record(ctx, tx, removed.Changed(t.recorded(), nil))
	})
}

func ownsNothing(ctx context.Context, tx *db.Tx, teamID string) error {
	var name string
	var names, tokens int
	err := tx.QueryRow(ctx, `SELECT count(*), coalesce(min(name), '') FROM owned WHERE team_id = $1`, teamID).
		Scan(&names, &name)
	if err != nil {
		return err
	}
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM token WHERE team_id = $1`, teamID).Scan(&tokens); err != nil {
		return err
	}

	var has []string
	if names > 0 {
		has = append(has, fmt.Sprintf("it declares %d names, such as %s (apply a catalogue with `products: []` first)",
			names, catalogue.Quote(name)))
	}
	if tokens > 0 {
		has = append(has, fmt.Sprintf("it has %d tokens (revoke them first)", tokens))
	}
	if len(has) > 0 {
		return errs.New(errs.CodeStateConflict, "the product team still owns something: %s", strings.Join(has, ", and "))
	}
	return nil
}

// change runs fn in a writing transaction and wakes the relay after it.
func (f *Feature) change(ctx context.Context, fn func(*db.Tx) error) error {
	return f.cfg.Change(ctx, fn)
}

func cutBytes(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "")
}
