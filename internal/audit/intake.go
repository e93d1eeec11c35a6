package audit

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/ingest"
)

// Rules are the catalogue's rules for the events of a resource type.
type Rules struct {
	Producer string // id of the team that owns the product
	Category string // product_category; empty = the product's name
	// Check looks at the resource type, the action and the JSON Schemas; it asks
	// afford for the steps that each comparison with a schema takes.
	Check    func(e *record.Event, afford func(steps int) bool) errs.List
	Personal event.Fields // committed with salts of their own, besides the fixed ones
	Secret   event.Fields // whose values never reach the record
}

// Sources are the lookups that the intake makes elsewhere in Belfry; the app passes them.
type Sources struct {
	// Rules returns the rules for a resource type of a declared product; nil when
	// no team has declared the product.
	Rules func(ctx context.Context, product, resourceType string) (*Rules, error)
	// Personal returns the fields that any version of any catalogue declared personal
	// for a resource type, for erasures.
	Personal func(ctx context.Context, product, resourceType string) (event.Fields, error)
	// Zone resolves a zone's id, name or alias; an empty id when none has it.
	Zone func(ctx context.Context, account, ref string) (id, name string, err error)
	// Account resolves an id or ext:<external_id>; NotFound when there is none.
	Account func(ctx context.Context, ref string) (id string, err error)
	// Members lists the members of an account, for actors that are the same person; nil = each actor is by itself.
	Members func(ctx context.Context, accountID string) ([]Member, error)
	// Closed returns an error of kind Conflict for an account that accepts no events; nil = there are none.
	Closed func(ctx context.Context, accountID string) error
}

// Origin names the sender of events and the on-ramp.
type Origin struct {
	By        record.Submitter
	Account   string // the account of the route; empty = each event names its own
	Producer  string // id of the producing team; empty for an account's own token
	Operator  bool   // may publish every product but Belfry's own
	Belfry    bool   // Belfry itself, auditing its own changes
	Interface string // for events that do not say: API over HTTP, SYSTEM from the bus

	// What the record of the bus says for an event that does not: a repeat of the
	// record must be known as one. Empty over HTTP.
	ID         string
	OccurredAt time.Time

	steps *stepBudget // of the batch; nil = without a bound
}

// Steps of comparisons with schemas, each of about a microsecond.
const (
	batchSteps = 10_000_000 // of one batch: the rest of its events is still answered in time
	cheapSteps = 2_000      // are always there: most events need a few hundred
)

// stepBudget is the number of steps that a batch has left; its events share it.
type stepBudget struct{ left atomic.Int64 }

func newStepBudget() *stepBudget {
	b := &stepBudget{}
	b.left.Store(batchSteps)
	return b
}

// afford takes steps from the budget; false = they are used up.
func (b *stepBudget) afford(steps int) bool {
	return b == nil || b.left.Add(-int64(steps)) >= 0 || steps <= cheapSteps
}

// Intake turns published JSON into events that are ready to append: decoded,
// checked against the shape and the catalogue, their secrets removed, their
// zone resolved, sealed. All on-ramps share it.
type Intake struct {
	sources Sources
	now     func() time.Time
}

// NewIntake makes an Intake.
func NewIntake(sources Sources, now func() time.Time) *Intake {
	return &Intake{sources: sources, now: now}
}

// Prepare readies one event. A Pending with Status Rejected carries its faults
// and must not be appended. The error is for faults that a retry may cure.
func (in *Intake) Prepare(ctx context.Context, from Origin, data []byte, seed [32]byte) (*ledger.Pending, error) {
	if err := ctx.Err(); err != nil { // the client has gone, or its time is over
		return nil, errs.New(errs.CodeUnavailable, "the request ended before its events were checked").Because(err)
	}
	now := in.now()
	decode := record.Decode
	if from.Belfry {
		decode = record.DecodeOwn
	}
	e, err := decode(data, now)
	if len(data) == 0 && from.ID != "" {
		err = errs.List{errs.New(errs.CodeInvalidJSON, "the record has no value")}
	}
	if err == nil {
		e.FillFrom(from.ID, from.OccurredAt, now)
	}
	p := &ledger.Pending{Account: from.Account, Event: e, By: from.By}
	if err != nil {
		p.Status = ledger.Rejected
		p.Faults = errs.All(err)
		return p, in.address(ctx, p)
	}
	committed, list, err := in.admit(ctx, from, p)
	if err != nil {
		if errs.KindOf(err).Retryable() {
			return nil, err
		}
		list = errs.All(err)
	}
	if len(list) > 0 {
		p.Status = ledger.Rejected
		p.Faults = list
		return p, in.address(ctx, p)
	}
	e.Fill(now, from.Interface)
	if err := p.Seal(committed, seed); err != nil {
		p.Status = ledger.Rejected
		p.Faults = errs.List{errs.New(errs.CodeTooLarge, "%v", err)}
	}
	return p, nil
}

// address finds the account and the team of a refused event, as far as it could be
// read.
func (in *Intake) address(ctx context.Context, p *ledger.Pending) error {
	if ref := p.Event.Account; p.Account == "" && ref != "" && strings.IndexByte(ref, 0) < 0 {
		id, err := in.sources.Account(ctx, ref)
		if errs.KindOf(err).Retryable() {
			return err
		}
		if err == nil {
			p.Account = id
		}
	}
	rules, err := in.sources.Rules(ctx, p.Event.Resource.Product, p.Event.Resource.Type)
	if rules != nil {
		p.Owner = rules.Producer
	}
	if errs.KindOf(err).Retryable() {
		return err
	}
	return nil
}

// admit checks what depends on the rest of Belfry: account, product, zone. committed
// are the fields that the catalogue declares personal.
func (in *Intake) admit(
	ctx context.Context,
	from Origin,
	p *ledger.Pending,
) (committed []string, list errs.List, err error) {
	if list, err := in.account(ctx, from, p); len(list) > 0 || err != nil {
		return nil, list, err
	}
	if p.Account == account.Installation && !from.Belfry {
		return nil, errs.List{errs.At(errs.CodeForbidden, "/account_id",
			"this account is the record of Belfry's own operation, and only Belfry writes it")}, nil
	}
	if in.sources.Closed != nil && !from.Belfry {
		if err := in.sources.Closed(ctx, p.Account); errs.KindOf(err) == errs.Conflict {
			return nil, errs.All(err), nil
		} else if err != nil {
			return nil, nil, err
		}
	}
	rules, list, err := in.product(ctx, from, p)
	if len(list) > 0 || err != nil {
		return nil, list, err
	}
	if rules != nil {
		if committed, err = record.Protect(p.Event, rules.Personal, rules.Secret); err != nil {
			return nil, nil, err
		}
	}
	return committed, nil, in.zone(ctx, p)
}

// account finds the account of an event: that of the request's path, or the one
// that the event names.
func (in *Intake) account(ctx context.Context, from Origin, p *ledger.Pending) (errs.List, error) {
	sender := ingest.Sender{Account: from.Account}
	id, fault, err := sender.ItemAccount(ctx, p.Event.Account, in.sources.Account)
	if err != nil {
		return nil, err
	}
	if fault != nil {
		return errs.List{fault}, nil
	}
	p.Account = id
	return nil, nil
}

// zone resolves the zone that an event names. A change is recorded whether or not
// its zone is known here.
func (in *Intake) zone(ctx context.Context, p *ledger.Pending) error {
	ref := cmp.Or(p.Event.Zone.ID, p.Event.Zone.Name)
	if ref == "" {
		return nil
	}
	id, name, err := in.sources.Zone(ctx, p.Account, ref)
	if err != nil {
		return err
	}
	p.Event.Zone = record.ZoneRef{ID: id, Name: name}
	if id == "" {
		p.Event.Zone = record.ZoneRef{Name: account.ZoneKey(ref)}
	}
	return nil
}

// product finds the rules for an event, and checks it against them; nil when no team
// has declared its product.
func (in *Intake) product(ctx context.Context, from Origin, p *ledger.Pending) (*Rules, errs.List, error) {
	e := p.Event
	if from.Belfry {
		rules, err := in.sources.Rules(ctx, event.Product, e.Resource.Type)
		return rules, nil, err
	}
	if list := checkNames(e); len(list) > 0 {
		return nil, list, nil
	}
	if strings.EqualFold(e.Resource.Product, event.Product) {
		return nil, productFault(errs.CodeReservedProduct, "the product %q is Belfry's own", e.Resource.Product), nil
	}
	rules, err := in.sources.Rules(ctx, e.Resource.Product, e.Resource.Type)
	if err != nil {
		return nil, nil, err
	}
	if rules == nil {
		if from.Producer != "" {
			return nil, productFault(errs.CodeProductForbidden,
				"the product %q is not in your catalogue; declare it with `belfry catalog apply`", e.Resource.Product), nil
		}
		return nil, nil, nil // an account may record what no team has declared
	}
	p.Owner = rules.Producer
	if from.Producer != "" && from.Producer != rules.Producer {
		return nil, productFault(errs.CodeProductForbidden, "the product %q belongs to another team", e.Resource.Product), nil
	}
	if rules.Check != nil {
		if list := rules.Check(e, from.steps.afford); len(list) > 0 {
			return nil, list, nil
		}
	}
	faults := rules.checkProtected(e.Resource.Product)
	return rules, faults, nil
}

func productFault(code errs.Code, format string, args ...any) errs.List {
	return errs.List{errs.At(code, "/resource/product", format, args...)}
}

// checkProtected refuses an event with fields that the catalogue protects and the
// record cannot protect: they would be stored in clear, for ever.
func (r *Rules) checkProtected(product string) errs.List {
	for _, pointer := range r.Personal.Fixed() {
		if !record.Committable(pointer) {
			return productFault(errs.CodeCatalogueInvalid,
				"the catalogue of %q declares %s personal, which only fields that hold data of people can be", product, pointer)
		}
	}
	for _, pointer := range r.Secret.Fixed() {
		return productFault(errs.CodeCatalogueInvalid,
			"the catalogue of %q declares %s secret, which only members of before, after and metadata can be", product, pointer)
	}
	return nil
}

// checkNames refuses names that would look like another name to a reader, and
// pass where that one is refused or not found.
func checkNames(e *record.Event) (list errs.List) {
	for _, n := range []struct{ pointer, value string }{
		{"/action/type", e.Action.Type},
		{"/resource/product", e.Resource.Product},
		{"/resource/type", e.Resource.Type},
		{"/resource/scope", e.Resource.Scope},
	} {
		if strings.TrimSpace(n.value) != n.value || strings.ContainsFunc(n.value, unseen) {
			list = append(list, errs.At(errs.CodeInvalid, n.pointer,
				"%s must not begin or end with a blank, nor have control or invisible characters", record.Noun.Field(n.pointer)))
		}
	}
	return list
}

func unseen(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// prepareMany readies the events of one request.
func (in *Intake) prepareMany(ctx context.Context, from Origin, values []jsontext.Value) ([]*ledger.Pending, error) {
	all := make([]*ledger.Pending, len(values))
	failed := make([]error, len(values))
	seed := seeds(len(values))
	from.steps = newStepBudget()
	parallel(len(values), func(i int) {
		all[i], failed[i] = in.Prepare(ctx, from, values[i], seed[i])
	})
	return all, errors.Join(failed...)
}

// prepareAll readies the records of a batch, in their order.
func (in *Intake) prepareAll(ctx context.Context, b *bus.Batch) ([]*ledger.Pending, error) {
	all := make([]*ledger.Pending, len(b.Records))
	failed := make([]error, len(b.Records))
	seed := seeds(len(b.Records))
	steps := newStepBudget()
	parallel(len(b.Records), func(i int) {
		from := busOrigin(b, i)
		from.steps = steps
		all[i], failed[i] = in.Prepare(ctx, from, b.Records[i].Value, seed[i])
	})
	return all, errors.Join(failed...)
}

// seeds fills n seeds with one call for randomness.
func seeds(n int) [][32]byte {
	out := make([][32]byte, n)
	buf := make([]byte, 32*n)
	rand.Read(buf)
	for i := range out {
		copy(out[i][:], buf[32*i:])
	}
	return out
}
