package producer

import (
	"context"
	"fmt"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
)

// snapshot is all catalogues at one moment of the clock. It never changes.
type snapshot struct {
	clock      int64
	products   map[string]*Compiled
	alerts     map[string]*Alert              // types of alerts, of all products
	teams      map[string]loaded              // by id
	remembered map[string]map[string][]string // what was personal in any version: product -> resource -> entries
}

// loaded is one team's catalogue, kept so that an unchanged one is not compiled
// again.
type loaded struct {
	name     string
	version  int64
	products []*Compiled
}

// Lookup finds a declared product, or nil when no team declares the name. From
// the second call on it asks nobody. Belfry's own product is always there.
func (r *Registry) Lookup(ctx context.Context, product string) (*Compiled, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return s.products[product], nil
}

// Personal are the fields of a resource type that any version of any catalogue
// declared personal, also when no team declares the product any more.
func (r *Registry) Personal(ctx context.Context, product, resourceType string) (event.Fields, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return event.Fields{}, err
	}
	if p := s.products[product]; p != nil {
		personal, _ := p.Protected(resourceType)
		return personal, nil
	}
	types := s.remembered[product]
	if entries, ok := types[resourceType]; ok {
		return event.ParseFields(entries), nil
	}
	var all []string
	for _, entries := range types {
		all = merge(all, entries)
	}
	return event.ParseFields(all), nil
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

// stored is a catalogue's row.
type stored struct {
	team, name string
	version    int64
	format     Format
	content    []byte
}

// refresh loads what changed since the last look; without a change it reads
// one row.
func (r *Registry) refresh(ctx context.Context) error {
	r.loading.Lock()
	defer r.loading.Unlock()
	old := r.seen.Load()
	var clock int64
	var rows []stored
	remembered := map[string]map[string][]string{}
	same := false
	err := r.db.View(ctx, func(tx *db.Tx) error {
		if err := tx.QueryRow(ctx, `SELECT n FROM clock WHERE id = 1`).Scan(&clock); err != nil {
			return err
		}
		if same = old != nil && old.clock == clock; same {
			return nil
		}
		rows = rows[:0]
		known := func(team string, version int64) bool { return old != nil && old.teams[team].version == version }
		heads, err := teamVersions(ctx, tx)
		if err != nil {
			return err
		}
		for _, h := range heads {
			if !known(h.team, h.version) {
				if err := tx.QueryRow(ctx, `SELECT format, content FROM catalogue WHERE team_id = $1 AND version = $2`, h.team, h.version).Scan(&h.format, &h.content); err != nil {
					return err
				}
			}
			rows = append(rows, h)
		}
		clear(remembered)
		return allPersonal(ctx, tx, remembered)
	})
	if err != nil || same {
		return err
	}
	next := &snapshot{clock: clock, products: map[string]*Compiled{r.own.Name: r.own}, teams: map[string]loaded{}, remembered: remembered}
	for _, row := range rows {
		l := loaded{name: row.name, version: row.version}
		if row.content == nil {
			l.products = old.teams[row.team].products
		} else if l.products, err = compileStored(row, remembered); err != nil {
			// Applied by a version of the program that knew more. What this one
			// had of the team goes on; an unknown product is not refused.
			r.log.Error("a stored catalogue cannot be read; the one before stays in use", "team", row.team, "version", row.version, "error", err)
			if old != nil {
				l.products = old.teams[row.team].products
			}
		}
		next.teams[row.team] = l
		for _, p := range l.products {
			next.products[p.Name] = p
		}
	}
	next.alerts = map[string]*Alert{}
	for _, p := range next.products {
		for _, a := range p.alerts {
			next.alerts[a.Type] = a
		}
	}
	r.seen.Store(next)
	r.metrics.catalogues.Set(float64(len(next.products)))
	return nil
}

func compileStored(row stored, remembered map[string]map[string][]string) ([]*Compiled, error) {
	f, err := parseStored(row.content, row.format)
	if err != nil {
		return nil, err
	}
	var list []*Compiled
	for _, p := range f.Products {
		c, err := compile(p, row.team, remembered[p.Product])
		if err != nil {
			return nil, fmt.Errorf("product %s: %w", p.Product, err)
		}
		list = append(list, c)
	}
	return list, nil
}

func teamVersions(ctx context.Context, tx *db.Tx) ([]stored, error) {
	rows, err := tx.Query(ctx, `SELECT id, name, version FROM team WHERE version > 0 AND deleted_at = 0 ORDER BY id`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []stored
	for rows.Next() {
		var s stored
		if err := rows.Scan(&s.team, &s.name, &s.version); err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, rows.Err()
}

// allPersonal reads the remembered entries: product -> resource -> entries.
func allPersonal(ctx context.Context, tx *db.Tx, into map[string]map[string][]string) error {
	rows, err := tx.Query(ctx, `SELECT product, resource, pointer FROM personal ORDER BY product, resource, pointer`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var product, resource, pointer string
		if err := rows.Scan(&product, &resource, &pointer); err != nil {
			return err
		}
		if into[product] == nil {
			into[product] = map[string][]string{}
		}
		into[product][resource] = append(into[product][resource], pointer)
	}
	return rows.Err()
}
