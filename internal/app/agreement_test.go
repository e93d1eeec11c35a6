package app_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/producer"
)

// Features do not import each other; what two of them must agree on is held
// together here.

// audited finds event.NewAudit(account, "action", "type", ...) in the sources.
var audited = regexp.MustCompile(`NewAudit\([^,]+, "([a-z_.]+)", "([a-z_]+)"`)

func TestBelfrysOwnCatalogueHasEveryChangeThatBelfryRecords(t *testing.T) {
	p, err := producer.Builtin(app.CatalogueSections())
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != event.Product {
		t.Fatalf("the built-in product is %q", p.Name)
	}
	own := catalogue.Compiled[*audit.Declared](p)
	found := 0
	for _, dir := range []string{"../account", "../producer", "../audit", "../slo", "../notify", "../incident", "."} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "_test.go") {
				continue
			}
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range audited.FindAllSubmatch(text, -1) {
				found++
				if _, ok := own.Action(string(m[2]), string(m[1])); !ok {
					t.Errorf("%s records %s of %s, which belfry.yaml does not declare", file, m[1], m[2])
				}
			}
		}
	}
	for _, action := range []string{"export", "erase", "erased"} { // audit.SelfAction
		if _, ok := own.Action("record", action); !ok {
			t.Errorf("belfry.yaml does not declare %s of record", action)
		}
	}
	if found < 10 {
		t.Fatalf("only %d places were found: the search does not see them", found)
	}
}

// aboutPeople finds the types of resources that are people, or are called by a
// person's name or address.
var aboutPeople = []*regexp.Regexp{
	regexp.MustCompile(`NewAudit\([^,]+, [^,]+, "([a-z_]+)", [^,]+, ` +
		`(?:[a-zA-Z]+\.)*(?:[eE]mail|Member\.Name|who\.Name|p\.Name)\)`),
	regexp.MustCompile(`recordForPerson\([^"]+"[a-z_]+", "([a-z_]+)"`),
}

func TestWhatBelfryRecordsOfPeopleCanBeErased(t *testing.T) {
	p, err := producer.Builtin(app.CatalogueSections())
	if err != nil {
		t.Fatal(err)
	}
	own := catalogue.Compiled[*audit.Declared](p)
	files, err := filepath.Glob("../account/*.go")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, pattern := range aboutPeople {
			for _, found := range pattern.FindAllSubmatch(text, -1) {
				types[string(found[1])] = true
			}
		}
	}
	for _, known := range []string{"member", "session", "password", "sign_in_link", "operator", "portal_session"} {
		if !types[known] {
			t.Errorf("the search does not see that %s is about people", known)
		}
	}
	for name := range types {
		personal, _ := own.Protected(name)
		for _, field := range []string{"/resource/id", "/resource/name"} {
			if !slices.Contains(personal.Fixed(), field) {
				t.Errorf("belfry.yaml does not declare %s of %s personal", field, name)
			}
		}
	}
	for _, name := range []string{"member", "operator"} {
		personal, _ := own.Protected(name)
		for _, field := range []string{"/before/email", "/after/email", "/before/name", "/after/name"} {
			if !personal.Covers(field) {
				t.Errorf("belfry.yaml does not declare %s of %s personal", field, name)
			}
		}
	}
}
