package account

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// news are the members who joined, and the invitations of the visitor.
func (f *Feature) news() feature.NewsSources {
	return feature.NewsSources{
		{Permission: MembersRead, Since: f.joined},
		{Permission: web.AnyPermission, Since: f.invited},
	}
}

// joined lists the members who accepted, but for the visitor.
func (f *Feature) joined(
	ctx context.Context, accountID string, who *web.Principal, since time.Time, limit int,
) (list []feature.News, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		rows, err := tx.Query(ctx, `SELECT p.id, p.name, p.email, m.role, m.accepted_at
			FROM member m JOIN person p ON p.id = m.person_id
			WHERE m.account_id = $1 AND m.accepted_at > $2 ORDER BY m.accepted_at DESC, p.id LIMIT $3`,
			accountID, since.UnixMicro(), limit)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var personID, name, email, role string
			var accepted int64
			if err := rows.Scan(&personID, &name, &email, &role, &accepted); err != nil {
				return err
			}
			if personID == who.ID {
				continue
			}
			if name == "" {
				name = email
			}
			list = append(list, feature.News{
				At:     moment(accepted).Time,
				Title:  name + " joined the account",
				Detail: role,
				Href:   memberPath(accountID, personID),
				Icon:   "user-check",
			})
		}
		return rows.Err()
	})
	return list, err
}

// invited lists the invitations that the visitor has not answered.
func (f *Feature) invited(
	ctx context.Context, _ string, who *web.Principal, _ time.Time, limit int,
) (list []feature.News, err error) {
	if who.Kind != web.KindUser || who.AccountID != "" {
		return nil, nil
	}
	open, err := f.Invitations(ctx, who.ID)
	if errs.Is(err, errs.CodeNotFound) {
		return nil, nil
	}
	for _, i := range open[:min(len(open), limit)] {
		list = append(list, feature.News{
			At:     i.InvitedOn.Time,
			Title:  "You are invited to " + i.AccountName,
			Detail: "as " + string(i.Role),
			Href:   InvitationsPath,
			Icon:   "mail",
			Tone:   ui.Accent,
		})
	}
	return list, err
}

// NewsSeen is the time until which a person has seen the news of an account. Without a mark it is the time at which
// the person accepted the membership; zero = neither.
func (f *Feature) NewsSeen(ctx context.Context, personID, accountID string) (time.Time, error) {
	var until int64
	err := f.db.View(ctx, func(tx *db.Tx) error {
		err := tx.QueryRow(ctx, `SELECT until_at FROM news_seen WHERE person_id = $1 AND account_id = $2`,
			personID, accountID).Scan(&until)
		if !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		err = tx.QueryRow(ctx, `SELECT accepted_at FROM member WHERE person_id = $1 AND account_id = $2`,
			personID, accountID).Scan(&until)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return moment(until).Time, err
}

// SetNewsSeen moves the mark of a person forward.
func (f *Feature) SetNewsSeen(ctx context.Context, personID, accountID string, until time.Time) error {
	return f.db.Tx(ctx, func(tx *db.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO news_seen (person_id, account_id, until_at) VALUES ($1, $2, $3)
			ON CONFLICT (person_id, account_id) DO UPDATE SET until_at = excluded.until_at
			WHERE news_seen.until_at < excluded.until_at`, personID, accountID, until.UnixMicro())
		return err
	})
}
