package catalogue

// Product is a declared product, ready for ingestion. It never changes.
type Product struct {
	Declaration
	Name     string
	Category string // product_category; the title when the file has none
	Team     string // id of the owning team; empty for Belfry's own product

	parts []any // the compiled sections, in the table's order
}

// Compiled is the compiled section of type C; the zero value when the table had no
// such section.
func Compiled[C any](p *Product) (part C) {
	for _, one := range p.parts {
		if part, ok := one.(C); ok {
			return part
		}
	}
	return part
}

// Compile prepares a declared product for ingestion. lasting has the items that any
// version declared as lasting, by the entry's name.
func (t Sections) Compile(declared Declaration, team string, lasting map[string][]string) (*Product, error) {
	p := &Product{Declaration: declared, Name: declared.Product, Category: declared.Category, Team: team}
	if p.Category == "" {
		p.Category = declared.Title
	}
	for _, s := range t {
		part, err := s.compile(p, lasting)
		if err != nil {
			return nil, err
		}
		p.parts = append(p.parts, part)
	}
	return p, nil
}
