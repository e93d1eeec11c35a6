package catalogue

// Panel shows declared entries on a product's page.
type Panel struct {
	Title   string
	Name    string   // the entry's technical name
	Sub     string   // a few words behind the title
	Marks   []string // badges of the panel: "metadata is checked"
	Columns []string
	Rows    [][]Cell // one cell a column
	Lists   []Listing
}

// Cell is one cell of a panel's table.
type Cell struct {
	Text  string
	Name  string // a technical name below the text
	Badge string // behind the text
	Code  bool   // the text is a technical name itself

	// Sentence says that Text is a sentence's template, whose placeholders are
	// marked, and Failure the template for a failure.
	Sentence bool
	Failure  string
}

// Listing is a list of names below a panel's table.
type Listing struct {
	Label string
	Names []string
	Tone  string // of the names' badges: info, warn
	Icon  string
	Note  string // what the names have in common
}

// Panels shows the sections of a product.
func (t Sections) Panels(p Declaration) (panels []Panel) {
	for _, s := range t {
		panels = append(panels, s.show(p)...)
	}
	return panels
}
