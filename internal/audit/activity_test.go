package audit_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func TestAnActivityDecodesOnlyItsEvents(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.Zones = map[string]string{"shop.example": "z-1"}
		policy := func(id, verb, policyID string) string {
			return minimal(members{
				"id":       id,
				"action":   members{"type": verb},
				"actor":    members{"type": "user", "id": "u-ana", "name": "Ana Lima"},
				"resource": members{"product": "belfry", "type": "policy", "id": policyID, "name": "On call"},
				"zone":     "shop.example",
			})
		}
		w.Append(accountA, policy("made", "create", "p-1"),
			// A product's resource of the same type and id is another object.
			minimal(members{"id": "other", "resource": members{"product": "dns", "type": "policy", "id": "p-1"}}),
			minimal(members{"id": "by-token", "actor": members{"type": "token", "id": "t-1", "name": "ci"}}))
		w.FillTo(accountA, 9000)
		for i := range 30 {
			w.Append(accountA, policy(fmt.Sprintf("change-%d", i), "update", "p-2"))
		}
		w.Append(accountA, policy("seen", "view", "p-3"))
		w.Append(accountB, policy("foreign", "update", "p-1"))

		reader := &web.Principal{AccountID: accountA, Permissions: web.Permissions{account.AuditRead}}
		f, opened := audit.NewActivity(w.DB, 10*time.Second)
		const base = "/accounts/" + accountA + "/audit"
		for _, c := range []struct {
			name  string
			about feature.About
			who   *web.Principal
			rows  int
			first string // path of the event
			all   string
			most  int64 // events that may be decoded
		}{
			{
				"an old object", feature.About{ResourceType: "policy", ResourceID: "p-1"}, reader,
				1, "made", "?resource_id=p-1&resource_product=belfry&resource_type=policy", 1,
			},
			{
				"many changes", feature.About{ResourceType: "policy", ResourceID: "p-2"}, reader,
				5, "change-29", "?resource_id=p-2&resource_product=belfry&resource_type=policy", 21,
			},
			{
				"only reads", feature.About{ResourceType: "policy", ResourceID: "p-3"}, reader,
				0, "", "?resource_id=p-3&resource_product=belfry&resource_type=policy&views=shown", 1,
			},
			{"an actor", feature.About{Actor: "u-ana"}, reader, 5, "change-29", "?actor_id=u-ana", 21},
			{"a property", feature.About{Zone: "z-1"}, reader, 5, "change-29", "?zone=z-1", 21},
			{"a token", feature.About{Token: "t-1"}, reader, 1, "by-token", "?actor_id=t-1", 1},
			{"nothing", feature.About{ResourceType: "policy"}, reader, 0, "", "", 0},
			{"without the permission", feature.About{Zone: "z-1"}, &web.Principal{AccountID: accountA}, 0, "", "", 0},
		} {
			before := opened()
			got, err := f.Activity(t.Context(), c.who, accountA, c.about, 5)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			first := ""
			if len(got.Rows) > 0 {
				first = got.Rows[0].Href
			}
			want := c.first
			if want != "" {
				want = base + "/events/" + want
			}
			all := c.all
			if all != "" {
				all = base + all
			}
			if len(got.Rows) != c.rows || first != want || got.All != all || opened()-before > c.most {
				t.Errorf("%s: %d rows, the first %q, all %q, %d events decoded; want %d, %q, %q, at most %d",
					c.name, len(got.Rows), first, got.All, opened()-before, c.rows, want, all, c.most)
			}
		}

		got, err := f.Activity(t.Context(), reader, accountA, feature.About{ResourceType: "policy", ResourceID: "p-1"}, 5)
		if err != nil || got.Rows[0].Sentence.String() != "Ana Lima created policy On call in shop.example" ||
			got.Rows[0].Sentence[0].Href != base+"?actor_id=u-ana" {
			t.Errorf("the row is %+v, %v", got.Rows, err)
		}
	})
}
