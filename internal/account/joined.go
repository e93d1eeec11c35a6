package account

import (
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// joinedOn is the time at which a new member joined: now, or what an operator
// says of a person who was there before the account was in this installation.
func (d *Directory) joinedOn(by *web.Principal, typed string) (int64, error) {
	now := d.micros()
	if typed == "" {
		return now, nil
	}
	if !by.Superoperator {
		return 0, errs.At(errs.CodeForbidden, "/since", "only operators say since when a person belongs to an account")
	}
	at, err := time.Parse(time.RFC3339Nano, typed)
	if err != nil || at.UnixMicro() > now || at.Year() < 1970 {
		return 0, errs.At(errs.CodeOutOfRange, "/since", "since must be a time in RFC 3339 that has passed")
	}
	return at.UnixMicro(), nil
}
