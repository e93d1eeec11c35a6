package account_test

import (
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestAnAccountsTimeZoneIsANameThatEveryMachineAndBrowserKnows(t *testing.T) {
	onBoth(t, func(t *testing.T, f *fixture) {
		acme := f.account("Acme")
		path := "/accounts/" + acme
		_, viewer := f.member(acme, "kim@acme.example", "viewer")
		if zone := f.accounts.TimeZone(t.Context(), acme); zone != time.UTC {
			t.Errorf("without a choice the zone is %v", zone)
		}
		for _, bad := range []string{"Local", "CET", "Europe/Atlantis", "posix/Europe/Berlin", "../etc", "/etc/localtime"} {
			f.call(root, "PATCH", path, object{"time_zone": bad}).fails(400, errs.CodeInvalid)
		}
		f.call(viewer, "PATCH", path, object{"time_zone": "UTC"}, sameOrigin).fails(403, errs.CodeForbidden)

		f.call(root, "PATCH", path, object{"time_zone": "Europe/Berlin"}).ok()
		read := f.call(viewer, "GET", path, nil).ok()
		if read.text("time_zone") != "Europe/Berlin" {
			t.Error(read.Body)
		}
		at := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC).In(f.accounts.TimeZone(t.Context(), acme))
		if at.Format("15:04 MST") != "14:00 CEST" {
			t.Errorf("the cached zone is used after a change: %v", at)
		}
		f.call(root, "PUT", path, object{"name": "Acme again"}).ok()
		if name := f.accounts.TimeZoneName(t.Context(), acme); name != "Europe/Berlin" {
			t.Errorf("a replacement without the zone changed it to %q", name)
		}
		f.call(root, "PATCH", path, object{"time_zone": ""}).ok()
		if zone := f.accounts.TimeZone(t.Context(), acme); zone != time.UTC {
			t.Errorf("the zone is removed, and is %v", zone)
		}
		made := f.call(root, "POST", "/accounts", object{"name": "Globex", "time_zone": "Asia/Tokyo"}).ok()
		if made.text("time_zone") != "Asia/Tokyo" {
			t.Error(made.Body)
		}
	})
}
