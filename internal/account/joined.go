package account

import (
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// joinedOn returns the time at which a new member joined: now, or the time that
// an operator gives for a person who was a member before the account was created
// in this installation.
func (f *Feature) joinedOn(by *web.Principal, typed string) (int64, error) {
	now := f.micros()
	if typed == "" {
		return now, nil
	}
	if !by.Superoperator {
		return 0, errs.At(errs.CodeForbidden, "/since", "only operators may set since")
	}
	at, err := time.Parse(time.RFC3339Nano, typed)
	if err != nil || at.UnixMicro() > now || at.Year() < 1970 {
		return 0, errs.At(errs.CodeOutOfRange, "/since", "since must be a past time in RFC 3339")
	}
	return at.UnixMicro(), nil
}
