package account

import (
	"slices"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// UsualExpiry is the default lifetime of a token in forms, in days. A form without
// a choice must not create a token that never ends.
const UsualExpiry = "90"

const never = "never"

// Expiries are the presets of a token's lifetime, for a select: value and label.
func Expiries() [][2]string {
	return [][2]string{
		{"7", "7 days"},
		{"30", "30 days"},
		{UsualExpiry, "90 days"},
		{"365", "1 year"},
		{never, "Never: until it is revoked"},
	}
}

// Expiry returns the chosen preset, or the default for an unknown one, and the
// end that it means; the zero time is never.
func Expiry(chosen string, now time.Time) (preset string, at web.Time) {
	if chosen == never {
		return never, at
	}
	if !slices.ContainsFunc(Expiries(), func(e [2]string) bool { return e[0] == chosen }) {
		chosen = UsualExpiry
	}
	days, err := strconv.Atoi(chosen)
	if err != nil {
		panic(err) // the presets are numbers of days
	}
	return chosen, web.TimeOf(now.AddDate(0, 0, days).UnixMicro())
}
