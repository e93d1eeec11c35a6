package notify_test

import (
	"context"
	"testing"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/notify"
)

// recipients are the active members behind a member's id or role:ROLE.
func (s *site) recipients(ctx context.Context, account, ref string) (found []notify.Recipient, err error) {
	list, err := s.directory().Members(ctx, account, "", 100)
	for _, m := range list {
		if m.Status == "active" && (m.ID == ref || "role:"+string(m.Role) == ref) {
			found = append(found, notify.Recipient{ID: m.ID, Name: m.Name})
		}
	}
	return found, err
}

func TestTheInboxPageReadsSnoozesAndArchives(t *testing.T) {
	s := newSite(t)
	vic := s.installation.Member(s.account, "vic@acme.example", accounts.Viewer)
	vic.Get(s.base + "/inbox").Expect(200).Says("Your inbox is empty")
	s.policy(map[string]any{"name": "to viewers", "mechanisms": inboxOf("role:viewer")})
	s.alert(map[string]any{"id": "one", "event": "start", "zone": ""})

	members, err := s.recipients(t.Context(), s.account, "role:viewer")
	if err != nil || len(members) != 1 {
		t.Fatal(members, err)
	}
	until(t, "the entry is there", func() bool { return len(s.inbox(members[0].ID, "unread")) == 1 })
	id := s.inbox(members[0].ID, "unread")[0].ID
	vic.Get(s.base+"/inbox").Expect(200).Says("The shop is down", "unread", "Mark all as read")
	s.get("/inbox").Expect(200).Lacks("The shop is down") // the owner has another role

	act := func(act string) {
		t.Helper()
		vic.Post(s.base+"/inbox/chosen", "id", id, "act", act).RedirectsTo(s.base + "/inbox")
	}
	act("hour")
	vic.Get(s.base + "/inbox").Lacks("The shop is down")
	vic.Get(s.base+"/inbox?part=snoozed").Says("The shop is down", "until")
	act("wake")
	act("archive")
	vic.Get(s.base + "/inbox").Lacks("The shop is down")
	vic.Get(s.base + "/inbox?part=archived").Says("The shop is down")
	act("restore")
	vic.Post(s.base + "/inbox/" + id + "/open").RedirectsTo(s.base + "/alerts/one")
	vic.Get(s.base + "/inbox?part=unread").Lacks("The shop is down")
	act("unread")
	vic.Post(s.base + "/inbox/read-all").RedirectsTo(s.base + "/inbox")
	vic.Get(s.base + "/inbox?part=unread").Lacks("The shop is down")

	s.post("/inbox/" + id + "/open").Expect(404) // of another member
	s.post("/inbox/chosen", "id", id, "act", "archive")
	vic.Get(s.base + "/inbox").Says("The shop is down")
	vic.Post(s.base+"/inbox/chosen", "id", id, "act", "nonsense").Expect(400)
	vic.PostFrom("cross-site", s.base+"/inbox/chosen", "id", id, "act", "read").Expect(403)
	vic.Get(s.base + "/inbox?part=nonsense").Expect(400)
	eve := s.installation.Member(s.installation.Account("Globex"), "eve@globex.example", accounts.Owner)
	eve.Get(s.base + "/inbox").Expect(404)
}

func TestAPolicysPagesShowItsInboxes(t *testing.T) {
	s := newSite(t)
	page := s.post("/notifications/policies", "name", "To the owners", "alert_type", "shop_down", "enabled", "on",
		"inbox", "role:owner")
	s.owner.Get(page.Location).Expect(200).Says("Inbox of the role owner")
	s.get("/notifications").Expect(200).Says("Inbox of the role owner")
	s.post("/notifications/policies", "name", "Nobody", "alert_type", "shop_down", "inbox", "role:nonsense").
		Expect(400).Says("is not the id of a member, role:ROLE of a role that a member has, or user:ID")
}
