package page

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Views adds to the bar of a list the views that the visitor has saved or that the account shares, and the form that
// saves one. list is the path of the list below the account's, such as "audit/rejects".
type Views func(ctx context.Context, who *web.Principal, accountID, list string, bar *ui.Filters) error

// Views adds the saved views of a list of the visit's account to its bar. Call it when the bar is complete.
func (v *Visit) Views(list string, bar *ui.Filters) error {
	if v.set.kit.cfg.Views == nil || v.Account == "" {
		return nil
	}
	return v.set.kit.cfg.Views(v.Context(), v.Who, v.Account, list, bar)
}

// Keys of the messages after forms that lead to a page of any feature.
const (
	ViewSaved   = "view-saved"
	ViewDeleted = "view-deleted"
)

var commonFlashes = Flashes{
	ViewSaved:   "View saved.",
	ViewDeleted: "View deleted.",
}

// flash is the message of a key; "" when there is none.
func (s *Set) flash(key string) string {
	if text, own := s.flashes[key]; own {
		return text
	}
	return commonFlashes[key]
}
