package notify_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// mailbox is a channel of mail that keeps the addresses to which it sent.
type mailbox struct {
	mu   sync.Mutex // guards sent
	sent []string
}

func (*mailbox) Traits() notify.Traits { return notify.Traits{Type: notify.KindEmail} }

func (*mailbox) Preview(*notify.Message) (notify.Rendered, error) { return notify.Rendered{}, nil }

func (m *mailbox) Send(_ context.Context, message *notify.Message) delivery.Result {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, message.Address)
	return delivery.Result{Status: 250}
}

func (m *mailbox) to(address string) (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, a := range m.sent {
		if a == address {
			n++
		}
	}
	return n
}

// An account adds a stranger and accepts the invitation in their name: no alert
// mail goes there, neither by a new policy nor by one from before.
func TestAStrangersAddressNeverGetsAlertMail(t *testing.T) {
	s := newSite(t)
	box := &mailbox{}
	s.stop()
	const stranger = "stranger@victim.example"
	var confirmed atomic.Bool // for a moment, so that the policy can be made
	confirmed.Store(true)
	s.deps.Member = func(ctx context.Context, account, address string) (bool, error) {
		if address == stranger && confirmed.Load() {
			return true, nil
		}
		return s.directory().IsMember(ctx, account, address)
	}
	s.deps.Unconfirmed = s.directory().Unconfirmed
	s.deps.Channels = []notify.Channel{box}
	s.deps.Registerer = prometheus.NewRegistry()
	s.reopen()
	owner := &web.Principal{Kind: web.KindSystem, ID: "t", AccountID: s.account, Permissions: web.Permissions{"*"}}
	m, err := s.directory().AddMember(t.Context(), owner, s.account, stranger, "Stranger", accounts.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	s.installation.Visitor().SignIn(m.SignInURL)

	policy := s.policy(map[string]any{"mechanisms": map[string]any{"email": []any{map[string]string{"id": stranger},
		map[string]string{"id": "ana@acme.example"}}}})
	confirmed.Store(false)
	href := accounts.MembersPath(s.account) + "/" + m.ID
	note := stranger + ` is not confirmed yet, so no mail is sent to it. ` +
		`<a href="` + href + `">Send the confirmation mail</a>`
	s.get("/notifications").Expect(200).Says(note)
	s.get("/notifications/policies/" + policy.ID).Expect(200).Says(note)
	if status, failures := s.call("acme", "POST", "/policies", map[string]any{"name": "New", "enabled": true,
		"alert_type": policy.AlertType,
		"mechanisms": map[string]any{"email": []any{map[string]string{"id": stranger}}}}, nil); status != 400 ||
		!strings.Contains(failures[0].Message, "is not confirmed yet") {
		t.Errorf("a policy for a stranger's address: %d %v", status, failures)
	}

	made := s.alert(map[string]any{})
	until(t, "the member's mail", func() bool { return box.to("ana@acme.example") == 1 })
	until(t, "the stranger's delivery", func() bool { return strings.Contains(s.states(made.ID), "not_sent") })
	if box.to(stranger) != 0 {
		t.Error("a mail was sent to the stranger")
	}
	if shown := s.get("/alerts/" + made.ID).Expect(200); !strings.Contains(shown.Body, stranger+" is not confirmed yet") {
		t.Error("the alert's page does not say why")
	}
}
