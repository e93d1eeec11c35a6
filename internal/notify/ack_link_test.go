package notify_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/notify"

	accounts "github.com/belfryhq/belfry/internal/account"
)

var ackLink = regexp.MustCompile(`http://belfry\.test(/acknowledge\?t=([\w-]+))`)

// TestAnAlertIsAcknowledgedByTheLinkOfItsMessage visits the link without a session, as a person with a phone does.
func TestAnAlertIsAcknowledgedByTheLinkOfItsMessage(t *testing.T) {
	s := newSite(t)
	r := newReceiver(t)
	s.policy(map[string]any{"mechanisms": to(s.chat(r.URL))})
	s.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
	until(t, "the message arrives", func() bool { return s.states("a") == "start delivered" })
	all := r.all()
	link := ackLink.FindStringSubmatch(string(all[len(all)-1].Raw))
	if link == nil {
		t.Fatalf("the message has no link: %s", all[len(all)-1].Raw)
	}
	path, token := link[1], link[2]
	stranger := s.installation.Visitor()

	page := stranger.Get(path).Expect(200).Says("Acknowledge it to say", "chat (Mattermost)")
	if got := page.Header.Get("Referrer-Policy"); got != "same-origin" {
		t.Errorf("Referrer-Policy %q: the address has the token", got)
	}
	if d := s.decision("a"); !d.AckedAt.IsZero() {
		t.Error("opening the link acknowledged the alert; mail scanners open links")
	}
	stranger.Post("/acknowledge", "t", token).Expect(200).Says("Done.", "chat (Mattermost)")
	if d := s.decision("a"); d.AckedBy != "chat (Mattermost)" {
		t.Errorf("acknowledged by %q", d.AckedBy)
	}
	if got := strings.Join(s.records("alert"), " "); !strings.Contains(got, "acknowledge") {
		t.Errorf("recorded %s", got)
	}
	stranger.Get(path).Expect(200).Says("Acknowledged by")

	// Whoever reads the attempts lacks the permission.
	stored, err := json.Marshal(s.decision("a"))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(stored), token) {
		t.Error("the stored attempt has the token")
	}

	for _, bad := range []string{"", token[:len(token)-1], "A" + token[1:], strings.Repeat("x", 5000)} {
		stranger.Get("/acknowledge?t=" + bad).Expect(404).Says("Nothing was acknowledged.")
		stranger.Post("/acknowledge", "t", bad).Expect(404).Says("Nothing was acknowledged.")
	}
}

func TestALinkToAcknowledgeEndsWithItsTimeItsDestinationAndItsMember(t *testing.T) {
	s := newSite(t)
	bo, err := s.directory().AddMember(t.Context(), feature.Belfry(), s.account, "bo@acme.example", "Bo", accounts.Viewer)
	if err != nil {
		t.Fatal(err)
	}
	s.installation.Visitor().SignIn(bo.SignInURL) // confirms the address
	r := newReceiver(t)
	h := s.chat(r.URL)
	p := s.policy(map[string]any{"mechanisms": map[string]any{
		"webhooks": []map[string]string{{"id": h.ID}}, "email": []map[string]string{{"id": "bo@acme.example"}},
	}})
	s.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
	until(t, "the message arrives", func() bool { return strings.Contains(s.states("a"), "start delivered") })
	all := r.all()
	path := ackLink.FindStringSubmatch(string(all[len(all)-1].Raw))[1]
	stranger := s.installation.Visitor()
	stranger.Get(path).Expect(200)

	s.must("DELETE", "/policies/"+p.ID, nil, nil)
	s.must("DELETE", "/destinations/webhooks/"+h.ID, nil, nil)
	until(t, "the destination is not cached any more", func() bool { return stranger.Get(path).Status == 404 })

	h = s.chat(r.URL)
	s.policy(map[string]any{"mechanisms": to(h)})
	s.alert(map[string]any{"id": "b", "event": "start", "correlation_id": "d"})
	until(t, "the message arrives", func() bool { return s.states("b") == "start delivered" })
	all = r.all()
	path = ackLink.FindStringSubmatch(string(all[len(all)-1].Raw))[1]
	stranger.Get(path).Expect(200)
	s.stop()
	s.deps.Registerer = nil
	s.deps.Now = func() time.Time { return time.Now().Add(8 * 24 * time.Hour) }
	s.reopen()
	s.installation.Visitor().Get(path).Expect(404)
}

func TestAMailsLinkActsForItsMember(t *testing.T) {
	s := newSite(t)
	s.policy(map[string]any{"mechanisms": map[string]any{"email": []map[string]string{{"id": "ana@acme.example"}}}})
	s.alert(map[string]any{"id": "a", "event": "start", "correlation_id": "c"})
	until(t, "the mail is written", func() bool { return s.states("a") == "start kept" })
	body := s.decision("a").Deliveries[0].Attempts[0].Body
	if !strings.Contains(body, "Acknowledge: http://belfry.test/acknowledge?t=") || ackLink.MatchString(body) {
		t.Errorf("the stored mail has no link, or its token: %s", body)
	}
	preview := notify.Masked(&notify.Message{AckURL: "http://belfry.test/acknowledge?t=abc"}, "t=abc")
	if strings.Contains(preview, "abc") {
		t.Errorf("not masked: %s", preview)
	}
}
