package ledger

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// EraseEvents erases in events by their ids, and returns those that are not there.
func (l *Ledger) EraseEvents(
	ctx context.Context,
	r *Reader,
	account string,
	ids []string,
	s *Selection,
) (erased int, unknown []string, err error) {
	var seqs []int64
	for _, id := range ids {
		rec, err := r.Get(ctx, account, id)
		switch {
		case err == nil:
			seqs = append(seqs, rec.Seq)
		case errs.Is(err, errs.CodeNotFound):
			unknown = append(unknown, id)
		default:
			return 0, nil, err
		}
	}
	erased, err = l.erase(ctx, account, seqs, s, wholeEvent)
	return erased, unknown, err
}

// maxCallings is how many names and addresses of one person an erasure looks for.
const maxCallings = 100

// person is the person whose data is erased.
type person struct {
	id       string
	callings map[string]bool // addresses by which Belfry's own events call the person
}

// ErasePerson erases in everything that a person did, what names the person in
// what others did on their behalf, and in what others did to the person where the
// catalogue says that a resource is one. It walks through the whole record,
// however long that takes: an event that is not found is not erased. met counts the events
// that name the person.
func (l *Ledger) ErasePerson(
	ctx context.Context,
	r *Reader,
	account, id string,
	s *Selection,
) (erased, met int, err error) {
	who := person{id, map[string]bool{}}
	own := record.Filter{Field: "person_id", Values: []string{id}}
	err = r.walk(ctx, account, own, func(records []*record.Record) error {
		for _, r := range records {
			if a := r.Event.Actor; a.ID == id && a.Email != "" && len(who.callings) < maxCallings {
				who.callings[a.Email] = true
			}
		}
		return nil
	})
	// The person's own events come last: only they say how the person is called.
	for _, c := range []record.Filter{
		{Field: "resource_product", Values: []string{event.Product}},
		{Field: "resource_id", Values: []string{id}},
		own,
	} {
		if err != nil {
			break
		}
		err = r.walk(ctx, account, c, func(records []*record.Record) error {
			parts := map[erasedPart][]int64{}
			for _, rec := range records {
				of, err := partOf(ctx, rec, who, s, c.Field == own.Field)
				if err != nil {
					return err
				}
				if of != noPart {
					parts[of] = append(parts[of], rec.Seq)
					met++
				}
			}
			for _, of := range []erasedPart{wholeEvent, onBehalfOf, aboutPerson} {
				n, err := l.erase(ctx, account, parts[of], s, of)
				if erased += n; err != nil {
					return err
				}
			}
			return nil
		})
	}
	return erased, met, err
}

// walk returns all events that fit a condition, page by page.
func (r *Reader) walk(ctx context.Context, account string, c record.Filter, each func([]*record.Record) error) error {
	for q := (Query{Limit: eraseChunk, Filters: []record.Filter{c}, Patient: true}); ; {
		page, err := r.List(ctx, account, q)
		if err != nil {
			return err
		}
		if err := each(page.Records); err != nil || page.Next == nil {
			return err
		}
		q.After = page.Next
	}
}

// partOf says what of an event concerns a person: one who did it (or for whom it
// was done), or one to whom it was done.
func partOf(ctx context.Context, r *record.Record, who person, s *Selection, did bool) (erasedPart, error) {
	e := &r.Event
	switch {
	case did && e.Actor.ID == who.id:
		return wholeEvent, nil
	case did:
		return onBehalfOf, nil
	case s.Personal == nil || e.Actor.ID == who.id:
		return noPart, nil
	}
	personal, err := s.Personal(ctx, e.Resource.Product, e.Resource.Type)
	if err != nil {
		return noPart, err
	}
	byID := e.Resource.ID == who.id && slices.Contains(personal.Fixed(), "/resource/id")
	byName := who.callings[e.Resource.Name] && slices.Contains(personal.Fixed(), "/resource/name")
	if byID || byName {
		return aboutPerson, nil
	}
	return noPart, nil
}
