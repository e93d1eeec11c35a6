package producer

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// snapshot is all catalogues at one moment of the clock. It never changes.
type snapshot struct {
	products map[string]*catalogue.Product
	owners   map[ownedName]*catalogue.Product // by the names that belong to one team at a time
	teams    map[string]loadedTeam            // by id
	lasting  lasting
}

// ownedName is a name that belongs to one team at a time. kind: product,
// alert_type, topic.
type ownedName struct{ kind, name string }

// lasting are the items (personal fields) that any version of any catalogue declared
// as lasting: product -> entry (a resource type) -> items.
type lasting map[string]map[string][]string

// loadedTeam is one team's catalogue. An unchanged one is not compiled again.
type loadedTeam struct {
	name     string
	version  int64
	products []*catalogue.Product
}

// Lookup finds a declared product, or nil when no team declares the name. From
// the second call on it reads no database. Belfry's own product is always there.
func (f *Feature) Lookup(ctx context.Context, product string) (*catalogue.Product, error) {
	s, err := f.snapshot.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.products[product], nil
}

// Owner finds the product that declares a name of a kind of which the
// installation has one of each name, such as alert_type; nil when there is none.
// It answers from memory, as Lookup does.
func (f *Feature) Owner(ctx context.Context, kind, name string) (*catalogue.Product, error) {
	s, err := f.snapshot.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.owners[ownedName{kind, name}], nil
}

// Products lists all declared products, sorted by name.
func (f *Feature) Products(ctx context.Context) ([]*catalogue.Product, error) {
	s, err := f.snapshot.Get(ctx)
	if err != nil {
		return nil, err
	}
	return s.sorted(), nil
}

func (s *snapshot) sorted() []*catalogue.Product {
	byName := func(a, b *catalogue.Product) int { return cmp.Compare(a.Name, b.Name) }
	return slices.SortedFunc(maps.Values(s.products), byName)
}

// Lasting are the items that any version of any catalogue declared as lasting in an
// entry of a product; the items of all entries when the entry is not known. They stay
// when no team declares the product any more.
func (f *Feature) Lasting(ctx context.Context, product, entry string) ([]string, error) {
	s, err := f.snapshot.Get(ctx)
	if err != nil {
		return nil, err
	}
	entries := s.lasting[product]
	if items, ok := entries[entry]; ok {
		return items, nil
	}
	var all []string
	for _, items := range entries {
		all = append(all, items...)
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}

// catalogueRow is a team with its catalogue in force.
type catalogueRow struct {
	team, name string
	version    int64
	format     catalogue.Format
	content    []byte // nil when the snapshot has this version
}

// clock is the row that counts the changes of catalogues.
const clock = 1

// refresh loads the catalogues that changed since the last call; without a change
// it reads one row.
func (f *Feature) refresh(ctx context.Context) error {
	_, err := f.snapshot.Refresh(ctx)
	return err
}

// loadSnapshot reads all catalogues. The ones that did not change are taken from the
// snapshot before, which is nil at first.
func (f *Feature) loadSnapshot(ctx context.Context, tx *db.Tx, before *snapshot) (*snapshot, error) {
	if before == nil {
		before = &snapshot{}
	}
	rows, err := loadCatalogues(ctx, tx, before)
	if err != nil {
		return nil, err
	}
	declared, err := loadLasting(ctx, tx)
	if err != nil {
		return nil, err
	}

	next := &snapshot{
		products: map[string]*catalogue.Product{f.builtin.Name: f.builtin},
		owners:   map[ownedName]*catalogue.Product{},
		teams:    map[string]loadedTeam{},
		lasting:  declared,
	}
	for _, row := range rows {
		team := f.compileTeam(row, before, declared)
		next.teams[row.team] = team
		for _, p := range team.products {
			next.products[p.Name] = p
		}
	}
	for _, p := range next.products {
		for _, n := range f.sections.Names(p.Declaration) {
			next.owners[ownedName{n.Kind, n.Name}] = p
		}
	}
	// A team may have declared a name before it became Belfry's own.
	for _, n := range f.sections.Names(f.builtin.Declaration) {
		next.owners[ownedName{n.Kind, n.Name}] = f.builtin
	}
	f.metrics.catalogues.Set(float64(len(next.products)))
	return next, nil
}

// loadCatalogues reads the teams, and the content of the catalogues that changed.
func loadCatalogues(ctx context.Context, tx *db.Tx, before *snapshot) ([]catalogueRow, error) {
	scan := func(row db.Row) (r catalogueRow, err error) {
		err = row.Scan(&r.team, &r.name, &r.version)
		return r, err
	}
	rows, err := db.Collect(ctx, tx, scan,
		`SELECT id, name, version FROM team WHERE version > 0 AND deleted_at = 0 ORDER BY id`)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		row := &rows[i]
		if before.teams[row.team].version == row.version {
			continue
		}
		err := tx.QueryRow(ctx, `SELECT format, content FROM catalogue WHERE team_id = $1 AND version = $2`,
			row.team, row.version).Scan(&row.format, &row.content)
		if err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// compileTeam compiles a catalogue that changed. One that this version of the
// program cannot read was applied by a newer one: the products of before stay in
// use, so that no event of an unknown product is refused.
func (f *Feature) compileTeam(row catalogueRow, old *snapshot, declared lasting) loadedTeam {
	team := loadedTeam{name: row.name, version: row.version, products: old.teams[row.team].products}
	if row.content == nil {
		return team
	}
	products, err := f.compileStored(row, declared)
	if err != nil {
		f.log.Error("a stored catalogue cannot be read; the one before stays in use",
			"team", row.team, "version", row.version, "error", err)
		return team
	}
	team.products = products
	return team
}

func (f *Feature) compileStored(row catalogueRow, declared lasting) ([]*catalogue.Product, error) {
	file, err := f.sections.ParseStored(row.content, row.format)
	if err != nil {
		return nil, err
	}
	var products []*catalogue.Product
	for _, p := range file.Products {
		compiled, err := f.sections.Compile(p, row.team, declared[p.Product])
		if err != nil {
			return nil, fmt.Errorf("product %s: %w", p.Product, err)
		}
		products = append(products, compiled)
	}
	return products, nil
}

func loadLasting(ctx context.Context, tx *db.Tx) (lasting, error) {
	declared := lasting{}
	err := db.Each(ctx, tx, func(row db.Row) error {
		var product, entry, item string
		if err := row.Scan(&product, &entry, &item); err != nil {
			return err
		}
		if declared[product] == nil {
			declared[product] = map[string][]string{}
		}
		declared[product][entry] = append(declared[product][entry], item)
		return nil
	}, `SELECT product, resource, pointer FROM personal ORDER BY product, resource, pointer`)
	return declared, err
}
