package account

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of saved views.
const (
	maxViews     = 50 // of an owner, or shared, for one list
	maxViewName  = 80 // characters
	maxViewQuery = 4096
)

// viewedLists are the lists that can have saved views, by their paths below the account's. The enum of [SavedView]
// names the same lists.
var viewedLists = []string{
	"alerts",
	"audit",
	"audit/rejects",
	"members",
	"notifications/deliveries",
	"notifications/policies",
	"properties",
	"tokens",
}

// SavedView is a saved view of a list: its filters and sort order under a name.
type SavedView struct {
	ID        string   `json:"id"`
	List      string   `json:"list" enum:"alerts,audit,audit/rejects,members,notifications/deliveries,notifications/policies,properties,tokens" doc:"The list, by its path below the account's"`
	Name      string   `json:"name"`
	Query     string   `json:"query" doc:"The query of the list's URL: its filters and sort order"`
	Shared    bool     `json:"shared" doc:"Everyone in the account sees the view; other views are visible to their owner only"`
	CreatedOn web.Time `json:"created_on"`
}

// SavedViewCreate is the request body for a new view.
type SavedViewCreate struct {
	List   string `json:"list" enum:"alerts,audit,audit/rejects,members,notifications/deliveries,notifications/policies,properties,tokens" doc:"The list, by its path below the account's"`
	Name   string `json:"name" minLength:"1" maxLength:"80" doc:"Unique among your views of the list, or among its shared views"`
	Query  string `json:"query,omitempty" maxLength:"4096" doc:"The query of the list's URL: its filters and sort order"`
	Shared bool   `json:"shared,omitempty" doc:"Everyone in the account sees the view; needs the permission accounts:write"`
}

const viewColumns = `id, account_id, list, owner_id, name, query, created_at`

func scanView(row db.Row) (v SavedView, err error) {
	var accountID, owner string
	var created int64
	err = row.Scan(
		&v.ID,
		&accountID,
		&v.List,
		&owner,
		&v.Name,
		&v.Query,
		&created,
	)
	v.Shared = owner == ""
	v.CreatedOn = moment(created)
	return v, err
}

// recorded are the values of a shared view in the audit log.
func (v SavedView) recorded() map[string]any {
	return map[string]any{"list": v.List, "query": v.Query}
}

// noViews reports principals without saved views: the sessions of customers' pages have no identity that lasts.
func noViews(by *web.Principal) bool { return by == nil || by.Kind == web.KindPortal }

// Views lists the views that a principal has saved and those that the account shares, by name. list selects one list,
// "" all of them.
func (f *Feature) Views(ctx context.Context, by *web.Principal, accountID, list string) (views []SavedView, err error) {
	if noViews(by) {
		return []SavedView{}, nil
	}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		views, err = db.Collect(ctx, tx, scanView, `SELECT `+viewColumns+` FROM list_view
			WHERE account_id = $1 AND ($2 = '' OR list = $2) AND owner_id IN ('', $3)
			ORDER BY name, id LIMIT $4`, accountID, list, by.ID, 2*maxViews*len(viewedLists))
		return err
	})
	return views, err
}

// CreateView saves a view for a principal, or for everyone in the account.
func (f *Feature) CreateView(
	ctx context.Context, by *web.Principal, accountID string, spec SavedViewCreate,
) (SavedView, error) {
	v := SavedView{
		ID:        id.At(f.now()),
		List:      spec.List,
		Name:      strings.TrimSpace(spec.Name),
		Shared:    spec.Shared,
		CreatedOn: moment(f.micros()),
	}
	var err error
	if v.Query, err = checkView(v, spec.Query); err != nil {
		return v, err
	}
	if noViews(by) {
		return v, errs.New(errs.CodeForbidden, "customers' sessions have no saved views")
	}
	owner := by.ID
	if v.Shared {
		owner = ""
		if !by.Can(accountID, AccountsWrite) {
			return v, errs.At(errs.CodeForbidden, "/shared", "sharing a view needs the permission %s", AccountsWrite)
		}
	}
	err = f.change(ctx, func(tx *db.Tx) error {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		count := 0
		if err := tx.QueryRow(ctx, `SELECT count(*) FROM list_view
			WHERE account_id = $1 AND list = $2 AND owner_id = $3`, accountID, v.List, owner).Scan(&count); err != nil {
			return err
		}
		if count >= maxViews {
			return errs.At(errs.CodeLimit, "/name", "the list has %d saved views, which is the most it may have", count)
		}
		added, err := tx.Exec(ctx, `INSERT INTO list_view (`+viewColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (account_id, list, owner_id, name) DO NOTHING`,
			v.ID, accountID, v.List, owner, v.Name, v.Query, v.CreatedOn.Micros())
		if err != nil {
			return err
		}
		if added == 0 {
			return errs.At(errs.CodeExists, "/name", "a view of this list has this name already")
		}
		if !v.Shared {
			return nil
		}
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, "create", "saved_view", v.ID, v.Name).Changed(nil, v.recorded()))
	})
	return v, err
}

// checkView checks a view and returns its query in one form, without the position in the list.
func checkView(v SavedView, query string) (string, error) {
	var faults errs.List
	if !slices.Contains(viewedLists, v.List) {
		faults = append(faults, errs.At(errs.CodeInvalid, "/list", "list must be one of %s", strings.Join(viewedLists, ", ")))
	}
	if v.Name == "" || utf8.RuneCountInString(v.Name) > maxViewName || strings.ContainsFunc(v.Name, unicode.IsControl) {
		faults = append(faults, errs.At(errs.CodeInvalid, "/name",
			"name must have 1 to %d characters, none of them control characters", maxViewName))
	}
	parameters, err := url.ParseQuery(query)
	if err != nil || len(query) > maxViewQuery {
		faults = append(faults, errs.At(errs.CodeInvalid, "/query", "query must be the query of a URL with at most %d bytes",
			maxViewQuery))
	}
	parameters.Del("cursor")
	return parameters.Encode(), faults.Or()
}

// loadView reads a view of a principal, or a shared one.
func loadView(ctx context.Context, tx *db.Tx, by *web.Principal, accountID, viewID string) (v SavedView, err error) {
	if noViews(by) {
		return v, noView()
	}
	v, err = scanView(tx.QueryRow(ctx, `SELECT `+viewColumns+` FROM list_view
		WHERE account_id = $1 AND id = $2 AND owner_id IN ('', $3)`, accountID, viewID, by.ID))
	return v, missing(err, "view")
}

func noView() *errs.Error { return errs.New(errs.CodeNotFound, "there is no such view") }

// View reads a view of a principal, or a shared one.
func (f *Feature) View(ctx context.Context, by *web.Principal, accountID, viewID string) (v SavedView, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		v, err = loadView(ctx, tx, by, accountID, viewID)
		return err
	})
	return v, err
}

// DeleteView deletes a view of a principal, or a shared one, and returns it.
func (f *Feature) DeleteView(
	ctx context.Context, by *web.Principal, accountID, viewID string,
) (v SavedView, err error) {
	err = f.change(ctx, func(tx *db.Tx) error {
		if v, err = loadView(ctx, tx, by, accountID, viewID); err != nil {
			return err
		}
		if v.Shared && !by.Can(accountID, AccountsWrite) {
			return errs.New(errs.CodeForbidden, "deleting a shared view needs the permission %s", AccountsWrite)
		}
		deleted, err := tx.Exec(ctx, `DELETE FROM list_view WHERE id = $1`, v.ID)
		if err != nil || deleted == 0 || !v.Shared {
			return err
		}
		return f.record(ctx, tx, by,
			event.NewAudit(accountID, "delete", "saved_view", v.ID, v.Name).Changed(v.recorded(), nil))
	})
	return v, err
}

// deleteViewsOf deletes the views that a member or token has saved in an account.
func deleteViewsOf(ctx context.Context, tx *db.Tx, accountID, ownerID string) error {
	_, err := tx.Exec(ctx, `DELETE FROM list_view WHERE account_id = $1 AND owner_id = $2`, accountID, ownerID)
	return err
}

// AddViews adds the visitor's views and the shared ones to the bar of a list, with the form that saves one.
func (f *Feature) AddViews(ctx context.Context, who *web.Principal, accountID, list string, bar *ui.Filters) error {
	if noViews(who) {
		return nil
	}
	views, err := f.Views(ctx, who, accountID, list)
	if err != nil {
		return err
	}
	bar.SaveView = viewsPath(accountID) + "?list=" + url.QueryEscape(list)
	bar.ShareViews = who.Can(accountID, AccountsWrite)
	for _, v := range views {
		shown := ui.View{
			Name:    v.Name,
			Href:    viewHref(accountID, v),
			Shared:  v.Shared,
			Current: v.Query == bar.RawQuery,
		}
		if !v.Shared || bar.ShareViews {
			shown.DeleteHref = viewsPath(accountID) + "/" + v.ID + "/delete"
		}
		bar.Views = append(bar.Views, shown)
	}
	return nil
}

func viewsPath(accountID string) string { return AccountPath(accountID) + "/views" }

// viewHref is the URL of a list with the filters of a view.
func viewHref(accountID string, v SavedView) string {
	href := AccountPath(accountID) + "/" + v.List
	if v.Query != "" {
		href += "?" + v.Query
	}
	return href
}
