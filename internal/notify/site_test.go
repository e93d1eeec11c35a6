package notify_test

import (
	"context"
	"testing"
	"time"

	accounts "github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	testsite "github.com/belfryhq/belfry/test/site"
)

// site is the dashboard with the feature's pages. An owner of its account visits it.
type site struct {
	*world
	installation *testsite.Site
	accounts     *db.DB
	owner        *testsite.Visitor
	base         string // of the account's pages
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	var err error
	s.accounts, err = db.Open(t.Context(), db.Config{
		Feature: "account",
		DataDir: t.TempDir(),
		Schemas: []db.Schema{bus.Schema(), accounts.Schema()},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.accounts.Close() })
	s.installation = testsite.New(t, testsite.Config{DB: s.accounts, Nav: navigation()})
	account := s.installation.Account("Acme production")
	s.base = "/accounts/" + account
	ana, err := s.directory().AddMember(t.Context(), feature.Belfry(), account,
		"ana@acme.example", "Ana Lima", accounts.Owner)
	if err != nil {
		t.Fatal(err)
	}
	s.owner = s.installation.Visitor().SignIn(ana.SignInURL)
	s.world = newWorld(t, "", func(deps *notify.Config) {
		deps.Account = s.directory().ResolveAccount
		deps.Member = s.directory().IsMember
		deps.Recipients = s.recipients
		deps.Zone = func(ctx context.Context, account, ref string) (notify.Zone, error) {
			z, err := s.directory().FindZone(ctx, account, ref)
			return notify.Zone{ID: z.ID, Name: z.Name, Environment: string(z.Environment)}, err
		}
		deps.Changes = func(_ context.Context, q notify.ChangesQuery) ([]notify.Change, int, error) {
			return []notify.Change{
				{
					EventID:   "e1",
					At:        q.Until.Add(-43 * time.Second),
					Actor:     "Ana Lima",
					Summary:   "Ana Lima lowered the payment timeout of shop.example from 5 s to 300 ms",
					URL:       "/accounts/" + q.Account + "/audit/events/e1",
					WhyListed: "the same property, 43 s before",
				},
				{
					EventID:   "e2",
					At:        q.Until.Add(-6 * time.Minute),
					Actor:     "terraform",
					Summary:   "terraform <b>changed</b> 40 resources",
					URL:       "/accounts/" + q.Account + "/audit/events/e2",
					WhyListed: "the same account",
				},
			}, 3, nil
		}
	})
	s.account = account
	s.installation.Add(s.n.Pages)
	return s
}

func navigation() []testsite.Entry {
	const account = "{account_id}"
	return []testsite.Entry{
		{Section: "inbox", Label: "Inbox", Path: notify.InboxPagePath(account), Icon: "inbox"},
		{Section: "alerts", Label: "Alerts", Path: notify.AlertsPath(account), Icon: "siren"},
		{Section: "notifications", Label: "Notifications", Path: notify.NotificationsPath(account), Icon: "bell"},
	}
}

func (s *site) directory() *accounts.Feature { return s.installation.Accounts }

// zones are the ids of two properties of the account, by name.
func (s *site) zones() map[string]string {
	s.t.Helper()
	ids := map[string]string{}
	for _, name := range []string{"shop.example", "blog.example"} {
		id, _, err := s.directory().EnsureZone(s.t.Context(), s.account, name)
		if err != nil {
			s.t.Fatal(err)
		}
		ids[name] = id
	}
	return ids
}

// reopen starts the feature again with changed deps, on another server for the same sessions.
func (s *site) reopen() {
	s.t.Helper()
	s.start()
	s.installation = testsite.New(s.t, testsite.Config{DB: s.accounts, Nav: navigation()})
	s.installation.Add(s.n.Pages)
	s.owner.URL = s.installation.URL // cookies are those of the host, whatever the port
}

// get and post visit a page of the account, as its owner.
func (s *site) get(path string) *testsite.Page {
	s.t.Helper()
	return s.owner.Get(s.base + path)
}

func (s *site) post(path string, fields ...string) *testsite.Page {
	s.t.Helper()
	return s.owner.Post(s.base+path, fields...)
}
