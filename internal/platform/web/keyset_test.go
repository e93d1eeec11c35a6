package web_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// letters is a list of n items that is ordered by id.
func letters(n int) func(after web.Keyset, limit int) ([]string, error) {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%05d", i))
	}
	return func(after web.Keyset, limit int) ([]string, error) {
		i, found := slices.BinarySearch(all, after.ID)
		if found {
			i++
		}
		return all[i:min(i+limit, len(all))], nil
	}
}

func keyOf(item string) web.Keyset { return web.Keyset{ID: item} }

func TestAListIsReadPageByPage(t *testing.T) {
	cursors := web.NewCursors(key)
	for _, n := range []int{0, 1, 10, 11, 25} {
		read := letters(n)
		var got []string
		pages := 0
		for cursor := ""; ; {
			page, err := web.ReadPage(cursors, "letters", web.Paging{Cursor: cursor, Limit: 10}, keyOf, read)
			if err != nil || page.Items == nil || len(page.Items) > 10 {
				t.Fatalf("%d items: page %d has %d, %v", n, pages, len(page.Items), err)
			}
			got = append(got, page.Items...)
			pages++
			if cursor = page.Cursor; cursor == "" {
				break
			}
		}
		if len(got) != n || !slices.IsSorted(got) || pages != max(1, (n+9)/10) {
			t.Errorf("%d items: %d on %d pages", n, len(got), pages)
		}
	}
}

func TestAPageSaysWhyItCannotBeRead(t *testing.T) {
	cursors := web.NewCursors(key)
	broken := errors.New("broken")
	fail := func(web.Keyset, int) ([]string, error) { return nil, broken }
	for _, in := range []web.AnyPaging{{}, {Page: 1}} {
		if _, err := web.ReadAnyPage(cursors, "letters", in, keyOf, fail); !errors.Is(err, broken) {
			t.Errorf("%+v: %v", in, err)
		}
	}
	page, err := web.ReadPage(cursors, "letters of a", web.Paging{Limit: 1}, keyOf, letters(2))
	if err != nil || page.Cursor == "" {
		t.Fatalf("%+v, %v", page, err)
	}
	_, err = web.ReadPage(cursors, "letters of b", web.Paging{Cursor: page.Cursor}, keyOf, letters(2))
	if !errs.Is(err, errs.CodeBadCursor) {
		t.Errorf("another list's cursor: %v", err)
	}
	both := web.AnyPaging{Page: 1, Paging: web.Paging{Cursor: page.Cursor}}
	if _, err := web.ReadAnyPage(cursors, "letters of a", both, keyOf, letters(2)); errs.KindOf(err) != errs.Invalid {
		t.Errorf("a cursor and a page: %v", err)
	}
}

func TestAListHasNumberedPages(t *testing.T) {
	cursors := web.NewCursors(key)
	for _, c := range []struct {
		n, page, perPage    int
		first, total, items int
		capped              bool
		code                errs.Code
	}{
		{n: 25, page: 1, perPage: 10, first: 0, total: 25, items: 10},
		{n: 25, page: 3, perPage: 10, first: 20, total: 25, items: 5},
		{n: 25, page: 4, perPage: 10, total: 25},
		{n: 10_001, page: 10, perPage: 1000, first: 9000, total: 10_000, items: 1000, capped: true},
		{n: 10_001, page: 11, perPage: 1000, total: 10_000, capped: true, code: errs.CodeOutOfRange},
		{n: 10_001, page: 12, perPage: 1000, code: errs.CodeOutOfRange},
	} {
		in := web.AnyPaging{Page: c.page, PerPage: c.perPage}
		page, err := web.ReadAnyPage(cursors, "letters", in, keyOf, letters(c.n))
		var e *errs.Error
		if errors.As(err, &e); c.code != 0 && (e == nil || e.Code != c.code) || c.code == 0 && err != nil {
			t.Errorf("%+v: %v", c, err)
		}
		if len(page.Items) != c.items || page.Total != c.total || (len(page.Messages) > 0) != c.capped {
			t.Errorf("%+v: %d items of %d, messages %v", c, len(page.Items), page.Total, page.Messages)
		}
		if c.items > 0 && page.Items[0] != fmt.Sprintf("%05d", c.first) {
			t.Errorf("%+v: begins with %s", c, page.Items[0])
		}
	}
}
