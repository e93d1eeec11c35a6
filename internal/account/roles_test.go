package account_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// table is the contract, cell by cell.
const table = `
                     owner admin operator editor viewer auditor
audit:read           x     x     x        x      x      x
audit:write          x     x     .        .      .      .
audit:export         x     x     .        .      .      x
audit:erase          x     .     .        .      .      .
notifications:read   x     x     x        x      x      .
notifications:write  x     x     .        x      .      .
deliveries:replay    x     x     x        .      .      .
alerts:send          x     x     .        .      .      .
traffic:write        x     x     .        .      .      .
slo:read             x     x     x        x      x      .
slo:write            x     x     .        x      .      .
flags:read           x     x     x        x      x      .
flags:write          x     x     .        x      .      .
mail:read            x     x     x        x      x      .
mail:write           x     x     .        .      .      .
members:read         x     x     x        x      x      .
members:write        x     x     .        .      .      .
tokens:read          x     x     x        x      x      .
tokens:write         x     x     .        .      .      .
accounts:read        x     x     x        x      x      .
accounts:write       x     x     .        .      .      .
catalog:write        x     x     .        .      .      .
*                    x     .     .        .      .      .
`

func TestEveryCellOfTheRolesIsAsAgreed(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(table), "\n")
	names := strings.Fields(lines[0])
	if len(names) != len(account.Roles()) {
		t.Fatalf("%d roles in the table, %d in the code", len(names), len(account.Roles()))
	}
	var permissions []string
	for _, line := range lines[1:] {
		cells := strings.Fields(line)
		permissions = append(permissions, cells[0])
		for i, name := range names {
			role := account.Role(name)
			p := &web.Principal{Kind: web.KindUser, ID: "u", Grants: map[string]web.Permissions{"a": role.Permissions()}}
			if got, want := p.Can("a", cells[0]), cells[i+1] == "x"; got != want {
				t.Errorf("%s %s: %v instead of %v", name, cells[0], got, want)
			}
		}
	}
	if got := append(account.AllPermissions(), "*"); !slices.Equal(got, permissions) {
		t.Errorf("permissions in the code: %v", got)
	}
}

func TestAnUnknownRoleMayNothing(t *testing.T) {
	for _, role := range []account.Role{"", "Owner", "root", "o"} {
		if role.Valid() || len(role.Permissions()) != 0 {
			t.Errorf("%q: %v", role, role.Permissions())
		}
	}
}
