package page

import "github.com/belfryhq/belfry/internal/platform/ui"

// List is a part of a list.
type List[T any] struct {
	Items []T
	Next  string // URL of the next part; "" at the end
}

// ReadList reads the part of a list that the URL's parameter cursor names, of at
// most limit items. place is the place of an item in the list, a small value
// such as its id; read returns the items after a place (its zero value = from
// the start). read is asked for one item more than the part has.
func ReadList[T, P any](v *Visit, limit int, place func(T) P, read func(after P, limit int) ([]T, error)) (List[T], error) {
	after, err := Cursor[P](v)
	if err != nil {
		return List[T]{}, err
	}
	items, err := read(after, limit+1)
	if err != nil || len(items) <= limit {
		return List[T]{Items: items}, err
	}
	items = items[:limit]
	return List[T]{Items: items, Next: v.Next(place(items[limit-1]))}, nil
}

// Map converts the items of a list.
func Map[T, R any](list List[T], convert func(T) R) List[R] {
	out := List[R]{Items: make([]R, len(list.Items)), Next: list.Next}
	for i, item := range list.Items {
		out.Items[i] = convert(item)
	}
	return out
}

// Cursor is the place in the page's list that the URL names; the zero value when
// it names none. Error: CodeBadCursor.
func Cursor[P any](v *Visit) (P, error) {
	var place P
	cursor := v.Query("cursor")
	if cursor == "" {
		return place, nil
	}
	err := v.set.kit.cfg.API.Cursors().Decode(v.list(), cursor, &place)
	return place, err
}

// Next is the URL of the page from a place in its list on. Other parameters of
// the URL stay.
func (v *Visit) Next(place any) string {
	return ui.With(v.Request.URL, "cursor", v.set.kit.cfg.API.Cursors().Encode(v.list(), place))
}

// list names the cursors of the page's list: those of another page are refused.
func (v *Visit) list() string { return "page " + v.Request.URL.Path }
