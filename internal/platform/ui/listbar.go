package ui

import "net/url"

// Filters is the bar above a list: a search field, the filters in force as
// chips, a menu that adds filters, the time range, and the menus for sort order,
// saved views and display. [NewFilters] fills it from the URL, which is the
// state of the list. Only density and columns are the browser's own.
//
//	{{template "filters" .Filters}}
type Filters struct {
	Action      string // path of the list
	Query       string // text of the search field, parameter q
	Placeholder string
	NoSearch    bool
	Keys        []FilterKey // of the menu "Filter"
	Chips       []Chip
	Clear       string   // URL without search and filters; "" while there are none
	Keep        []Hidden // parameters that the search form keeps
	All         []Hidden // parameters that a new filter keeps
	Range       *Range
	Sort        []Link // see [Sorts]
	Display     *Display
	Views       []View
	SaveView    string // path that saves the query as a view by POST; "" = no saving
	ShareViews  bool   // the user may save views for the whole account
	RawQuery    string // of the URL, without cursor: the query of a new view
}

// Display is the menu for the look of a list. The list is an element with
// data-list="NAME"; its cells of a column have data-col="KEY". The browser keeps
// the choice by the name.
type Display struct {
	Name    string // of the list, such as "policies": lower-case letters and hyphens
	Columns []ListColumn
}

// ListColumn is a column that can be hidden. Key has lower-case letters and
// hyphens.
type ListColumn struct {
	Key, Label string
}

// View is a saved view of a list. DeleteHref is the page that asks before it is
// deleted; "" = the user may not.
type View struct {
	Name, Href, DeleteHref string
	Current, Shared        bool
}

// NewFilters reads the search text and the filters of a URL. The caller adds
// the parts that the list has: range, sort order, display, views.
func NewFilters(u *url.URL, placeholder string, keys ...FilterKey) Filters {
	f := Filters{
		Action:      u.Path,
		Query:       u.Query().Get("q"),
		Placeholder: placeholder,
		Keys:        keys,
		Chips:       Chips(u, keys...),
		Keep:        KeepQuery(u, "q"),
		All:         KeepQuery(u),
	}
	if f.Query != "" || len(f.Chips) > 0 {
		f.Clear = edit(u, func(q url.Values) {
			q.Del("q")
			for _, key := range keys {
				q.Del(key.Key)
				q.Del(key.Key + ".not")
			}
		})
	}
	query := u.Query()
	query.Del("cursor")
	f.RawQuery = query.Encode()
	return f
}

// SortName is the label of the current sort order.
func (f Filters) SortName() string {
	for _, s := range f.Sort {
		if s.Current {
			return s.Label
		}
	}
	return "Sort"
}

// ViewName is the name of the current view, or "Views".
func (f Filters) ViewName() string {
	for _, v := range f.Views {
		if v.Current {
			return v.Name
		}
	}
	return "Views"
}

// Sorts are the sort orders of a list, the first being the default. The
// parameter sort of the URL names one; [SortOf] reads it.
func Sorts(u *url.URL, orders ...Choice) []Link {
	current := SortOf(u, orders...)
	links := make([]Link, len(orders))
	for i, order := range orders {
		value := order.Value
		if i == 0 {
			value = ""
		}
		links[i] = Link{
			Label:   order.Words(),
			Icon:    order.Icon,
			Href:    With(u, "sort", value),
			Current: order.Value == current,
		}
	}
	return links
}

// SortOf is the sort order that the URL names, or the first.
func SortOf(u *url.URL, orders ...Choice) string {
	for _, order := range orders {
		if order.Value == u.Query().Get("sort") {
			return order.Value
		}
	}
	if len(orders) == 0 {
		return ""
	}
	return orders[0].Value
}

// Selection is the bar for acts on several rows. The rows have a box each:
//
//	<div class="panel" data-list="policies" data-selectable>
//	<table class="table"><thead><tr><th>{{template "select-all" .Selection}}</th>...
//	<td>{{template "select-box" (dict "Form" .Selection.Form "Value" .ID "Label" .Name)}}</td>
//	...</table>{{template "select-bar" .Selection}}</div>
//
// The bar is one form: its POST has the field id for each chosen row, and the
// field act with the Value of the button. It works without scripts.
type Selection struct {
	Form   string // id of the form; unique on the page
	Action string // path
	Noun   string // of several rows: "policies"
	Acts   []BulkAct
}

// BulkAct is a button of a [Selection]. Href replaces the form's path, for
// instance by that of a page that asks first.
type BulkAct struct {
	Label, Icon, Value, Href string
	Danger                   bool
}
