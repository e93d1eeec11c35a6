// Package page is the kit for pages of the dashboard. The application makes one
// [Kit]; each feature parses its templates into a [Set] and registers handlers:
//
//	request -> Kit: session, account, permission -> Handler(*Visit) -> Show | Redirect
//	form    -> Parse -> Do -> Then (redirect), or with faults -> Render (the form again)
//
// The kit does not know accounts, roles or the navigation: the application hands
// these over as functions in [Config]. A feature's pages look like this:
//
//	//go:embed page_*.html
//	var pageFiles embed.FS
//
//	type pages struct {
//		*Feature
//		*page.Set
//	}
//
//	// flashes are shown once on the page after a form.
//	var flashes = page.Flashes{"note-created": "Note created.", "note-deleted": "Note deleted."}
//
//	// Pages registers the feature's pages.
//	func (f *Feature) Pages(kit *page.Kit) error {
//		set, err := kit.Parse(pageFiles, flashes)
//		if err != nil {
//			return err
//		}
//		p := &pages{f, set}
//		p.Get("/accounts/{account_id}/notes", NotesRead, p.showNotes)
//		p.Post("/accounts/{account_id}/notes", NotesWrite, page.Form[noteForm]{
//			Parse: parseNoteForm, Do: p.createNote, Fields: []string{"text"}, Render: p.renderNotes, Then: p.noteCreated,
//		}.Handle)
//		p.Confirm("/accounts/{account_id}/notes/{note_id}/delete", NotesWrite, p.confirmDelete, p.deleteNote)
//		return nil
//	}
//
//	// notesPage is the data of the template "notes".
//	type notesPage struct {
//		Notes page.List[Note]
//		Form  noteForm
//	}
//
//	type noteForm struct {
//		Text   string
//		Faults ui.Faults
//	}
//
//	func (p *pages) showNotes(v *page.Visit) error { return p.renderNotes(v, &noteForm{}, ui.Faults{}) }
//
//	func (p *pages) renderNotes(v *page.Visit, f *noteForm, faults ui.Faults) error {
//		list, err := page.ReadList(v, 100, noteKey, func(after web.Keyset, limit int) ([]Note, error) {
//			return p.Notes(v.Context(), v.Account, after.ID, limit)
//		})
//		if err != nil {
//			return err
//		}
//		f.Faults = faults
//		return v.Show(page.View{
//			Section:  "notes",
//			Title:    "Notes",
//			Template: "notes",
//			Status:   faults.Status,
//			Data:     notesPage{list, *f},
//		})
//	}
//
//	func parseNoteForm(v *page.Visit) (noteForm, error) { return noteForm{Text: v.Field("text", 4096)}, nil }
//
//	func (p *pages) createNote(v *page.Visit, f *noteForm) error {
//		return p.CreateNote(v.Context(), v.Who, v.Account, f.Text)
//	}
//
//	func (p *pages) noteCreated(v *page.Visit, _ *noteForm) error {
//		return v.Redirect(notesPath(v.Account), "note-created")
//	}
//
//	func (p *pages) confirmDelete(v *page.Visit) (page.Confirm, error) {
//		return page.Confirm{Section: "notes", Title: "Delete the note?", Text: "This cannot be undone.",
//			Label: "Delete the note", Back: notesPath(v.Account), Danger: true}, nil
//	}
//
// An error that a handler returns becomes the page of that error. Template data
// are structs, never maps: a template that names a field that is not there fails.
package page

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Handler answers an authorised visit. An error becomes its page.
type Handler func(v *Visit) error

// Visit is one authorised request for a page.
type Visit struct {
	Writer  http.ResponseWriter
	Request *http.Request
	Who     *web.Principal // nil on a public page
	Account string         // id; "" on pages outside of accounts
	set     *Set
}

// Context is the context of the request, with its principal and account.
func (v *Visit) Context() context.Context { return v.Request.Context() }

// Can reports whether the visitor has a permission in the account of the visit,
// or in the installation where the visit has no account.
func (v *Visit) Can(permission string) bool { return v.Who.Can(v.Account, permission) }

// Framed reports whether the page is shown inside another one, such as a customer
// portal: without navigation.
func (v *Visit) Framed() bool { return v.shell("").Framed }

// PathValue is a part of the path by the name that its pattern gives it.
func (v *Visit) PathValue(name string) string { return v.Request.PathValue(name) }

// Query is a parameter of the URL; "" when it is not there.
func (v *Visit) Query(name string) string { return v.Request.URL.Query().Get(name) }

// Field is a field of the form that was sent, without surrounding spaces and cut
// to at most limit bytes.
func (v *Visit) Field(name string, limit int) string {
	return strings.TrimSpace(Cut(v.Request.PostFormValue(name), limit))
}

// Fields are all values of a field that may be sent more than once.
func (v *Visit) Fields(name string) []string {
	_ = v.Request.PostFormValue(name) // parses the form; one that cannot be read is empty
	return v.Request.PostForm[name]
}

// Cut shortens s to at most limit bytes, at the end of a character.
func Cut(s string, limit int) string {
	if len(s) > limit {
		s = s[:limit]
	}
	return strings.ToValidUTF8(s, "")
}

// View is a page to show.
type View struct {
	Section  string // the current entry of the navigation
	Title    string // in the tab
	Template string
	Data     any      // a struct
	Status   int      // of HTTP; 0 = 200
	Modules  []string // scripts of the feature ("x/FEATURE/file.js")
	Plain    bool     // without navigation

	// Public is a page for everybody, which caches may keep for MaxAge; Name and Feeds are those of [ui.Shell]. It
	// shows nothing of the visitor.
	Public bool
	MaxAge time.Duration
	Name   string
	Feeds  []ui.Link

	// Flash is a message that this page shows; nil = the message of the redirect
	// that led here, if there is one.
	Flash *ui.Flash
}

// Show answers with a page, or with the fragment that htmx asks for (see
// [ui.Page.Render]).
func (v *Visit) Show(o View) error { return v.show(v.set.templates, o) }

func (v *Visit) show(templates *ui.Page, o View) error {
	shell := ui.Shell{}
	if !ui.Fragment(v.Request) { // a fragment has no frame
		shell = v.shell(o.Section)
	}
	shell.Title = o.Title
	shell.Status = o.Status
	shell.Modules = append(shell.Modules, o.Modules...)
	if o.Plain {
		shell.Face = ui.Plain
	}
	if o.Public {
		shell.Face = ui.Public
		shell.Name = o.Name
		shell.Feeds = o.Feeds
		shell.MaxAge = o.MaxAge
	}
	if text := v.set.flash(ui.FlashKey(v.Request)); text != "" && o.MaxAge == 0 {
		shell.Flash = &ui.Flash{Tone: ui.Good, Text: text}
	}
	if o.Flash != nil {
		shell.Flash = o.Flash
	}
	return templates.Render(v.Writer, v.Request, shell, o.Template, o.Data)
}

func (v *Visit) shell(section string) ui.Shell {
	if v.Who == nil {
		return ui.Shell{Face: ui.Plain}
	}
	return v.set.kit.cfg.Shell(v.Request, v.Who, v.Account, section)
}

// Redirect answers a form: the browser gets path next. flash is the key of the
// message that the page there shows once; "" shows none.
func (v *Visit) Redirect(path, flash string) error {
	if flash != "" && v.set.flash(flash) == "" {
		return fmt.Errorf("page: no flash message has the key %q", flash)
	}
	return ui.Redirect(v.Writer, v.Request, path, flash)
}

// Confirm is the page that asks before an action that ends something, reaches
// people or changes what a receiver must know. A link leads to it, so that it
// works without scripts.
type Confirm struct {
	Section string // the current entry of the navigation
	Title   string // a question
	Text    string // the consequences
	Label   string // of the button
	Back    string // path that leads back
	Danger  bool   // the action cannot be undone
}

// confirmPage is the data of the template "confirm-page".
type confirmPage struct {
	Confirm
	Action string // path that the form is sent to: that of the page
}

func (v *Visit) confirm(c Confirm) error {
	return v.show(v.set.kit.own, View{
		Section:  c.Section,
		Title:    c.Title,
		Template: "confirm-page",
		Data:     confirmPage{c, v.Request.URL.Path},
	})
}
