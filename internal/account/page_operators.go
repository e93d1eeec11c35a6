package account

import (
	"net/http"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// OperatorsPath is the page of the people who may do everything.
const OperatorsPath = "/console/operators"

func (p *pages) mountOperators() {
	const base = OperatorsPath
	p.Mount("GET "+base, AccountsWrite, false, p.showOperators)
	p.Mount("POST "+base, AccountsWrite, false, p.addOperator)
	p.Mount("GET "+base+"/{operator_id}", AccountsWrite, false, p.showOperator)
	p.Mount("POST "+base+"/{operator_id}", AccountsWrite, false, p.changeOperator)
	p.Mount("POST "+base+"/{operator_id}/link", AccountsWrite, false, p.makeOperatorLink)
	p.Mount("GET "+base+"/{operator_id}/remove", AccountsWrite, false, p.askRemoveOperator)
	p.Mount("POST "+base+"/{operator_id}/remove", AccountsWrite, false, p.removeOperator)
}

// operatorForm holds the fields of the form for an operator.
type operatorForm struct {
	Email, Name string
	Faults      ui.Faults
}

func typedOperator(r *http.Request) operatorForm {
	return operatorForm{Email: clip(r.PostFormValue("email"), 254), Name: clip(r.PostFormValue("name"), 800)}
}

// shownOperator is an operator as the pages show them.
type shownOperator struct {
	Person
	Href string
	You  bool
}

func shownOperatorOf(v visit, o Person) shownOperator {
	return shownOperator{Person: o, Href: OperatorsPath + "/" + o.ID, You: o.ID == v.who.ID}
}

func (p *pages) showOperators(w http.ResponseWriter, r *http.Request) error {
	return p.renderOperators(w, personVisit(r), operatorForm{})
}

func (p *pages) renderOperators(w http.ResponseWriter, v visit, f operatorForm) error {
	list, err := page(p.Pages.API, v.paging(), "console operators", func(o Person) string { return o.ID },
		func(after string, limit int) ([]Person, error) { return p.Operators(v.ctx, after, limit) })
	if err != nil {
		return err
	}
	rows := make([]shownOperator, len(list.Items))
	for i, o := range list.Items {
		rows[i] = shownOperatorOf(v, o)
	}
	return p.show(w, v, "operators", view{section: "operators", title: "Operators", status: f.Faults.Status, data: map[string]any{
		"Rows": rows, "Next": v.older(list.Cursor), "Path": OperatorsPath, "Form": f}})
}

func (p *pages) addOperator(w http.ResponseWriter, r *http.Request) error {
	v, f := personVisit(r), typedOperator(r)
	made, link, err := p.AddOperator(v.ctx, v.who, f.Email, f.Name)
	if err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "email", "name"); !ok {
			return err
		}
		return p.renderOperators(w, v, f)
	}
	return p.showOperatorLink(w, v, made, link, true)
}

func (p *pages) showOperatorLink(w http.ResponseWriter, v visit, o Person, link string, added bool) error {
	return p.show(w, v, "member-link", view{section: "operators", title: o.Name, data: shownLink{
		Name: o.Name, Email: o.Email, Link: link, Added: added, Path: OperatorsPath}})
}

func (p *pages) showOperator(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	o, err := p.Operator(v.ctx, r.PathValue("operator_id"))
	if err != nil {
		return err
	}
	return p.renderOperator(w, v, o, operatorForm{Email: o.Email, Name: o.Name})
}

func (p *pages) renderOperator(w http.ResponseWriter, v visit, o Person, f operatorForm) error {
	return p.show(w, v, "operator", view{section: "operators", title: o.Name, status: f.Faults.Status, data: map[string]any{
		"Operator": shownOperatorOf(v, o), "Path": OperatorsPath, "Form": f}})
}

func (p *pages) changeOperator(w http.ResponseWriter, r *http.Request) error {
	v, f := personVisit(r), typedOperator(r)
	o, err := p.Operator(v.ctx, r.PathValue("operator_id"))
	if err != nil {
		return err
	}
	if _, err := p.UpdateOperator(v.ctx, v.who, o.ID, &f.Email, &f.Name); err != nil {
		var ok bool
		if f.Faults, ok = ui.FaultsOf(err, "email", "name"); !ok {
			return err
		}
		return p.renderOperator(w, v, o, f)
	}
	return goTo(w, r, OperatorsPath+"/"+o.ID, "operator-changed")
}

func (p *pages) makeOperatorLink(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	o, err := p.Operator(v.ctx, r.PathValue("operator_id"))
	if err != nil {
		return err
	}
	link, err := p.OperatorLink(v.ctx, v.who, o.ID)
	if err != nil {
		return err
	}
	return p.showOperatorLink(w, v, o, link, false)
}

func (p *pages) askRemoveOperator(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	o, err := p.Operator(v.ctx, r.PathValue("operator_id"))
	if err != nil {
		return err
	}
	href := OperatorsPath + "/" + o.ID
	return p.show(w, v, "question", view{section: "operators", title: "Remove an operator", data: question{
		Title: "Remove the operator " + o.Name + "?", Action: href + "/remove", Label: "Remove the operator", Back: href,
		Text: "Their rights end at once. If they belong to no account, their name, address and password are deleted."}})
}

func (p *pages) removeOperator(w http.ResponseWriter, r *http.Request) error {
	v := personVisit(r)
	o, err := p.Operator(v.ctx, r.PathValue("operator_id"))
	if err != nil {
		return err
	}
	if err := p.RemoveOperator(v.ctx, v.who, o.ID); err != nil {
		f, ok := ui.FaultsOf(err)
		if !ok {
			return err
		}
		return p.renderOperator(w, v, o, operatorForm{Email: o.Email, Name: o.Name, Faults: f})
	}
	if o.ID == v.who.ID {
		return goTo(w, r, "/", "") // the console is not theirs any more
	}
	return goTo(w, r, OperatorsPath, "operator-removed")
}
