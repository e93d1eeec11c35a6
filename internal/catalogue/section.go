package catalogue

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
)

// Definition describes a section. D is one entry as the file declares it, C the
// entries of one product as ingestion uses them.
type Definition[D, C any] struct {
	Key   string   // the member of a product: "alert_types"
	Noun  string   // of one entry, with its article, in faults: "the alert type"
	Max   int      // entries of one product
	Kinds []string // of parts in a list of changes; the first one is of the entries

	// Unique says that a name belongs to one product of the installation. Other
	// names need only differ within their product.
	Unique bool

	// Name is the name of an entry.
	Name func(D) string
	// Decode reads and checks one entry; ok is false when it cannot be used.
	Decode func(*Decoder, *Node) (entry D, ok bool)
	// Check returns a fault of all entries of a file together, or ""; nil = none.
	Check func(entries []D) string
	// Compile prepares the entries of a product; p has the product's head. lasting
	// has the items that any version of the file declared as lasting, by the entry's
	// name.
	Compile func(p *Product, entries []D, lasting map[string][]string) (C, error)
	// Diff lists the parts of an entry that are compared between two versions.
	Diff func(product string, entry D) []Part

	// Lasting returns the items of an entry that no later version may remove, such
	// as personal fields. Only one section of the table may have it, because the
	// stored items name no section. Retracted returns the faults of an entry that
	// lacks a lasting item.
	Lasting   func(D) []string
	Retracted func(product string, entry D, lasting []string) []string

	// Public returns the part of an entry that accounts may see; nil = nothing.
	Public func(D) any
	// Count describes the number of entries for `belfry catalog check`; nil = not at all.
	Count func(entries []D) string
	// Show returns the panels of a product's page.
	Show func(entries []D) []Panel
}

// Section is a defined section: a [Definition] without its types.
type Section struct {
	Key    string
	Kinds  []string
	unique bool

	decode    func(*Decoder, Mapping, Seen) any
	check     func(products []Declaration) string
	compile   func(p *Product, lasting map[string][]string) (any, error)
	diff      func(Declaration) []Part
	names     func(Declaration) []string
	lasting   func(Declaration) []Lasting
	retracted func(p Declaration, lasting map[string][]string) []Fault
	public    func(Declaration) any
	count     func(products []Declaration) string
	show      func(Declaration) []Panel

	declared   reflect.Type // a slice of the declared type
	publicType reflect.Type // a slice of the public type; nil when nothing is public
}

// Lasting are the items of an entry that no later version may remove.
type Lasting struct {
	Name  string // of the entry
	Items []string
}

// Define makes a section of its definition.
func Define[D, C any](def Definition[D, C]) Section {
	s := Section{
		Key:      def.Key,
		Kinds:    def.Kinds,
		unique:   def.Unique,
		declared: reflect.TypeFor[[]D](),
		decode:   def.decode,
		compile: func(p *Product, lasting map[string][]string) (any, error) {
			return def.Compile(p, Entries[D](p.Declaration), lasting)
		},
		diff: func(p Declaration) (parts []Part) {
			for _, entry := range Entries[D](p) {
				parts = append(parts, def.Diff(p.Product, entry)...)
			}
			return parts
		},
		names: func(p Declaration) (names []string) {
			for _, entry := range Entries[D](p) {
				names = append(names, def.Name(entry))
			}
			return names
		},
		check: func([]Declaration) string { return "" },
		count: func([]Declaration) string { return "" },
		show:  func(p Declaration) []Panel { return def.Show(Entries[D](p)) },
	}
	if def.Check != nil {
		s.check = func(products []Declaration) string { return def.Check(all[D](products)) }
	}
	if def.Count != nil {
		s.count = func(products []Declaration) string { return def.Count(all[D](products)) }
	}
	if def.Lasting != nil {
		s.lasting = def.lastingOf
		s.retracted = def.retractedOf
	}
	if def.Public != nil {
		var zero D
		s.publicType = reflect.SliceOf(reflect.TypeOf(def.Public(zero)))
		s.public = func(p Declaration) any {
			shown := []any{}
			for _, entry := range Entries[D](p) {
				shown = append(shown, def.Public(entry))
			}
			return shown
		}
	}
	return s
}

// all are the entries of all products.
func all[D any](products []Declaration) (entries []D) {
	for _, p := range products {
		entries = append(entries, Entries[D](p)...)
	}
	return entries
}

// decode reads the section of a product; nil when it has no entries. seen are
// the names so far, with their places.
func (def Definition[D, C]) decode(d *Decoder, m Mapping, seen Seen) any {
	var entries []D
	for _, n := range m.List(def.Key, def.Max) {
		if entry, ok := def.Decode(d, n); ok {
			d.Unique(seen, n, def.Noun, def.Name(entry))
			entries = append(entries, entry)
		}
	}
	if entries == nil {
		return nil
	}
	return entries
}

func (def Definition[D, C]) lastingOf(p Declaration) (list []Lasting) {
	for _, entry := range Entries[D](p) {
		list = append(list, Lasting{def.Name(entry), def.Lasting(entry)})
	}
	return list
}

func (def Definition[D, C]) retractedOf(p Declaration, lasting map[string][]string) (faults []Fault) {
	for i, entry := range Entries[D](p) {
		pointer := "/" + def.Key + "/" + strconv.Itoa(i)
		for _, message := range def.Retracted(p.Product, entry, lasting[def.Name(entry)]) {
			faults = append(faults, Fault{pointer, message})
		}
	}
	return faults
}

// Sections is the table of sections, in the order of the file's manual.
type Sections []Section

// Check reports a table that cannot work: two sections with one key, or with
// lasting items.
func (t Sections) Check() error {
	keys := map[string]bool{}
	lasting := 0
	for _, s := range t {
		if keys[s.Key] {
			return fmt.Errorf("catalogue: two sections are named %s", s.Key)
		}
		keys[s.Key] = true
		if s.lasting != nil {
			lasting++
		}
	}
	if lasting > 1 {
		return errors.New("catalogue: only one section can have lasting items")
	}
	return nil
}

// Kinds are the kinds of parts in lists of changes.
func (t Sections) Kinds() []string {
	kinds := []string{"product"}
	for _, s := range t {
		kinds = append(kinds, s.Kinds...)
	}
	return kinds
}

// Name is a name that belongs to one team at a time.
type Name struct {
	Kind    string // "product", or the first of a section's kinds
	Name    string
	Pointer string // RFC 6901, in the product's declaration
}

// Names lists the names of a product that belong to one team at a time.
func (t Sections) Names(p Declaration) []Name {
	names := []Name{{Kind: "product", Name: p.Product}}
	for _, s := range t {
		if !s.unique {
			continue
		}
		for i, name := range s.names(p) {
			names = append(names, Name{Kind: s.Kinds[0], Name: name, Pointer: "/" + s.Key + "/" + strconv.Itoa(i)})
		}
	}
	return names
}

// Lasting lists the items of a product that no later version may remove.
func (t Sections) Lasting(p Declaration) (list []Lasting) {
	for _, s := range t {
		if s.lasting != nil {
			list = append(list, s.lasting(p)...)
		}
	}
	return list
}

// Fault is a fault of a part of a product.
type Fault struct {
	Pointer string // RFC 6901, in the product's declaration
	Message string
}

// Retracted lists the entries of a product that lack items which an earlier version
// declared as lasting; lasting is by the entry's name.
func (t Sections) Retracted(p Declaration, lasting map[string][]string) (faults []Fault) {
	for _, s := range t {
		if s.retracted != nil {
			faults = append(faults, s.retracted(p, lasting)...)
		}
	}
	return faults
}

// Public lists the public entries of a product.
func (t Sections) Public(p Declaration) (members []Member) {
	for _, s := range t {
		if s.public != nil {
			members = append(members, Member{s.Key, s.public(p)})
		}
	}
	return members
}

// Counts describes the number of entries of a file: "resource types 2, actions 5".
func (t Sections) Counts(f *File) (counts []string) {
	for _, s := range t {
		if text := s.count(f.Products); text != "" {
			counts = append(counts, text)
		}
	}
	return counts
}

// Documented is a member of a JSON object, for the API's document.
type Documented struct {
	Name string
	Type reflect.Type
}

// Documented lists the members that sections add to a [Declaration], and to what
// accounts see of one.
func (t Sections) Documented() (declared, public []Documented) {
	for _, s := range t {
		declared = append(declared, Documented{s.Key, s.declared})
		if s.publicType != nil {
			public = append(public, Documented{s.Key, s.publicType})
		}
	}
	return declared, public
}
