package account

import (
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// OperatorsPath is the page of the installation's operators.
const OperatorsPath = "/console/operators"

func (p *pages) addOperators() {
	const one = OperatorsPath + "/{operator_id}"
	p.Get(OperatorsPath, AccountsWrite, p.showOperators)
	p.Post(OperatorsPath, AccountsWrite, page.Form[operatorForm]{
		Parse:  parseNewOperator,
		Do:     p.addOperator,
		Fields: []string{"email", "name"},
		Render: p.renderOperators,
		Then:   p.showOperatorLink,
	}.Handle)
	p.Get(one, AccountsWrite, p.showOperator)
	p.Post(one, AccountsWrite, page.Form[operatorForm]{
		Parse:  p.parseOperator,
		Do:     p.changeOperator,
		Fields: []string{"email", "name"},
		Render: p.renderOperator,
		Then:   p.operatorChanged,
	}.Handle)
	p.Post(one+"/link", AccountsWrite, page.Form[operatorForm]{
		Parse:  p.readOperator,
		Do:     p.createOperatorLink,
		Render: p.renderOperator,
		Then:   p.showOperatorLink,
	}.Handle)
	p.Confirm(one+"/remove", AccountsWrite, p.confirmRemoveOperator, page.Form[operatorForm]{
		Parse:  p.readOperator,
		Do:     p.removeOperator,
		Render: p.renderOperator,
		Then:   p.operatorRemoved,
	}.Handle)
}

// operatorForm is the input for an operator.
type operatorForm struct {
	Email  string
	Name   string
	Faults ui.Faults

	operator Person // of the path, or added just now
	link     string // created just now
	added    bool
}

func parseNewOperator(v *page.Visit) (operatorForm, error) {
	return operatorForm{Email: v.Field("email", 254), Name: v.Field("name", 800)}, nil
}

// readOperator fills the form with the operator of the path.
func (p *pages) readOperator(v *page.Visit) (operatorForm, error) {
	o, err := p.Operator(v.Context(), v.PathValue("operator_id"))
	return operatorForm{Email: o.Email, Name: o.Name, operator: o}, err
}

// parseOperator reads the input for a change of the operator of the path.
func (p *pages) parseOperator(v *page.Visit) (operatorForm, error) {
	f, err := parseNewOperator(v)
	if err == nil {
		f.operator, err = p.Operator(v.Context(), v.PathValue("operator_id"))
	}
	return f, err
}

// operatorView is an operator with a link.
type operatorView struct {
	Person
	Href string
	You  bool
}

func newOperatorView(v *page.Visit, o Person) operatorView {
	return operatorView{Person: o, Href: operatorPath(o.ID), You: o.ID == v.Who.ID}
}

func operatorPath(operatorID string) string { return OperatorsPath + "/" + operatorID }

// operatorsPage is the data of the template "operators".
type operatorsPage struct {
	Path string
	Rows []operatorView
	Next string
	Form operatorForm
}

func (p *pages) showOperators(v *page.Visit) error {
	return p.renderOperators(v, &operatorForm{}, ui.Faults{})
}

func (p *pages) renderOperators(v *page.Visit, f *operatorForm, faults ui.Faults) error {
	list, err := page.ReadList(v, pageSize, personKey, func(after web.Keyset, limit int) ([]Person, error) {
		return p.Operators(v.Context(), after.ID, limit)
	})
	if err != nil {
		return err
	}
	f.Faults = faults
	rows := page.Map(list, func(o Person) operatorView { return newOperatorView(v, o) })
	return v.Show(page.View{
		Section:  "operators",
		Title:    "Operators",
		Template: "operators",
		Status:   faults.Status,
		Data:     operatorsPage{Path: OperatorsPath, Rows: rows.Items, Next: rows.Next, Form: *f},
	})
}

func (p *pages) addOperator(v *page.Visit, f *operatorForm) (err error) {
	f.operator, f.link, err = p.AddOperator(v.Context(), v.Who, f.Email, f.Name)
	f.added = true
	return err
}

func (p *pages) showOperatorLink(v *page.Visit, f *operatorForm) error {
	o := f.operator
	return showLink(v, "operators", linkPage{
		Name:  o.Name,
		Email: o.Email,
		Link:  f.link,
		Added: f.added,
		Path:  OperatorsPath,
	})
}

// operatorPage is the data of the template "operator".
type operatorPage struct {
	Path     string
	Operator operatorView
	Form     operatorForm
}

func (p *pages) showOperator(v *page.Visit) error {
	f, err := p.readOperator(v)
	if err != nil {
		return err
	}
	return p.renderOperator(v, &f, ui.Faults{})
}

func (p *pages) renderOperator(v *page.Visit, f *operatorForm, faults ui.Faults) error {
	f.Faults = faults
	return v.Show(page.View{
		Section:  "operators",
		Title:    f.operator.Name,
		Template: "operator",
		Status:   faults.Status,
		Data:     operatorPage{Path: OperatorsPath, Operator: newOperatorView(v, f.operator), Form: *f},
	})
}

func (p *pages) changeOperator(v *page.Visit, f *operatorForm) error {
	_, err := p.UpdateOperator(v.Context(), v.Who, f.operator.ID, &f.Email, &f.Name)
	return err
}

func (p *pages) operatorChanged(v *page.Visit, f *operatorForm) error {
	return v.Redirect(operatorPath(f.operator.ID), "operator-changed")
}

func (p *pages) createOperatorLink(v *page.Visit, f *operatorForm) (err error) {
	f.link, err = p.OperatorLink(v.Context(), v.Who, f.operator.ID)
	return err
}

func (p *pages) confirmRemoveOperator(v *page.Visit) (page.Confirm, error) {
	o, err := p.Operator(v.Context(), v.PathValue("operator_id"))
	return page.Confirm{
		Section: "operators",
		Title:   "Remove the operator " + o.Name + "?",
		Text: "The operator loses all rights at once. If the operator is a member of no account, the name, address and " +
			"password are deleted.",
		Label:  "Remove the operator",
		Back:   operatorPath(o.ID),
		Danger: true,
	}, err
}

func (p *pages) removeOperator(v *page.Visit, f *operatorForm) error {
	return p.RemoveOperator(v.Context(), v.Who, f.operator.ID)
}

func (p *pages) operatorRemoved(v *page.Visit, f *operatorForm) error {
	if f.operator.ID == v.Who.ID {
		return v.Redirect("/", "") // the visitor has no permission to see the console
	}
	return v.Redirect(OperatorsPath, "operator-removed")
}
