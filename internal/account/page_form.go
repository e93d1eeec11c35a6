package account

import (
	"math"
	"net/http"

	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// saids are the sentences that are said once after a redirect, by the word that
// [ui.Redirect] carries.
var saids = map[string]string{
	"token-revoked":       "Token revoked: nobody can use it any more.",
	"member-role":         "Role changed. It holds from the member's next click.",
	"confirmation-sent":   "Confirmation mail sent. Its link is valid for 24 hours.",
	"member-removed":      "Member removed from this account.",
	"property-created":    "Property added. Events and traffic may name it now.",
	"property-changed":    "Property changed.",
	"property-deleted":    "Property deleted. What was recorded keeps its name.",
	"password":            "Password set. Your other sessions have ended.",
	"session-ended":       "Session ended.",
	"account-created":     "Account created.",
	"invitation-declined": "Invitation declined.",
	"operator-changed":    "Operator changed.",
	"operator-removed":    "Operator removed.",
}

// goTo answers a form with a redirect that the browser follows by GET.
func goTo(w http.ResponseWriter, r *http.Request, path, said string) error {
	return ui.Redirect(w, r, path, said)
}

func internal(err error) bool { return errs.KindOf(err) == errs.Internal }

// waiting is a wait in words: 40 s, 3 min.
func waiting(d time.Duration) string {
	if d >= 2*time.Minute {
		return strconv.Itoa(int(math.Ceil(d.Minutes()))) + " minutes"
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds()))) + " s"
}
