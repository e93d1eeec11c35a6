package notify

import (
	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

func (p *pages) addNotes() {
	const base = "/accounts/{account_id}/alerts/{alert_id}/notes"
	p.Get(base+"/new", account.NotificationsRead, p.showNewNote)
	p.Post(base, account.NotificationsRead, page.Form[noteForm]{
		Parse:  p.parseNote,
		Do:     p.createNote,
		Fields: []string{"text"},
		Render: p.renderNote,
		Then:   p.noteCreated,
	}.Handle)
	p.Confirm(base+"/{note_id}/delete", account.NotificationsRead, p.confirmDeleteNote, p.deleteNote)
}

// noteForm is the input for a note, and the data of the template "note-new".
type noteForm struct {
	Alert  string // title
	Href   string // of the alert's page
	Text   string
	Faults ui.Faults

	alertID string
}

// noteOf is an empty form for the alert of the path.
func (p *pages) noteOf(v *page.Visit) (noteForm, error) {
	if !mayAck(v.Who, v.Account) {
		return noteForm{}, noAck()
	}
	a, name, err := p.named(v.Context(), v.Account, v.PathValue("alert_id"))
	return noteForm{Alert: name, Href: alertPath(v.Account, a.ID), alertID: a.ID}, err
}

// noteLine is a note in the timeline. Who may delete it gets the link to the question.
func noteLine(accountID string, who *web.Principal, d *Decision, one AlertNote) happening {
	line := happening{
		At:       one.CreatedAt.Time,
		Icon:     "message-square",
		Sentence: one.Author + " wrote a note",
		Note:     one.Text,
	}
	if mayDeleteNote(who, accountID, one) {
		line.Href = alertPath(accountID, d.ID) + "/notes/" + one.ID + "/delete"
	}
	return line
}

func (p *pages) showNewNote(v *page.Visit) error {
	f, err := p.noteOf(v)
	if err != nil {
		return err
	}
	return p.renderNote(v, &f, ui.Faults{})
}

func (p *pages) renderNote(v *page.Visit, f *noteForm, faults ui.Faults) error {
	f.Faults = faults
	return v.Show(page.View{
		Section:  "alerts",
		Title:    "Add a note",
		Template: "note-new",
		Status:   faults.Status,
		Data:     f,
	})
}

func (p *pages) parseNote(v *page.Visit) (noteForm, error) {
	f, err := p.noteOf(v)
	f.Text = v.Field("text", 8*maxNote)
	return f, err
}

func (p *pages) createNote(v *page.Visit, f *noteForm) error {
	_, err := p.CreateNote(v.Context(), v.Who, v.Account, f.alertID, f.Text)
	return err
}

func (p *pages) noteCreated(v *page.Visit, f *noteForm) error {
	return v.Redirect(f.Href, "note-created")
}

func (p *pages) confirmDeleteNote(v *page.Visit) (page.Confirm, error) {
	alertID := v.PathValue("alert_id")
	one, err := p.Note(v.Context(), v.Account, alertID, v.PathValue("note_id"))
	return page.Confirm{
		Section: "alerts",
		Title:   "Delete the note of " + one.Author + "?",
		Text:    "“" + one.Text + "”",
		Label:   "Delete the note",
		Back:    alertPath(v.Account, alertID),
		Danger:  true,
	}, err
}

func (p *pages) deleteNote(v *page.Visit) error {
	alertID := v.PathValue("alert_id")
	if err := p.DeleteNote(v.Context(), v.Who, v.Account, alertID, v.PathValue("note_id")); err != nil {
		return err
	}
	return v.Redirect(alertPath(v.Account, alertID), "note-deleted")
}
