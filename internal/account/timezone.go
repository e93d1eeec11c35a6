package account

import (
	"context"
	_ "embed"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // the zones are the same on machines without a database of them

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// zoneNames are the names of the IANA database's zone.tab, which the form of the settings suggests.
//
//go:embed timezones.txt
var zoneNames string

// maxTimeZone bounds the name of a zone, in bytes.
const maxTimeZone = 64

// checkTimeZone accepts UTC, and the names AREA/LOCATION of the IANA database. Other names that [time.LoadLocation]
// reads, such as "Local", depend on the machine or are unknown to browsers.
func checkTimeZone(name string) error {
	if name == "" || name == "UTC" {
		return nil
	}
	area, _, ok := strings.Cut(name, "/")
	ok = ok && len(name) <= maxTimeZone && area != "posix" && area != "right"
	if ok {
		_, err := time.LoadLocation(name)
		ok = err == nil
	}
	if !ok {
		return errs.At(errs.CodeInvalid, "/time_zone",
			"time_zone is UTC or a name of the IANA database, such as Europe/Berlin")
	}
	return nil
}

// timeZone is the chosen zone of an account.
type timeZone struct {
	name     string // "" = none is chosen
	location *time.Location
}

// TimeZone is the zone of an account for times in mails, reports and schedules: UTC where none is chosen, and where
// the account cannot be read. Other processes see a change within [cacheTime].
func (f *Feature) TimeZone(ctx context.Context, accountID string) *time.Location {
	if zone := f.timeZone(ctx, accountID); zone.location != nil {
		return zone.location
	}
	return time.UTC
}

// TimeZoneName is the name of the zone that an account has chosen; "" = none.
func (f *Feature) TimeZoneName(ctx context.Context, accountID string) string {
	return f.timeZone(ctx, accountID).name
}

func (f *Feature) timeZone(ctx context.Context, accountID string) timeZone {
	zone, err := f.timeZones.Get(ctx, accountID, func(ctx context.Context) (timeZone, error) {
		a, err := f.Account(ctx, accountID)
		if err != nil {
			return timeZone{}, err
		}
		location, err := time.LoadLocation(a.TimeZone) // "" is UTC
		return timeZone{a.TimeZone, location}, err
	})
	if err != nil {
		return timeZone{}
	}
	return zone
}

// timeZonePicker is the field for the zone of an account; now shows how far each is from UTC.
func timeZonePicker(chosen, fault string, now time.Time) ui.Picker {
	p := ui.Picker{
		Name:        "time_zone",
		Label:       "Time zone",
		Hint:        "For mails, reports and schedules, and for pages where a person has not chosen another. Empty: mails have UTC, and pages the zone of the browser.",
		Error:       fault,
		Placeholder: "Europe/Berlin",
		AllowOther:  true,
	}
	for _, name := range append([]string{"UTC"}, strings.Fields(zoneNames)...) {
		zone, err := time.LoadLocation(name)
		if err != nil {
			continue // the database of this machine is older
		}
		p.Options = append(p.Options, ui.Choice{
			Value:  name,
			Label:  strings.ReplaceAll(name, "_", " "),
			Detail: now.In(zone).Format("UTC-07:00"),
			Icon:   "clock",
		})
	}
	if chosen != "" {
		at := slices.IndexFunc(p.Options, func(o ui.Choice) bool { return o.Value == chosen })
		p.Selected = []ui.Choice{{Value: chosen}}
		if at >= 0 {
			p.Selected[0] = p.Options[at]
		}
	}
	return p
}

// ValidTimeZone reports whether a name is UTC or one of the IANA database; "" is the zone of the account.
func ValidTimeZone(name string) bool { return checkTimeZone(name) == nil }
