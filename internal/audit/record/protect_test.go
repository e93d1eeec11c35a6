package record

import (
	"fmt"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/event"
)

const bare = `{"id":"i","action":{"type":"a"},"actor":{"type":"user","id":"u"},` +
	`"resource":{"product":"p","type":"t","id":"r"}%s}`

func TestSecretsGoThroughListsAndHoldAtAnyDepthInAnyCase(t *testing.T) {
	for _, c := range []struct{ secret, members, want string }{
		{"/after/users/0/password", `"after":{"users":[{"password":"s3cret"},{"password":"shown"}]}`,
			`{"users":[{"password":"[redacted]"},{"password":"shown"}]}`},
		{"/after/users/password", `"after":{"users":[{"password":"s3cret-1"},[{"password":{"s3cret-2":1}}]]}`,
			`{"users":[{"password":"[redacted]"},[{"password":"[redacted]"}]]}`},
		{"password", `"after":{"team":[{"password":"s3cret"}],"a":{"b":{"PassWord":"s3cret"}}}`,
			`{"team":[{"password":"[redacted]"}],"a":{"b":{"PassWord":"[redacted]"}}}`},
		{"password", `"before":[{"password":"s3cret-1"}],"after":[{"password":"s3cret-2"}]`,
			`[{"password":"[redacted, changed]"}]`},
		{"password", `"before":[{"password":"s3cret-1"}],"after":[{"password":"s3cret-1"}]`, `[{"password":"[redacted]"}]`},
	} {
		p := sealTest(t, fmt.Sprintf(bare, ","+c.members), &rules{Secret: event.ParseFields([]string{c.secret})})
		all := string(p.Sealed.Envelope) + string(p.Sealed.Openings()) + string(p.Event.Before)
		if strings.Contains(all, "s3cret") || string(p.Event.After) != c.want {
			t.Errorf("secret %s in %s: %s", c.secret, c.members, p.Event.After)
		}
	}
}
