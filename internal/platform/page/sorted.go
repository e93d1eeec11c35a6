package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// A list of limited length, such as the members of an account, is read whole; its
// page filters and sorts it in memory.

// place is the position of a row in such a list.
type place struct {
	Key string `json:"k"`
	ID  string `json:"i"`
}

func (a place) compare(b place) int {
	return cmp.Or(strings.Compare(a.Key, b.Key), strings.Compare(a.ID, b.ID))
}

// SortedList sorts rows by key, and by id where keys are equal, and returns the
// part of the list that the URL names, of at most limit rows.
func SortedList[T any](v *Visit, limit int, rows []T, keyOf func(T) (key, id string)) (List[T], error) {
	placeOf := func(row T) place {
		key, id := keyOf(row)
		return place{key, id}
	}
	slices.SortFunc(rows, func(a, b T) int { return placeOf(a).compare(placeOf(b)) })
	return ReadList(v, limit, placeOf, func(after place, limit int) ([]T, error) {
		from := 0
		if after != (place{}) {
			from = len(rows)
			if i := slices.IndexFunc(rows, func(row T) bool { return placeOf(row).compare(after) > 0 }); i >= 0 {
				from = i
			}
		}
		return rows[from:min(len(rows), from+limit)], nil
	})
}

// ByName is the key of a list that is sorted by name.
func ByName(name string) string { return strings.ToLower(name) }

// NewestFirst is the key of a list that begins with the newest time; rows without
// a time are last.
func NewestFirst(at time.Time) string {
	if at.IsZero() {
		return "z"
	}
	return fmt.Sprintf("%019d", math.MaxInt64-at.UnixMicro())
}

// SoonestFirst is the key of a list that begins with the earliest time; rows
// without a time are last.
func SoonestFirst(at time.Time) string {
	if at.IsZero() {
		return "z"
	}
	return fmt.Sprintf("%019d", at.UnixMicro())
}

// Passes reports whether the filters of the URL on a key let a row through that
// has the values: one of those that are included, and none that is excluded.
func (v *Visit) Passes(key string, values ...string) bool {
	q := v.Request.URL.Query()
	among := func(list []string) bool {
		return slices.ContainsFunc(values, func(value string) bool { return slices.Contains(list, value) })
	}
	wanted := ui.FilterValues(q, key, len(q[key]))
	return (len(wanted) == 0 || among(wanted)) && !among(q[key+".not"])
}
