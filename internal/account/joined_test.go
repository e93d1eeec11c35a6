package account_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestOperatorsSaySinceWhenAMemberBelongsToAnAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		a := f.account("Acme")
		_, token := f.token(a, "*")
		path := "/accounts/" + a + "/members"
		made := f.call(root, "POST", path, object{
			"email": "ana@acme.example",
			"role":  "owner",
			"since": "2026-01-02T03:04:05Z",
		}).ok()
		since := f.call(token, "GET", path+"/"+made.text("id"), nil).ok().text("created_on")
		if since != "2026-01-02T03:04:05.000000Z" && since != "2026-01-02T03:04:05Z" {
			t.Errorf("member since %s", since)
		}
		f.call(token, "POST", path, object{
			"email": "ben@acme.example",
			"role":  "viewer",
			"since": "2026-01-02T03:04:05Z",
		}).fails(403, errs.CodeForbidden)
		ahead := time.UnixMicro(f.now.Load()).Add(time.Hour).UTC().Format(time.RFC3339)
		f.call(root, "POST", path, object{
			"email": "ben@acme.example",
			"role":  "viewer",
			"since": ahead,
		}).fails(400, errs.CodeOutOfRange)
	})
}
