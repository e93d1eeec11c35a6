package web

import (
	"cmp"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Keyset is a position in a list that is ordered by a number and an id, or by one
// of them: the sort key of the last item of a page. The zero Keyset is the
// beginning of the list.
type Keyset struct {
	At int64  `json:"a,omitempty"` // a time in microseconds, a version
	ID string `json:"i,omitempty"`
}

// keysetList separates the cursors of keysets from those with another content.
const keysetList = "keyset "

// Keyset reads the cursor of a list ([Cursors.Encode] names lists); an empty one
// is the beginning. Any other cursor is CodeBadCursor.
func (c *Cursors) Keyset(list, cursor string) (Keyset, error) {
	var k Keyset
	if cursor == "" {
		return k, nil
	}
	err := c.Decode(keysetList+list, cursor, &k)
	return k, err
}

// ReadPage reads one page of a list. read returns the items after a position, at
// most limit of them; keyOf is the position of an item.
func ReadPage[T any](
	c *Cursors, list string, in Paging, keyOf func(T) Keyset, read func(after Keyset, limit int) ([]T, error),
) (Page[T], error) {
	after, err := c.Keyset(list, in.Cursor)
	if err != nil {
		return Page[T]{}, err
	}
	limit := cmp.Or(in.Limit, DefaultLimit)
	items, err := read(after, limit+1) // one more shows whether the list goes on
	if err != nil {
		return Page[T]{}, err
	}
	if items == nil {
		items = []T{}
	}
	if len(items) <= limit {
		return Page[T]{Items: items}, nil
	}
	items = items[:limit]
	return Page[T]{Items: items, Cursor: c.Encode(keysetList+list, keyOf(items[limit-1]))}, nil
}

// ReadAnyPage is ReadPage for a list that may also be read by page number. Such
// lists are short: a numbered page reads all items, which gives the total as well.
func ReadAnyPage[T any](
	c *Cursors, list string, in AnyPaging, keyOf func(T) Keyset, read func(after Keyset, limit int) ([]T, error),
) (Page[T], error) {
	number, perPage, before, err := in.Numbered()
	if err != nil {
		return Page[T]{}, err
	}
	if number == 0 {
		return ReadPage(c, list, in.Paging, keyOf, read)
	}

	all, err := read(Keyset{}, MaxNumbered+1)
	if err != nil {
		return Page[T]{}, err
	}
	p := Page[T]{Number: number, PerPage: perPage, Total: min(len(all), MaxNumbered)}
	if len(all) > MaxNumbered {
		p.Messages = []Message{{Code: 1, Message: "total_count is capped at 10,000; page on with cursor and limit"}}
		if before+perPage > MaxNumbered {
			return p, errs.At(errs.CodeOutOfRange, "page",
				"only the first %d items have numbered pages; page on with cursor and limit", MaxNumbered)
		}
	}
	p.Items = append([]T{}, all[min(before, len(all)):min(before+perPage, len(all))]...)
	return p, nil
}
