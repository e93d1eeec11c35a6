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
		made := f.call(root, "POST", path, object{"email": "ana@acme.example", "role": "owner", "since": "2026-01-02T03:04:05Z"}).ok()
		if got := f.call(token, "GET", path+"/"+made.text("id"), nil).ok().text("created_on"); got != "2026-01-02T03:04:05.000000Z" && got != "2026-01-02T03:04:05Z" {
			t.Errorf("member since %s", got)
		}
		f.call(token, "POST", path, object{"email": "ben@acme.example", "role": "viewer", "since": "2026-01-02T03:04:05Z"}).fails(403, int(errs.CodeForbidden))
		ahead := time.UnixMicro(f.now.Load()).Add(time.Hour).UTC().Format(time.RFC3339)
		f.call(root, "POST", path, object{"email": "ben@acme.example", "role": "viewer", "since": ahead}).fails(400, int(errs.CodeOutOfRange))
	})
}
