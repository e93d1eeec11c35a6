package errs_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestEveryCodeHasAPageAndTheTableIsSorted(t *testing.T) {
	last := errs.Code(0)
	for _, e := range errs.Entries() {
		if e.Code <= last {
			t.Errorf("code %d stands after %d", e.Code, last)
		}
		last = e.Code
		if got, ok := e.Code.Entry(); !ok || got != e {
			t.Errorf("code %d does not find its own entry", e.Code)
		}
		if e.Title == "" || e.Meaning == "" || e.Remedy == "" {
			t.Errorf("code %d lacks a text", e.Code)
		}
	}
}

func TestADescribedErrorKeepsItsKindThroughWrapping(t *testing.T) {
	e := errs.At(errs.CodeMissingField, "/actor/id", "actor.id is required")
	wrapped := fmt.Errorf("decode: %w", e)
	if k := errs.KindOf(wrapped); k != errs.Invalid {
		t.Fatalf("kind %v, want invalid", k)
	}
	if !errs.Is(wrapped, errs.CodeMissingField) {
		t.Fatal("the code got lost")
	}
	list := errs.List{e, errs.New(errs.CodeTooLarge, "too large")}
	if k := errs.KindOf(list.Or()); k != errs.Invalid {
		t.Fatalf("kind of the list %v, want that of its first", k)
	}
	if (errs.List{}).Or() != nil {
		t.Fatal("an empty list is not nil")
	}
}

func TestAnUndescribedErrorIsInternalAndDoesNotShowItsText(t *testing.T) {
	err := errors.New("password=hunter2")
	shown := errs.All(err)[0]
	if shown.Kind() != errs.Internal || shown.Message == err.Error() {
		t.Fatalf("shown %q as %v", shown.Message, shown.Kind())
	}
	if errs.All(context.DeadlineExceeded)[0].Code != errs.CodeDeadline {
		t.Fatal("a deadline is not told as one")
	}
}

func TestNoErrorHasNoKindAndNoCode(t *testing.T) {
	if k := errs.KindOf(nil); k != errs.None || k.Status() != 200 || k.Retryable() || k.String() != "none" {
		t.Errorf("kind %v, status %d", k, k.Status())
	}
	if list := errs.All(nil); list != nil {
		t.Errorf("described as %v", list)
	}
	for _, e := range errs.Entries() {
		if e.Kind == errs.None || errs.Is(nil, e.Code) {
			t.Errorf("code %d describes no error", e.Code)
		}
	}
	if slices.Contains(errs.Kinds(), errs.None.String()) || !slices.Contains(errs.Kinds(), errs.Internal.String()) {
		t.Errorf("kinds of errors: %v", errs.Kinds())
	}
	if k := errs.Code(1).Kind(); k != errs.Internal {
		t.Errorf("a code without an entry is %v, want internal", k)
	}
}

func TestBecauseAndAfterLeaveTheOriginalAlone(t *testing.T) {
	e := errs.New(errs.CodeUnavailable, "the database does not answer")
	f := e.Because(errors.New("dial")).After(time.Second)
	if e.Cause != nil || e.RetryAfter != 0 || f.Cause == nil || f.RetryAfter != time.Second {
		t.Fatalf("e=%+v f=%+v", e, f)
	}
	if !f.Kind().Retryable() || errs.Invalid.Retryable() {
		t.Fatal("retryable is told wrongly")
	}
}
