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
	clock    int64
	products map[string]*catalogue.Product
	owners   map[ownedName]*catalogue.Product // by the names that belong to one team at a time
	teams    map[string]loadedTeam            // by id
	lasting  lasting
}

// ownedName is a name that belongs to one team at a time. kind: product,
// alert_type, topic.
type ownedName struct{ kind, name string }

// lasting is what any version of any catalogue declared as lasting (personal
// fields): product -> entry (a resource type) -> items.
type lasting map[string]map[string][]string

// loadedTeam is one team's catalogue. An unchanged one is not compiled again.
type loadedTeam struct {
	name     string
	version  int64
	products []*catalogue.Product
}

// Lookup finds a declared product, or nil when no team declares the name. From
// the second call on it reads no database. Belfry's own product is always there.
func (r *Registry) Lookup(ctx context.Context, product string) (*catalogue.Product, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return s.products[product], nil
}

// Owner finds the product that declares a name of a kind of which the
// installation has one of each name, such as alert_type; nil when there is none.
// It answers from memory, as Lookup does.
func (r *Registry) Owner(ctx context.Context, kind, name string) (*catalogue.Product, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return s.owners[ownedName{kind, name}], nil
}

// Products lists all declared products, sorted by name.
func (r *Registry) Products(ctx context.Context) ([]*catalogue.Product, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return s.sorted(), nil
}

func (s *snapshot) sorted() []*catalogue.Product {
	byName := func(a, b *catalogue.Product) int { return cmp.Compare(a.Name, b.Name) }
	return slices.SortedFunc(maps.Values(s.products), byName)
}

// Lasting is what any version of any catalogue declared as lasting in an entry of
// a product; all of the product's when the entry is not known. It stays when no
// team declares the product any more.
func (r *Registry) Lasting(ctx context.Context, product, entry string) ([]string, error) {
	s, err := r.snapshot(ctx)
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

func (r *Registry) snapshot(ctx context.Context) (*snapshot, error) {
	if s := r.seen.Load(); s != nil {
		return s, nil
	}
	if err := r.refresh(ctx); err != nil {
		return nil, err
	}
	return r.seen.Load(), nil
}

// catalogueRow is a team with its catalogue in force.
type catalogueRow struct {
	team, name string
	version    int64
	format     catalogue.Format
	content    []byte // nil when the snapshot has this version
}

// refresh loads what changed since the last call; without a change it reads one
// row.
func (r *Registry) refresh(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()

	old := r.seen.Load()
	if old == nil {
		old = &snapshot{clock: -1}
	}
	clock, rows, declared, err := r.load(ctx, old)
	if err != nil || clock == old.clock {
		return err
	}

	next := &snapshot{
		clock:    clock,
		products: map[string]*catalogue.Product{r.builtin.Name: r.builtin},
		owners:   map[ownedName]*catalogue.Product{},
		teams:    map[string]loadedTeam{},
		lasting:  declared,
	}
	for _, row := range rows {
		team := r.compileTeam(row, old, declared)
		next.teams[row.team] = team
		for _, p := range team.products {
			next.products[p.Name] = p
		}
	}
	for _, p := range next.products {
		for _, n := range r.sections.Names(p.Declaration) {
			next.owners[ownedName{n.Kind, n.Name}] = p
		}
	}
	r.seen.Store(next)
	r.metrics.catalogues.Set(float64(len(next.products)))
	return nil
}

// load reads the teams' catalogues that changed since the old snapshot; nothing
// but the clock when none did.
func (r *Registry) load(ctx context.Context, old *snapshot) (clock int64, rows []catalogueRow, declared lasting, err error) {
	err = r.db.View(ctx, func(tx *db.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT n FROM clock WHERE id = 1`).Scan(&clock); err != nil {
			return err
		}
		if clock == old.clock {
			return nil
		}

		rows, err = teamVersions(ctx, tx)
		if err != nil {
			return err
		}
		for i := range rows {
			row := &rows[i]
			if old.teams[row.team].version == row.version {
				continue
			}
			err := tx.QueryRow(ctx, `SELECT format, content FROM catalogue WHERE team_id = $1 AND version = $2`,
				row.team, row.version).Scan(&row.format, &row.content)
			if err != nil {
				return err
			}
		}
		declared, err = loadLasting(ctx, tx)
		return err
	})
	return clock, rows, declared, err
}

// compileTeam compiles a catalogue that changed. One that this version of the
// program cannot read was applied by a newer one: the products of before stay in
// use, so that no event of an unknown product is refused.
func (r *Registry) compileTeam(row catalogueRow, old *snapshot, declared lasting) loadedTeam {
	team := loadedTeam{name: row.name, version: row.version, products: old.teams[row.team].products}
	if row.content == nil {
		return team
	}
	products, err := r.compileStored(row, declared)
	if err != nil {
		r.log.Error("a stored catalogue cannot be read; the one before stays in use",
			"team", row.team, "version", row.version, "error", err)
		return team
	}
	team.products = products
	return team
}

func (r *Registry) compileStored(row catalogueRow, declared lasting) ([]*catalogue.Product, error) {
	file, err := r.sections.ParseStored(row.content, row.format)
	if err != nil {
		return nil, err
	}
	var products []*catalogue.Product
	for _, p := range file.Products {
		compiled, err := r.sections.Compile(p, row.team, declared[p.Product])
		if err != nil {
			return nil, fmt.Errorf("product %s: %w", p.Product, err)
		}
		products = append(products, compiled)
	}
	return products, nil
}

func teamVersions(ctx context.Context, tx *db.Tx) ([]catalogueRow, error) {
	rows, err := tx.Query(ctx, `SELECT id, name, version FROM team WHERE version > 0 AND deleted_at = 0 ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var teams []catalogueRow
	for rows.Next() {
		var row catalogueRow
		if err := rows.Scan(&row.team, &row.name, &row.version); err != nil {
			return nil, err
		}
		teams = append(teams, row)
	}
	return teams, rows.Err()
}

func loadLasting(ctx context.Context, tx *db.Tx) (lasting, error) {
	rows, err := tx.Query(ctx, `SELECT product, resource, pointer FROM personal ORDER BY product, resource, pointer`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	declared := lasting{}
	for rows.Next() {
		var product, entry, item string
		if err := rows.Scan(&product, &entry, &item); err != nil {
			return nil, err
		}
		if declared[product] == nil {
			declared[product] = map[string][]string{}
		}
		declared[product][entry] = append(declared[product][entry], item)
	}
	return declared, rows.Err()
}
