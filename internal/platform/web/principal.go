package web

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
	"time"
)

// Kind is the type of a principal.
type Kind string

// The kinds.
const (
	KindUser     Kind = "user"
	KindToken    Kind = "token"    // an account's API token
	KindProducer Kind = "producer" // a product team's token: writes for every account
	KindPortal   Kind = "portal"   // a customer's user in a session of the customers' pages
	KindStaff    Kind = "staff"    // the operators' people and tokens
	KindSystem   Kind = "system"   // Belfry itself
)

// Permissions is a set of rights such as "audit:read"; "*" is all of them.
type Permissions []string

// Has reports whether the set holds the right, by name or by "*".
func (p Permissions) Has(permission string) bool {
	return slices.Contains(p, permission) || slices.Contains(p, "*")
}

// Principal is the authenticated sender of a request. It is shared by the goroutines of
// its request and never changed.
type Principal struct {
	Kind  Kind
	ID    string // of the user, token or producer
	Name  string
	Email string

	// TokenID and TokenName are those of a producer's token; ID and Name are the producer's.
	TokenID, TokenName string

	// AccountID is the account that the credential belongs to, with
	// Permissions in it. Producers and installation-wide credentials have none.
	AccountID   string
	Permissions Permissions
	Grants      map[string]Permissions // further accounts of a user, by id

	// Installation: the credential belongs to the operators and reaches every
	// account with the permissions that it names ("*" does not count there).
	Installation  bool
	Superoperator bool // may do everything everywhere

	Session   bool       // authenticated by a cookie: cross-origin checks apply
	SessionID string     // of a portal session; recorded with its actions
	IP        netip.Addr // the client's address
	Ends      time.Time  // when the credential ends unless it is used again; zero = never

	// OnBehalfOf is, of a portal session, the user's id in the system of the
	// company that opened it.
	OnBehalfOf string
}

// Can reports whether the principal has a permission in an account; accountID
// "" asks for the installation itself. All permission checks end here: what is not
// granted is denied.
func (p *Principal) Can(accountID, permission string) bool {
	switch {
	case p == nil || permission == "":
		return false
	case p.Superoperator:
		return true
	case p.Installation:
		return p.AccountID == "" && slices.Contains(p.Permissions, permission)
	case accountID == "":
		return false
	case p.Kind == KindProducer:
		return p.AccountID == "" && slices.Contains(p.Permissions, permission)
	case p.AccountID == accountID:
		return p.Permissions.Has(permission)
	default:
		return p.Grants[accountID].Has(permission)
	}
}

// Reaches reports whether the principal has any right in the account.
func (p *Principal) Reaches(accountID string) bool {
	switch {
	case p == nil || accountID == "":
		return false
	case p.Superoperator:
		return true
	case p.Installation, p.Kind == KindProducer:
		return p.AccountID == "" && len(p.Permissions) > 0
	case p.AccountID == accountID:
		return len(p.Permissions) > 0
	default:
		return len(p.Grants[accountID]) > 0
	}
}

// produces reports whether the principal is a producer, or an operator, with the
// permission.
func (p *Principal) produces(permission string) bool {
	return p.Superoperator || (p.Kind == KindProducer || p.Installation) && p.AccountID == "" &&
		slices.Contains(p.Permissions, permission)
}

// Key identifies the principal in limits and stored answers. The account is part of
// it: the ids of members, which customers choose, are unique in their account only.
func (p *Principal) Key() string { return string(p.Kind) + ":" + p.AccountID + ":" + p.ID }

// Authenticate finds who sent the request: from its bearer token ([Bearer]) or
// session cookie. It is nil, without an error, for a request that carries
// neither. Errors: CodeAuthentication, CodeTokenExpired, CodeTokenAddress
// (compare [ClientAddr]), CodeUnavailable.
type Authenticate func(ctx context.Context, r *http.Request) (*Principal, error)

// ResolveAccount finds the account that ref names: a 32-character id or
// "ext:<external_id>". Unknown: an error of code CodeNotFound.
type ResolveAccount func(ctx context.Context, ref string) (id string, err error)

// Denied is called for every request that was refused for lack of permission.
// route is the pattern ("GET /client/v4/..."), accountID the account as far as
// it is known ("" otherwise). It must not block.
type Denied func(ctx context.Context, p *Principal, route, accountID string)

// AccountRef is the authorised account of a request.
type AccountRef struct {
	ID string // 32 hex characters
}

type principalKey struct{}
type accountKey struct{}

// WithPrincipal returns a context in which [CurrentPrincipal] is p and [Account]
// is the account (web does this for every request; work outside requests and
// tests may).
func WithPrincipal(ctx context.Context, p *Principal, account AccountRef) context.Context {
	ctx = context.WithValue(ctx, principalKey{}, p)
	return context.WithValue(ctx, accountKey{}, account)
}

// CurrentPrincipal is the sender of the request; nil on a public route.
func CurrentPrincipal(ctx context.Context) *Principal {
	p, _ := ctx.Value(principalKey{}).(*Principal)
	return p
}

// Account is the account that the request is authorised for. It panics in the handler
// of an operation with another scope.
func Account(ctx context.Context) AccountRef {
	a, _ := ctx.Value(accountKey{}).(AccountRef)
	if a.ID == "" {
		panic("web: Account asked for in a request without one")
	}
	return a
}
