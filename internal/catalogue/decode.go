package catalogue

import (
	"cmp"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// File is a catalogue that was read without a fault, with the places of its
// parts, so that the server can name them in faults of its own (a name of
// another team).
type File struct {
	Catalogue
	Text   []byte // as it was written
	Format Format

	places map[string]place // by RFC 6901 pointer
}

// Fault describes a fault of a part of the file.
func (f *File) Fault(code errs.Code, pointer, message string) *errs.Error {
	return errs.At(code, pointer, "%s: %s", f.places[pointer], message)
}

// Parse reads a catalogue file and checks everything that needs no server. Its
// error is an [errs.List] of code CodeCatalogueInvalid; each message begins
// with the line and column, each pointer leads into the file.
func (t Sections) Parse(data []byte, format Format) (*File, error) {
	return t.parse(data, format, &Decoder{})
}

// ParseStored reads a catalogue that was applied once. Rules that became
// stricter since then do not take it out of force.
func (t Sections) ParseStored(data []byte, format Format) (*File, error) {
	return t.parse(data, format, &Decoder{Stored: true})
}

// ParseBuiltin reads Belfry's own catalogue, which has the reserved names.
func (t Sections) ParseBuiltin(data []byte, format Format) (*File, error) {
	return t.parse(data, format, &Decoder{Builtin: true})
}

func (t Sections) parse(data []byte, format Format, d *Decoder) (*File, error) {
	if len(data) > MaxFile {
		return nil, errs.List{errs.New(errs.CodeTooLarge,
			"the catalogue has %d bytes; at most %d are taken", len(data), MaxFile)}
	}

	root, fault := readSource(data, format)
	if fault != nil {
		return nil, errs.List{fault}
	}

	d.file = &File{Text: data, Format: format, places: map[string]place{}}
	d.catalogue(t, root)
	if len(d.faults) > 0 {
		return nil, d.sorted()
	}
	return d.file, nil
}

// Decoder turns nodes into declarations and gathers the faults on the way.
type Decoder struct {
	Builtin bool // Belfry's own catalogue: reserved names are allowed
	Stored  bool // the catalogue is in force already

	file    *File
	faults  []placedFault
	schemas int
	steps   int // of the comparisons of samples so far
}

// maxFileSteps bounds the comparisons of all samples of a file.
const maxFileSteps = 1_000_000

// Afford reports whether the file may still use so many steps of comparison.
func (d *Decoder) Afford(steps int) bool {
	d.steps += steps
	return d.steps <= maxFileSteps
}

type placedFault struct {
	place
	fault *errs.Error
}

// Fault adds a fault of a node.
func (d *Decoder) Fault(n *Node, format string, args ...any) {
	d.faultAt(n.place, n.pointer, format, args...)
}

func (d *Decoder) faultAt(at place, pointer, format string, args ...any) {
	if len(d.faults) < maxFaults {
		d.faults = append(d.faults, placedFault{at, faultAt(at, pointer, format, args...)})
	}
}

// sorted returns the faults in the order of the file.
func (d *Decoder) sorted() errs.List {
	slices.SortStableFunc(d.faults, func(a, b placedFault) int {
		return cmp.Or(cmp.Compare(a.line, b.line), cmp.Compare(a.column, b.column))
	})

	list := make(errs.List, len(d.faults))
	for i, f := range d.faults {
		list[i] = f.fault
	}
	return list
}

// catalogue decodes the whole file.
func (d *Decoder) catalogue(t Sections, root *Node) {
	m, ok := d.Mapping(root, "the catalogue", "version", "products")
	if !ok {
		return
	}

	d.version(m)
	if m.Member("products") == nil {
		d.Fault(root, "products is missing (an empty list declares nothing)")
	}

	products := Seen{}
	unique := make([]Seen, len(t)) // the names of each section, in the whole file
	for i := range unique {
		unique[i] = Seen{}
	}

	d.file.Products = []Declaration{}
	for _, n := range m.List("products", maxProducts) {
		if p, ok := d.product(t, n, unique); ok {
			d.Unique(products, n, "the product", p.Product)
			d.file.Products = append(d.file.Products, p)
		}
	}

	for _, s := range t {
		if fault := s.check(d.file.Products); fault != "" {
			d.Fault(root, "%s", fault)
		}
	}
}

func (d *Decoder) version(m Mapping) {
	d.file.Version = 1
	switch v := m.Member("version"); {
	case v == nil:
		d.Fault(m.at, "version is missing; this format is version: 1")
	case v.kind == textNode && v.text == "1":
		d.Fault(v, "version must be the number 1: leave out the quotes")
	case v.kind != numberNode || v.text != "1":
		d.Fault(v, "version must be the number 1")
	}
}

func (d *Decoder) product(t Sections, n *Node, unique []Seen) (p Declaration, ok bool) {
	known := []string{"product", "title", "description", "category"}
	for _, s := range t {
		known = append(known, s.Key)
	}
	m, ok := d.Mapping(n, "a product", known...)
	if !ok {
		return p, false
	}

	p.Product = m.Name("product")
	if strings.EqualFold(p.Product, Reserved) && !d.Builtin {
		d.Fault(m.Member("product"), "the product %s is Belfry's own", Quote(p.Product))
	}
	p.Title = m.Title(p.Product)
	p.Description = m.Text("description", false, MaxText)
	p.Category = m.Text("category", false, MaxTitle)

	for i, s := range t {
		seen := Seen{}
		if s.unique {
			seen = unique[i]
		}
		if entries := s.decode(d, m, seen); entries != nil {
			p.lists = append(p.lists, declaredList{s.Key, entries})
		}
	}
	return p, true
}
