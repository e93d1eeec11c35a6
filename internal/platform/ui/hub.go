package ui

import "time"

// Hub is the page of one object: a head with its state and actions, tabs, and
// the properties beside the sections.
//
//	{{template "hub-head" .Hub}}
//	<div class="hub">{{template "hub-side" .Hub}}
//	<div class="hub-main">
//	  {{template "metrics" .Metrics}}
//	  <section class="panel">{{template "section-head" (dict "Title" "Deliveries")}}...</section>
//	  {{template "activity" .Activity}}
//	</div></div>
//
// With Live set, head and side ask that path for themselves every five seconds.
// The feature then defines the fragments "PAGE#hub-head" and "PAGE#hub-side",
// which call the same components.
type Hub struct {
	Back       Link // Label is the list's name, read aloud
	Icon       string
	Avatar     *Person // drawn instead of Icon
	Title      string
	Status     Status
	Subtitle   Sentence
	Actions    []Link // as buttons, at most three
	More       []Link // in the menu beside them
	Tabs       []Link
	Properties []PropertyGroup
	Live       string
}

// Status is a state with its tone. Without a label nothing is drawn.
type Status struct {
	Label string
	Tone  Tone
}

// Person is an actor with an avatar. Kind is user (default), token,
// integration, staff or system.
type Person struct {
	Name, Kind, Href string
}

// PropertyGroup is a block of properties. Action leads to the form that changes
// them.
type PropertyGroup struct {
	Title      string // "" for the first group
	Action     Link
	Properties []Property
}

// Property is one line: a label and its value. The value is the first of
// Person, Status, At, Copy, Links and Text that is set; "" is drawn as a dash.
type Property struct {
	Label  string
	Text   string
	Href   string // makes a link of Text or Copy
	Icon   string // before Text
	Mono   bool
	Copy   string // text to copy, such as an id; Text, if set, is shown in its place
	Person *Person
	Status Status
	At     time.Time // shown with its date, and with its age when Ago is set
	Ago    bool
	Links  []Link // several values
	Note   string // below the value, muted
}

// Activity is the newest events about an object. The feature that owns the
// events fills it; every page draws it alike.
type Activity struct {
	Title string // default "Activity"
	Note  string
	Rows  []ActivityRow
	All   string // path of the audit log about this object; "" = no link
	Empty string // default "Nothing has happened to it yet."
	Live  string // path that answers with the fragment "PAGE#activity"; "" = not live
}

// ActivityRow is one event: "Ana Lima lowered the payment timeout".
type ActivityRow struct {
	ID       string // of the element; unique on the page
	Actor    string
	Kind     string // of the actor, see [Person]
	Icon     string // drawn instead of the avatar
	Sentence Sentence
	Note     string // the reason
	Tone     Tone   // Bad marks a failure
	At       time.Time
	Href     string
}

// Metric is one card of a strip of numbers. Colour is a verdict on Value: Bad
// and Warn ask for attention, Good confirms a promise, and a plain count is
// Neutral.
type Metric struct {
	Label, Value, Unit, Note string
	Icon, Href               string
	Tone                     Tone
	Progress                 float64 // 0 to 100; 0 = no bar
	NoData                   bool    // nothing was measured yet: an empty track in place of the bar
	Spark                    []float64
	Parts                    *Parts
	Columns                  *Columns
}
