package account

import (
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addPortalSessions() {
	const base = "/accounts/{account_id}/members/portal"
	p.Get(base, MembersRead, p.showPortalSessions)
	p.Post(base+"/{session_id}/end", MembersWrite, p.endPortalSession)
}

func portalPath(accountID string) string { return MembersPath(accountID) + "/portal" }

// portalSessionView is a customer's session with its links.
type portalSessionView struct {
	PortalSession
	Browser string
	Events  string // audit log: what the user did
}

// portalSessionsPage is the data of the template "portal-sessions".
type portalSessionsPage struct {
	Path     string
	Back     string
	Rows     []portalSessionView
	Next     string
	CanWrite bool
}

func (p *pages) showPortalSessions(v *page.Visit) error {
	list, err := page.ReadList(v, pageSize, portalSessionKey, func(after web.Keyset, limit int) ([]PortalSession, error) {
		return p.PortalSessions(v.Context(), v.Account, after.ID, limit)
	})
	if err != nil {
		return err
	}
	rows := page.Map(list, func(s PortalSession) portalSessionView {
		who := (&Portal{Member: s.Member}).principal(v.Account, s.ID)
		return portalSessionView{
			PortalSession: s,
			Browser:       browserName(s.UserAgent),
			Events:        auditLink(v, "actor_id", who.ID),
		}
	})
	return v.Show(page.View{
		Section:  "members",
		Title:    "Customer sessions",
		Template: "portal-sessions",
		Data: portalSessionsPage{
			Path:     portalPath(v.Account),
			Back:     MembersPath(v.Account),
			Rows:     rows.Items,
			Next:     rows.Next,
			CanWrite: v.Can(MembersWrite),
		},
	})
}

func (p *pages) endPortalSession(v *page.Visit) error {
	if err := p.RevokePortalSession(v.Context(), v.Who, v.Account, v.PathValue("session_id")); err != nil {
		return err
	}
	return v.Redirect(portalPath(v.Account), "session-ended")
}
