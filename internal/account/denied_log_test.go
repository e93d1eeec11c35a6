package account_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestRefusedRequestsAreRecordedOnceAMinuteInTheOwnAccount(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		own, foreign := f.account("own"), f.account("foreign")
		id, token := f.token(own, "audit:read")
		_, cookie := f.member(own, "ana@example.com", "auditor")
		for range 3 {
			f.call(token, "GET", "/accounts/"+own, nil).fails(403, errs.CodeForbidden)
			f.call(token, "GET", "/accounts/"+foreign, nil).fails(403, errs.CodeForbidden)
		}
		f.call(cookie, "GET", "/accounts/"+foreign+"/zones", nil).fails(403, errs.CodeForbidden)
		f.call("", "GET", "/accounts/"+own, nil).fails(401, errs.CodeAuthentication)
		f.later(time.Minute)
		f.call(token, "GET", "/accounts/"+own, nil).fails(403, errs.CodeForbidden)
		f.drained()
		f.drained() // and not once more
		var denied []event.Audit
		for _, e := range f.outbox() {
			if e.Action.Result != "failure" {
				continue
			}
			if e.Account != own || e.Action.Type != "access" || e.Resource.Type != "route" {
				t.Errorf("%+v", e)
			}
			denied = append(denied, e)
		}
		counts := map[string]float64{}
		for _, e := range denied {
			counts[e.Actor.ID+" "+e.Resource.ID] += e.Metadata["count"].(float64)
		}
		if len(denied) != 3 || counts[id+" GET /client/v4/accounts/{account_id}"] != 7 {
			t.Fatal(len(denied), counts)
		}
	})
}
