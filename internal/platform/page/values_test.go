package page_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func TestValuesAreReadFromFieldsAndLines(t *testing.T) {
	form := url.Values{
		"zones":        {" z1 ", "z2\r\nz3\n\nz1", ""},
		"zones.chosen": {`{"value":"z1","label":"shop.example","icon":"globe"}`, `{`},
		"mode":         {"not"},
	}
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	v := &page.Visit{Request: r}
	if got, want := v.Values("zones", 2), []string{"z1", "z2", "z3"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	want := []ui.Choice{{Value: "z1", Label: "shop.example", Icon: "globe"}, {Value: "z2"}, {Value: "z3"}}
	if got := v.Choices("zones", 64); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if !v.Excludes("mode") || v.Excludes("other") {
		t.Error("the mode was misread")
	}
}
