package feature

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// About names the events of an activity by one equality: those about a resource of Belfry, of an actor, of a zone, or
// of the requests with a token. Only one of the parts is set.
type About struct {
	ResourceType string // with ResourceID: one of Belfry's own resources, such as "policy"
	ResourceID   string
	Actor        string // id
	Zone         string // id
	Token        string // id
}

// Activity reads the newest events about an object, for the page of the object. The principal needs the permission to
// read the account's audit log; without it the result is empty.
type Activity func(
	ctx context.Context, who *web.Principal, accountID string, about About, limit int,
) (ui.Activity, error)
