package page

import "github.com/belfryhq/belfry/internal/platform/ui"

// List is a part of a list.
type List[T any] struct {
	Items []T
	Next  string // URL of the next part; "" at the end
}

// ReadList reads the part of a list that the parameter cursor of the URL names,
// of at most limit items. keyOf is the position of an item in the list, a small
// struct such as web.Keyset; read returns the items after a position (its zero
// value is the beginning), at most limit of them.
func ReadList[T, P any](
	v *Visit, limit int, keyOf func(T) P, read func(after P, limit int) ([]T, error),
) (List[T], error) {
	after, err := Cursor[P](v)
	if err != nil {
		return List[T]{}, err
	}
	items, err := read(after, limit+1) // one more shows whether the list goes on
	if err != nil || len(items) <= limit {
		return List[T]{Items: items}, err
	}
	items = items[:limit]
	return List[T]{Items: items, Next: v.Next(keyOf(items[limit-1]))}, nil
}

// Map converts the items of a list.
func Map[T, R any](list List[T], convert func(T) R) List[R] {
	out := List[R]{Items: make([]R, len(list.Items)), Next: list.Next}
	for i, item := range list.Items {
		out.Items[i] = convert(item)
	}
	return out
}

// Cursor is the position in the page's list that the URL names, a small struct
// such as web.Keyset; the zero value is the beginning. Error: CodeBadCursor.
func Cursor[P any](v *Visit) (P, error) {
	var position P
	cursor := v.Query("cursor")
	if cursor == "" {
		return position, nil
	}
	err := v.set.kit.cfg.API.Cursors().Decode(v.list(), cursor, &position)
	return position, err
}

// Next is the URL of the page with the part of its list after a position (see
// [Cursor]). Other parameters of the URL stay.
func (v *Visit) Next(position any) string {
	return ui.With(v.Request.URL, "cursor", v.set.kit.cfg.API.Cursors().Encode(v.list(), position))
}

// list names the cursors of the page's list: those of another page are refused.
func (v *Visit) list() string { return "page " + v.Request.URL.Path }
