package page

// Chosen is the page that asks before an act on several rows of a list. Its
// button sends the rows and the act to the path of the page; see
// [Visit.Confirmed].
type Chosen struct {
	Section string // the current entry of the navigation
	Title   string // a question
	Text    string // the consequences
	Label   string // of the button
	Back    string // path that leads back
	Act     string
	Danger  bool // the act cannot be undone
	Items   []ChosenItem
}

// ChosenItem is one of the rows.
type ChosenItem struct{ ID, Name, Note string }

// chosenPage is the data of the template "confirm-chosen".
type chosenPage struct {
	Chosen
	Action string
}

// confirmedField says in the form of an act on several rows that the question was
// answered.
const confirmedField = "confirmed"

// Confirmed reports whether the visitor has answered the question before an act.
func (v *Visit) Confirmed() bool { return v.Field(confirmedField, 8) == "yes" }

// AskChosen asks before an act on several rows.
func (v *Visit) AskChosen(c Chosen) error {
	return v.show(v.set.kit.own, View{
		Section:  c.Section,
		Title:    c.Title,
		Template: "confirm-chosen",
		Data:     chosenPage{c, v.Request.URL.RequestURI()},
	})
}
