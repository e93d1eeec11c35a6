// Package ingest is the HTTP on-ramp for JSON in bulk: it splits a request into
// items, says who sent them, and answers each item by itself.
//
//	body (one object | array | NDJSON) -> Format.Read -> Items -> the feature -> Answer -> envelope
//
// A feature decodes, checks and commits its items between the two ends:
//
//	var events = ingest.Format{Item: strict.Subject{Name: "an event"}, Max: 10_000}
//
//	func (f *Feature) publish(ctx context.Context, x *web.Exchange, accountID string) error {
//		items, err := events.Read(x)
//		if err != nil {
//			return err // nothing of the request can be read
//		}
//		stored, err := f.store(ctx, ingest.From(ctx, accountID), items.Values)
//		if err != nil {
//			return err // nothing was committed
//		}
//		answer := items.Answer()
//		for _, s := range stored {
//			answer.Add(ingest.Result{ID: s.id, Status: s.status, Faults: s.faults})
//		}
//		x.Send(answer.Envelope())
//		return nil
//	}
//
// Package web has limited and decompressed the body already. A fault of one line
// of NDJSON, or inside one element of an array, belongs to that item: the others
// are accepted. An array that cannot be split refuses the request as a whole.
package ingest

import (
	"context"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// MaxRejects limits how many refused items of one request are returned to the
// team by the topic of rejects; the answer names all of them.
const MaxRejects = 100

// Sender identifies who sends a request, and the account it sends for.
type Sender struct {
	Kind     web.Kind
	By       string // id of the principal
	Account  string // the account of the route; empty = each item names its own
	Producer string // id of the product team whose token it is; empty = another credential
	Operator bool   // may send in the name of every product team
}

// From identifies the sender of an authenticated request. accountID is the
// account of the route; empty for routes that take items of many accounts.
func From(ctx context.Context, accountID string) Sender {
	p := web.CurrentPrincipal(ctx)
	s := Sender{Kind: p.Kind, By: p.ID, Account: accountID, Operator: p.Superoperator}
	if p.Kind == web.KindProducer {
		s.Producer = p.ID
	}
	return s
}

// Scope is the scope in which an Idempotency-Key is unique: the account, so that
// the token may be replaced between two attempts, or else the principal.
func (s Sender) Scope() string {
	if s.Account != "" {
		return s.Account
	}
	return "producer:" + s.By
}

// ItemAccount resolves the account that an item names in account_id: an id, or
// ext:<external id>. find looks a reference up (kind NotFound or Invalid when no
// account has it). fault refuses the item; err is for what a repetition may cure.
func (s Sender) ItemAccount(
	ctx context.Context, ref string, find func(ctx context.Context, ref string) (accountID string, err error),
) (accountID string, fault *errs.Error, err error) {
	switch {
	case s.Account != "" && (ref == "" || ref == s.Account):
		return s.Account, nil, nil
	case s.Account != "" && !strings.HasPrefix(ref, "ext:"):
		return s.Account, otherAccount(), nil
	case ref == "":
		return "", errs.At(errs.CodeMissingField, "/account_id",
			"account_id is required: the account's id or ext:<external id>"), nil
	}

	accountID, err = find(ctx, ref)
	unknown := errs.KindOf(err) == errs.NotFound || errs.KindOf(err) == errs.Invalid
	switch {
	case err != nil && !unknown:
		return "", nil, err
	case s.Account != "" && accountID != s.Account:
		// The same for an account that does not exist: whether another account has
		// this name must not be disclosed.
		return s.Account, otherAccount(), nil
	case unknown:
		return "", errs.At(errs.CodeUnknownAccount, "/account_id",
			"account_id must be the id or ext:<external id> of an existing account"), nil
	}
	return accountID, nil, nil
}

func otherAccount() *errs.Error {
	return errs.At(errs.CodeForbidden, "/account_id",
		"account_id names another account than the request's path; leave it out")
}
