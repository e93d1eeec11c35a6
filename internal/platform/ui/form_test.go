package ui_test

import (
	"errors"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func TestAnErrorIsSortedByTheFieldsOfAForm(t *testing.T) {
	f, ok := ui.FaultsOf(errs.List{
		errs.At(errs.CodeInvalid, "/name", "name is too long"),
		errs.At(errs.CodeInvalid, "/name", "and more"),
		errs.At(errs.CodeInvalid, "/hidden", "nobody sees this field!"),
	}, "name", "email")
	if !ok || f.Status != 400 {
		t.Fatal(ok, f.Status)
	}
	for field, want := range map[string]string{"name": "Name is too long.", "email": "", "": "Nobody sees this field!"} {
		if got := f.Of(field); got != want {
			t.Errorf("%q: %q instead of %q", field, got, want)
		}
	}
	f.Say("name", "Shorter, please.")
	f.Say("email", "There was no fault here.")
	if f.Of("name") != "Shorter, please." || f.Of("email") != "" {
		t.Error(f)
	}
	if (ui.Faults{}).Of("name") != "" {
		t.Error("a form that nobody sent has a fault")
	}
}

func TestAFieldsNameKeepsItsLetters(t *testing.T) {
	for in, want := range map[string]string{
		"account_id must be there": "account_id must be there.",
		"é":                        "É.",
		"":                         "",
		"Why?":                     "Why?",
	} {
		if got := ui.FullSentence(in); got != want {
			t.Errorf("%q: %q instead of %q", in, got, want)
		}
	}
}

func TestWhatASenderCannotMendIsNoFaultOfTheirForm(t *testing.T) {
	for _, err := range []error{errors.New("disk"), errs.New(errs.CodeUnavailable, "busy"),
		errs.New(errs.CodeNotFound, "gone")} {
		if _, ok := ui.FaultsOf(err, "name"); ok {
			t.Errorf("%v", err)
		}
	}
}

func TestAPageSaysHowLongToWait(t *testing.T) {
	w := httptest.NewRecorder()
	ui.RetryAfter(w, errs.New(errs.CodeInvalid, "no wait"))
	if got := w.Header().Get("Retry-After"); got != "" {
		t.Error(got)
	}
	ui.RetryAfter(w, errs.New(errs.CodeRateLimited, "wait").After(1500*time.Millisecond))
	if got := w.Header().Get("Retry-After"); got != "2" {
		t.Error(got)
	}
}

func TestAFieldTakesSeveralEntries(t *testing.T) {
	if got := ui.Entries(" a,b\r\nc\t d,,"); !slices.Equal(got, []string{"a", "b", "c", "d"}) {
		t.Error(got)
	}
}
