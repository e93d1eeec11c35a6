package account

import (
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// addViews registers the forms in the bar of every list. They lead back to the list; a view that cannot be saved is
// shown as a form of its own, with its fault.
func (p *pages) addViews() {
	const base = "/accounts/{account_id}/views"
	p.Post(base, web.AnyPermission, page.Form[viewForm]{
		Parse:  parseViewForm,
		Do:     p.createView,
		Fields: []string{"name", "shared"},
		Render: p.renderView,
		Then: func(v *page.Visit, f *viewForm) error {
			return v.Redirect(viewHref(v.Account, f.created), page.ViewSaved)
		},
	}.Handle)
	p.Confirm(base+"/{view_id}/delete", web.AnyPermission, p.confirmDeleteView, p.deleteView)
}

// viewForm is the input for a view, and the data of the template "view-new".
type viewForm struct {
	Action   string
	Back     string
	Name     string
	Query    string
	Shared   bool
	MayShare bool
	Faults   ui.Faults

	list    string
	created SavedView
}

func parseViewForm(v *page.Visit) (viewForm, error) {
	return viewForm{
		Name:   v.Field("name", 1024),
		Query:  v.Field("query", maxViewQuery+1),
		Shared: v.Field("shared", 8) != "",
		list:   v.Query("list"),
	}, nil
}

func (p *pages) createView(v *page.Visit, f *viewForm) (err error) {
	f.created, err = p.CreateView(v.Context(), v.Who, v.Account, SavedViewCreate{
		List:   f.list,
		Name:   f.Name,
		Query:  f.Query,
		Shared: f.Shared,
	})
	return err
}

func (p *pages) renderView(v *page.Visit, f *viewForm, faults ui.Faults) error {
	f.Action = v.Request.URL.RequestURI()
	f.Back = AccountPath(v.Account)
	if checked, err := checkView(SavedView{List: f.list, Name: "-"}, f.Query); err == nil {
		f.Back = viewHref(v.Account, SavedView{List: f.list, Query: checked})
	}
	f.MayShare = v.Can(AccountsWrite)
	f.Faults = faults
	return v.Show(page.View{Title: "Save the view", Template: "view-new", Status: faults.Status, Data: f})
}

func (p *pages) confirmDeleteView(v *page.Visit) (page.Confirm, error) {
	view, err := p.View(v.Context(), v.Who, v.Account, v.PathValue("view_id"))
	text := "Only you see this view. The list stays as it is."
	if view.Shared {
		text = "Everyone in the account sees this view. It is deleted for all of them; the list stays as it is."
	}
	return page.Confirm{
		Title:  "Delete the view " + view.Name + "?",
		Text:   text,
		Label:  "Delete the view",
		Back:   viewHref(v.Account, view),
		Danger: true,
	}, err
}

func (p *pages) deleteView(v *page.Visit) error {
	view, err := p.DeleteView(v.Context(), v.Who, v.Account, v.PathValue("view_id"))
	if err != nil {
		return err
	}
	return v.Redirect(AccountPath(v.Account)+"/"+view.List, page.ViewDeleted)
}
