package audit

import (
	"context"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
)

// One person is several actors: a product names its user by an id of its own, and Belfry a member by that of the
// member. The log stays as it was written; pages, counts and filters join the actors when they read.

// Member is a member of an account, as whom actors are recognised.
type Member struct{ ID, Email string }

// maxPersonIDs bounds the ids for which a filter on one person asks.
const maxPersonIDs = 20

// people joins the ids of actors that are the same member.
type people struct {
	memberOf map[string]string   // actor id -> member id
	ids      map[string][]string // member id -> actor ids, its own first
}

// newPeople recognises actors, which are rows by actor, as members: by the id, by the address, or by an id that is the
// address. Only users are people.
func newPeople(members []Member, actors []ledger.SummaryRow) *people {
	p := &people{memberOf: map[string]string{}, ids: map[string][]string{}}
	byEmail := map[string]string{}
	for _, m := range members {
		byEmail[strings.ToLower(m.Email)] = m.ID
		p.join(m.ID, m.ID)
	}
	delete(byEmail, "")
	for _, a := range actors {
		if a.Type != "user" || a.Key == "" {
			continue
		}
		for _, email := range []string{a.Email, a.Key} {
			if member := byEmail[strings.ToLower(email)]; member != "" {
				p.join(a.Key, member)
				break
			}
		}
	}
	return p
}

func (p *people) join(actor, member string) {
	if _, known := p.memberOf[actor]; !known {
		p.memberOf[actor] = member
		p.ids[member] = append(p.ids[member], actor)
	}
}

// sameAs returns the ids of the person with an actor id, which is the first.
func (p *people) sameAs(actor string) []string {
	list := []string{actor}
	for _, other := range p.ids[p.memberOf[actor]] {
		if other != actor && len(list) < maxPersonIDs {
			list = append(list, other)
		}
	}
	return list
}

// group joins the rows of one person. The row has the member's id if that is one of the actors, else the id of the
// most frequent one.
func (p *people) group(rows []ledger.SummaryRow) []ledger.SummaryRow {
	var list []ledger.SummaryRow
	at := map[string]int{} // member id -> index in list
	for _, row := range rows {
		member := p.memberOf[row.Key]
		if row.Type != "user" {
			member = ""
		}
		i, known := at[member]
		if member == "" || !known {
			at[member] = len(list)
			list = append(list, row)
			continue
		}
		joined := &list[i]
		if len(joined.IDs) == 0 {
			joined.IDs = []string{joined.Key}
		}
		joined.IDs = append(joined.IDs, row.Key)
		joined.Count += row.Count
		if row.Key == member {
			joined.Key = row.Key
		}
	}
	ledger.SortRows(list)
	return list
}

// members reads the members of an account; none without the source.
func (f *Feature) members(ctx context.Context, accountID string) ([]Member, error) {
	if f.sources.Members == nil {
		return nil, nil
	}
	return f.sources.Members(ctx, accountID)
}

// countPeople counts the events of a time by person.
func (f *Feature) countPeople(ctx context.Context, accountID string, since, before int64) ([]ledger.SummaryRow, error) {
	rows, err := f.reader.CountBy(ctx, accountID, "actor", since, before)
	if err != nil {
		return nil, err
	}
	members, err := f.members(ctx, accountID)
	if err != nil {
		return nil, err
	}
	return newPeople(members, rows).group(rows), nil
}

// samePerson extends filters on an actor to all ids of the person, as far as the newest events show them.
func (f *Feature) samePerson(ctx context.Context, accountID string, filters []record.Filter) ([]record.Filter, error) {
	isActor := func(c record.Filter) bool { return c.Field == "actor_id" }
	if f.sources.Members == nil || !slices.ContainsFunc(filters, isActor) {
		return filters, nil
	}
	known, err := f.search.censusOf(ctx, accountID)
	if err != nil {
		return nil, err
	}
	list := slices.Clone(filters)
	for i, c := range list {
		if !isActor(c) {
			continue
		}
		var values []string
		for _, id := range c.Values {
			for _, same := range known.people.sameAs(id) {
				if !slices.Contains(values, same) {
					values = append(values, same)
				}
			}
		}
		list[i].Values = values
	}
	return list, nil
}
