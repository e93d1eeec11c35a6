package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/producer"
)

// profileTypes are the alert types of the profile, which must be valid.
func profileTypes(t *testing.T, without string) (list []string) {
	t.Helper()
	file, err := readProfile("cloudflare", without)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.CatalogueSections().Compile(file.Products[0], "team", nil); err != nil {
		t.Fatal(err)
	}
	for _, declared := range catalogue.Entries[notify.DeclaredAlertType](file.Products[0]) {
		if !declared.Unsent || declared.Title == "" || declared.Description == "" {
			t.Errorf("%s: not complete: %+v", declared.Type, declared)
		}
		list = append(list, declared.Type)
	}
	return list
}

func TestTheProfileHasThePublicTypesThatBelfryDoesNotDeclare(t *testing.T) {
	own, err := producer.Builtin(app.CatalogueSections())
	if err != nil {
		t.Fatal(err)
	}
	types := profileTypes(t, "")
	for _, name := range types {
		if catalogue.Compiled[*notify.AlertTypes](own).Find(name) != nil {
			t.Errorf("%s is Belfry's own", name)
		}
	}
	if len(types) < 60 || !slices.Contains(types, "secondary_dns_warning") {
		t.Errorf("%d types: %v", len(types), types)
	}
}

func TestTypesAreLeftOutOfTheProfile(t *testing.T) {
	types := profileTypes(t, "secondary_dns_*, dos_attack_l4")
	for _, name := range types {
		if strings.HasPrefix(name, "secondary_dns_") || name == "dos_attack_l4" {
			t.Errorf("%s is there", name)
		}
	}
	if !slices.Contains(types, "dos_attack_l7") {
		t.Errorf("dos_attack_l7 is missing: %v", types)
	}
	for args, want := range map[string]string{
		"--profile aws": "--profile is cloudflare",
		"--profile cloudflare --without nonsense": "has no alert type nonsense",
		"--profile cloudflare belfry.yaml":        "--profile replaces the file",
		"belfry.yaml --without secondary_dns_*":   "--without belongs to --profile",
	} {
		words := append([]string{"apply", "--producer", "p1", "--url", "http://127.0.0.1:1", "--token", "x"},
			strings.Fields(args)...)
		if code, _, complaints := catalog(t, words...); code != 2 || !strings.Contains(complaints, want) {
			t.Errorf("%s: %d %q, want %q", args, code, complaints, want)
		}
	}
}
