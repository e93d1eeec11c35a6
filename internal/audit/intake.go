package audit

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Rules are what a product's catalogue says of its events.
type Rules struct {
	Producer string // id of the team that owns the product
	Category string // product_category; empty = the product's name
	// Check looks at the resource type, the action and the JSON Schemas; it asks
	// afford for the steps that each comparison with a schema takes.
	Check    func(e *Event, afford func(steps int) bool) errs.List
	Personal event.Fields // committed with salts of their own, besides the fixed ones
	Secret   event.Fields // whose values never reach the record
}

// Sources are what the intake asks the rest of Belfry; the app hands them in.
type Sources struct {
	// Rules gives the rules for a resource type of a declared product; nil when
	// no team has declared the product.
	Rules func(ctx context.Context, product, resourceType string) (*Rules, error)
	// Personal gives what any version of any catalogue declared personal for a
	// resource type: erasures take it.
	Personal func(ctx context.Context, product, resourceType string) (event.Fields, error)
	// Zone resolves a zone's id, name or alias; an empty id when none has it.
	Zone func(ctx context.Context, account, ref string) (id, name string, err error)
	// Account resolves an id or ext:<external_id>; NotFound when there is none.
	Account func(ctx context.Context, ref string) (id string, err error)
}

// Origin is who hands events in, and through which door.
type Origin struct {
	By        Submitter
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

// stepBudget is what is left of a batch's steps; its events share it.
type stepBudget struct{ left atomic.Int64 }

func newStepBudget() *stepBudget {
	b := &stepBudget{}
	b.left.Store(batchSteps)
	return b
}

// afford takes steps from the budget, and is false when they are not there.
func (b *stepBudget) afford(steps int) bool {
	return b == nil || b.left.Add(-int64(steps)) >= 0 || steps <= cheapSteps
}

// ReservedProduct is the product of Belfry's own changes.
const ReservedProduct = "belfry"

// Intake turns published JSON into events that are ready to append: decoded,
// checked against the shape and the catalogue, their secrets removed, their
// zone resolved, sealed. It is what every on-ramp shares.
type Intake struct {
	sources Sources
	now     func() time.Time
}

// NewIntake makes an Intake.
func NewIntake(sources Sources, now func() time.Time) *Intake {
	return &Intake{sources: sources, now: now}
}

// Prepare readies one event. A Pending with Status Rejected carries its faults
// and must not be appended. The error is for what a repetition may cure.
func (in *Intake) Prepare(ctx context.Context, from Origin, data []byte, seed [32]byte) (*Pending, error) {
	if err := ctx.Err(); err != nil { // the client has gone, or its time is over
		return nil, errs.New(errs.CodeUnavailable, "the request ended before its events were checked").Because(err)
	}
	now := in.now()
	e, err := decode(data, now, from.Belfry)
	if len(data) == 0 && from.ID != "" {
		err = errs.List{errs.New(errs.CodeInvalidJSON, "the record has no value")}
	}
	if err == nil {
		e.fillFromRecord(from, now)
	}
	p := &Pending{Account: from.Account, Event: e, By: from.By}
	if err != nil {
		p.Status, p.Faults = Rejected, errs.All(err)
		return p, in.address(ctx, p)
	}
	list, err := in.admit(ctx, from, p)
	if err != nil {
		if errs.KindOf(err).Retryable() {
			return nil, err
		}
		list = errs.All(err)
	}
	if len(list) > 0 {
		p.Status, p.Faults = Rejected, list
		return p, in.address(ctx, p)
	}
	e.fill(now, from.Interface)
	p.keys = facetKeys(e)
	p.sealed, err = sealEnvelope(p.Account, from.By, e, p.extra, seed)
	if err != nil {
		p.Status, p.Faults = Rejected, errs.List{errs.New(errs.CodeTooLarge, "%v", err)}
	}
	return p, nil
}

// address finds whom a refused event concerns, as far as it could be read: the
// account that it names, if there is one, and the team whose product it is.
func (in *Intake) address(ctx context.Context, p *Pending) error {
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
		p.owner = rules.Producer
	}
	if errs.KindOf(err).Retryable() {
		return err
	}
	return nil
}

// admit checks what depends on the rest of Belfry: account, product, zone.
func (in *Intake) admit(ctx context.Context, from Origin, p *Pending) (errs.List, error) {
	e := p.Event
	switch {
	case from.Account != "":
		same, err := in.sameAccount(ctx, e.Account, from.Account)
		if err != nil {
			return nil, err
		}
		if !same {
			return errs.List{errs.At(errs.CodeForbidden, "/account_id", "account_id names another account than the request's path")}, nil
		}
	case e.Account == "":
		return errs.List{errs.At(errs.CodeMissingField, "/account_id", "account_id is required: the request carries events of many accounts")}, nil
	default:
		id, err := in.sources.Account(ctx, e.Account)
		if errs.KindOf(err) == errs.NotFound {
			return errs.List{errs.At(errs.CodeUnknownAccount, "/account_id", "account_id must be the id or ext:<external_id> of an existing account")}, nil
		}
		if err != nil {
			return nil, err
		}
		p.Account = id
	}
	if p.Account == account.Installation && !from.Belfry {
		return errs.List{errs.At(errs.CodeForbidden, "/account_id",
			"this account is the record of Belfry's own operation, and only Belfry writes it")}, nil
	}
	list, err := in.product(ctx, from, p)
	if len(list) > 0 || err != nil {
		return list, err
	}
	ref := e.Zone.ID
	if ref == "" {
		ref = e.Zone.Name
	}
	if ref == "" {
		return nil, nil
	}
	id, name, err := in.sources.Zone(ctx, p.Account, ref)
	if err != nil {
		return nil, err
	}
	// A change is recorded whether or not its zone is known here.
	e.Zone = ZoneRef{ID: id, Name: name}
	if id == "" {
		e.Zone = ZoneRef{Name: zoneName(ref)}
	}
	return nil, nil
}

// zoneName is the form in which names of zones are compared, and stored where no
// zone of that name is known.
func zoneName(ref string) string { return account.ZoneKey(ref) }

// sameAccount reports whether an event that came by an account's own route is of
// that account: it may name it by its id or by ext:<external_id>, as the path may.
func (in *Intake) sameAccount(ctx context.Context, ref, account string) (bool, error) {
	if ref == "" || ref == account {
		return true, nil
	}
	id, err := in.sources.Account(ctx, ref)
	if errs.KindOf(err).Retryable() {
		return false, err
	}
	return err == nil && id == account, nil
}

func (in *Intake) product(ctx context.Context, from Origin, p *Pending) (errs.List, error) {
	e := p.Event
	if from.Belfry {
		rules, err := in.sources.Rules(ctx, ReservedProduct, e.Resource.Type)
		if err != nil || rules == nil {
			return nil, err
		}
		return nil, p.protect(rules)
	}
	if list := checkNames(e); len(list) > 0 {
		return list, nil
	}
	if strings.EqualFold(e.Resource.Product, ReservedProduct) {
		return errs.List{errs.At(errs.CodeReservedProduct, "/resource/product", "the product %q is Belfry's own", e.Resource.Product)}, nil
	}
	rules, err := in.sources.Rules(ctx, e.Resource.Product, e.Resource.Type)
	if err != nil {
		return nil, err
	}
	if rules == nil {
		if from.Producer != "" {
			return errs.List{errs.At(errs.CodeProductForbidden, "/resource/product", "the product %q is not in your catalogue; declare it with `belfry catalog apply`", e.Resource.Product)}, nil
		}
		return nil, nil // an account may record what no team has declared
	}
	p.owner = rules.Producer
	if from.Producer != "" && from.Producer != rules.Producer {
		return errs.List{errs.At(errs.CodeProductForbidden, "/resource/product", "the product %q belongs to another team", e.Resource.Product)}, nil
	}
	if rules.Check != nil {
		if list := rules.Check(e, from.steps.afford); len(list) > 0 {
			return list, nil
		}
	}
	// What the catalogue protects and the record cannot protect must not be
	// stored: it would lie there in clear, for ever.
	for _, pointer := range rules.Personal.Fixed() {
		if !Committable(pointer) {
			return errs.List{errs.At(errs.CodeCatalogueInvalid, "/resource/product",
				"the catalogue of %q declares %s personal, which only fields that hold data of people can be", e.Resource.Product, pointer)}, nil
		}
	}
	for _, pointer := range rules.Secret.Fixed() {
		return errs.List{errs.At(errs.CodeCatalogueInvalid, "/resource/product",
			"the catalogue of %q declares %s secret, which only members of before, after and metadata can be", e.Resource.Product, pointer)}, nil
	}
	return nil, p.protect(rules)
}

// checkNames refuses names that would look like another name to a reader, and
// pass where that one is refused or not found.
func checkNames(e *Event) (list errs.List) {
	for _, n := range []struct{ pointer, value string }{
		{"/action/type", e.Action.Type},
		{"/resource/product", e.Resource.Product},
		{"/resource/type", e.Resource.Type},
		{"/resource/scope", e.Resource.Scope},
	} {
		if strings.TrimSpace(n.value) != n.value || strings.ContainsFunc(n.value, unseen) {
			list = append(list, errs.At(errs.CodeInvalid, n.pointer,
				"%s must not begin or end with a blank, nor have control or invisible characters", anEvent.Field(n.pointer)))
		}
	}
	return list
}

func unseen(r rune) bool { return unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }

// maxMembers is how many personal members of one event are committed each by
// itself. Where there are more, the part that holds them is one commitment, and
// is erased as a whole.
const maxMembers = 64

// protect takes the secrets out of an event, and notes which of its fields are
// committed besides the fixed ones.
func (p *Pending) protect(rules *Rules) error {
	if err := redact(p.Event, rules.Secret); err != nil {
		return err
	}
	members := map[string]bool{}
	for root, v := range p.Event.openParts() {
		found, err := rules.Personal.Find(root, *v)
		if err != nil {
			return err
		}
		for _, s := range found {
			// A commitment stands at a path of names: a list is one as a whole.
			pointer := s.Pointer
			if s.List != "" {
				pointer = s.List
			}
			if pointer != "/"+root {
				members[pointer] = true
			}
		}
	}
	p.extra = slices.Clone(rules.Personal.Fixed())
	if len(members) <= maxMembers {
		for pointer := range members {
			p.extra = append(p.extra, pointer)
		}
	}
	// Descending: /after/a/b is cut out before /after/a is.
	slices.SortFunc(p.extra, func(a, b string) int { return strings.Compare(b, a) })
	return nil
}

// openParts are the parts of an event that hold what a product chooses.
func (e *Event) openParts() map[string]*jsontext.Value {
	return map[string]*jsontext.Value{"before": &e.Before, "after": &e.After, "metadata": &e.Metadata}
}
