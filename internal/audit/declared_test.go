package audit_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/test/sections"
)

// compiled is the only product of a file of the catalogue's test data.
func compiled(t testing.TB, file string) *catalogue.Product {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../catalogue/testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := sections.All().Parse(data, catalogue.YAML)
	if err != nil {
		t.Fatal(err)
	}
	p, err := sections.All().Compile(parsed.Products[0], "", nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func declared(t testing.TB, file string) *audit.Declared {
	t.Helper()
	return catalogue.Compiled[*audit.Declared](compiled(t, file))
}

// checked is an event with what a catalogue checks.
func checked(resource, action, before, after, metadata string) *record.Event {
	return &record.Event{
		Resource: record.Resource{Type: resource},
		Action:   record.Action{Type: action},
		Before:   jsontext.Value(before),
		After:    jsontext.Value(after),
		Metadata: jsontext.Value(metadata),
	}
}

func TestAnEventIsComparedWithItsCatalogue(t *testing.T) {
	c := declared(t, "full.yaml")
	for _, one := range []struct {
		name, resource, action, before, after, metadata string
		want                                            string // code pointer message-part, in order
	}{
		{"good", "certificate", "update", `{"min_version":"1.2"}`, `{"min_version":"1.0","days":30}`, `{"ticket":"T-1"}`, ""},
		{"nothing to compare", "certificate", "view", "", "null", "", ""},
		{"unknown resource", "certificat", "update", "", "", "", `12002 /resource/type "certificate" meant`},
		{"unknown action", "certificate", "updated", "", "", "", `12002 /action/type "update" meant`},
		{"far name", "certificate", "reticulate", "", "", "", `12002 /action/type it has delete, update, view`},
		{"missing member", "certificate", "update", `{}`, "", "", `12003 /before before lacks min_version`},
		{"wrong type", "certificate", "update", "", `{"min_version":"1.2","days":"x"}`, "",
			`12003 /after/days after.days must be of type integer, not string`},
		{"out of range", "certificate", "update", "", `{"min_version":"1.2","days":366}`, "",
			`12003 /after/days at most 365`},
		{"enum", "certificate", "update", "", `{"min_version":"hunter2"}`, "",
			`12003 /after/min_version one of "1.0", "1.2", "1.3"`},
		{"format", "certificate", "update", "", `{"min_version":"1.2","owner":{"email":"hunter2"}}`, "",
			`12003 /after/owner/email format email`},
		{"in a list", "certificate", "update", "", `{"min_version":"1.2","hosts":["a",""]}`, "",
			`12003 /after/hosts/1 at least 1 char`},
		{"unknown member", "certificate", "update", "", `{"min_version":"1.2","x/y":1}`, "", `12003 /after x/y`},
		{"pattern", "certificate", "update", "", "", `{"ticket":"hunter2"}`, `12003 /metadata/ticket match the pattern`},
		{"huge number", "certificate", "update", "", `{"min_version":"1.2","days":1e999999999}`, "", `12003 /after exponent`},
	} {
		t.Run(one.name, func(t *testing.T) {
			list := c.Check(checked(one.resource, one.action, one.before, one.after, one.metadata), nil)
			if one.want == "" {
				if len(list) > 0 {
					t.Fatal(list)
				}
				return
			}
			if len(list) != 1 {
				t.Fatalf("%d faults: %v", len(list), list)
			}
			parts := strings.SplitN(one.want, " ", 3)
			if e := list[0]; fmt.Sprint(int(e.Code)) != parts[0] || e.Pointer != parts[1] ||
				!strings.Contains(e.Message, parts[2]) {
				t.Errorf("got %d %s %q", e.Code, e.Pointer, e.Message)
			}
			if strings.Contains(list[0].Message, "hunter2") {
				t.Errorf("the value is repeated: %q", list[0].Message)
			}
		})
	}
}

func TestProtectedNamesHoldAtAnyDepthAndPointersInTheirPlace(t *testing.T) {
	c := declared(t, "full.yaml")
	for _, resourceType := range []string{"certificate", "no such type"} {
		personal, secret := c.Protected(resourceType)
		for pointer, want := range map[string]bool{"/after/password": true, "/before/a/PASSWORD": true,
			"/metadata/list/0/password": true, "/after/owner": false} {
			if secret.Covers(pointer) != want {
				t.Errorf("%s: secret %s, want %v", resourceType, pointer, want)
			}
		}
		for pointer, want := range map[string]bool{"/after/owner/email": true, "/before/owner/email": true,
			"/metadata/owner/email": false} {
			if personal.Covers(pointer) != want {
				t.Errorf("%s: personal %s, want %v", resourceType, pointer, want)
			}
		}
		if fixed := personal.Fixed(); !slices.Equal(fixed, []string{"/reason/text"}) {
			t.Errorf("%s: personal %v", resourceType, fixed)
		}
	}
}

func TestSentencesAreFoundByResult(t *testing.T) {
	c := declared(t, "full.yaml")
	if s, failed := c.Sentence("certificate", "update", "failure"); !failed || s != "{actor} could not change {resource}" {
		t.Error(s, failed)
	}
	if s, failed := c.Sentence("certificate", "update", "success"); failed || !strings.HasPrefix(s, "{actor} changed") {
		t.Error(s, failed)
	}
	if s, failed := c.Sentence("certificate", "delete", "failure"); failed || s != "" {
		t.Error(s, failed)
	}
	if a, ok := c.Action("certificate", "view"); !ok || !a.View {
		t.Error(a, ok)
	}
	if p := compiled(t, "full.yaml"); p.Category != "Security" {
		t.Error(p.Category)
	}
}

func TestCommittableFollowsTheRecordsFormat(t *testing.T) {
	for pointer, want := range map[string]bool{
		"/before":        true,
		"/before/x":      true,
		"/after/a/b":     true,
		"/metadata/x~1y": true,
		"/actor/email":   true,
		"/reason/text":   true,

		"":                  false,
		"/before/":          false,
		"before/x":          false,
		"/after/a//x":       false,
		"/action/type":      false,
		"/resource/product": false,
		"/x/y":              false,
	} {
		if record.Committable(pointer) != want {
			t.Errorf("%q: %v", pointer, !want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	c := declared(f, "full.yaml")
	f.Add("update", `{"min_version":"1.2","hosts":["a"]}`, `{"ticket":"T-1"}`)
	f.Add("view", `{"a":[1e400,{"b":null}]}`, `[]`)
	f.Fuzz(func(t *testing.T, action, after, metadata string) {
		for _, e := range c.Check(checked("certificate", action, "", after, metadata), nil) {
			if e.Kind() != errs.Invalid || e.Pointer == "" || e.Message == "" {
				t.Fatalf("%+v", e)
			}
		}
	})
}

func BenchmarkCheckWithoutSchema(b *testing.B) {
	p := compiled(b, "tls.yaml")
	e := checked("zone_setting", "update", "", "", "")
	for b.Loop() {
		if list := catalogue.Compiled[*audit.Declared](p).Check(e, nil); list != nil {
			b.Fatal(list)
		}
	}
}
