package catalogue_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/belfryhq/belfry/internal/catalogue"
	"github.com/belfryhq/belfry/test/sections"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func parse(t testing.TB, text string) *catalogue.File {
	t.Helper()
	file, err := sections.All().Parse([]byte(text), catalogue.YAML)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
