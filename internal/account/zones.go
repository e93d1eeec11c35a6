package account

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"unicode"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/id"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Environment is the stage of a zone.
type Environment string

// The environments.
const (
	Production Environment = "production"
	Staging    Environment = "staging"
	Test       Environment = "test" // silent unless a policy names it
)

// Zone is a property of an account: a site or service under one name, with the
// hostnames and origins that traffic and events use for it.
type Zone struct {
	ID          string      `json:"id"`
	Name        string      `json:"name"`
	Aliases     []string    `json:"aliases"`
	Environment Environment `json:"environment" enum:"production,staging,test"`
	CreatedOn   web.Time    `json:"created_on"`
	ModifiedOn  web.Time    `json:"modified_on"`
	Verified    bool        `json:"verified" doc:"False if the zone is known from traffic only; its creation and every change verify it"`
}

// ZoneSpec describes a zone; nil leaves a field unchanged (or at its default for a
// new zone).
type ZoneSpec struct {
	Name        *string
	Aliases     *[]string
	Environment *Environment
}

// fold returns the form in which a reference to a zone is stored: that of [Alias]
// for a hostname or origin, else lower case.
func fold(ref string) string {
	plain := strings.TrimRight(strings.ToLower(strings.TrimSpace(ref)), "./")
	if host, ok := origin(plain); ok {
		return host
	}
	return plain
}

// zoneName checks a zone's name.
func zoneName(s string) (string, error) {
	s, err := checkText("/name", s, 255)
	if err != nil {
		return "", err
	}
	if id.Valid(fold(s)) || ZoneKey(s) == "" {
		return "", errs.At(errs.CodeInvalid, "/name", "a property's name must not have the form of an id")
	}
	return s, nil
}

// Alias checks a hostname (a leading *. is allowed), address, host:port or origin
// (scheme://host[:port]) and returns the form in which it is stored: lower case,
// addresses as in RFC 5952, without a final dot or slash.
func Alias(s string) (string, error) {
	folded := fold(s)
	if _, ok := origin(folded); !ok || len(folded) > 255 || id.Valid(folded) {
		return "", notAlias(s)
	}
	return folded, nil
}

// notOfScheme reports whether a URL's scheme cannot have the character.
func notOfScheme(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("+-.", r)
}

// origin parses the input of [Alias], in lower case.
func origin(s string) (canonical string, ok bool) {
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case !found:
		scheme = ""
		rest = s
	case scheme == "" || strings.ContainsFunc(scheme, notOfScheme):
		return "", false
	default:
		scheme += "://"
	}
	if ap, err := netip.ParseAddrPort(rest); err == nil && ap.Addr().Zone() == "" {
		return scheme + ap.String(), true
	}
	bare := rest
	if strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") {
		bare = rest[1 : len(rest)-1]
	}
	if a, err := netip.ParseAddr(bare); err == nil && a.Zone() == "" {
		if scheme != "" && a.Is6() {
			return scheme + "[" + a.String() + "]", true
		}
		return scheme + a.String(), true
	}
	host, port, hasPort := strings.Cut(rest, ":")
	if hasPort && (port == "" || len(port) > 5 ||
		strings.ContainsFunc(port, func(r rune) bool { return r < '0' || r > '9' })) {
		return "", false
	}
	return s, hostname(strings.TrimPrefix(host, "*."))
}

func notAlias(s string) error {
	return errs.At(errs.CodeInvalid, "/aliases",
		"%q is not a hostname or origin such as www.example.com, 192.0.2.7:8443 or https://origin.example.com",
		clip(s, 100))
}

// hostname reports whether s has the form of a hostname (RFC 1123, with
// underscores, which names of services and containers have).
func hostname(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || strings.ContainsFunc(label, notOfHostname) {
			return false
		}
	}
	return true
}

// notOfHostname reports whether a label of a hostname cannot have the character.
func notOfHostname(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '_' && !unicode.In(r, unicode.L, unicode.M)
}

// zoneRef is a reference to a zone: its text, and its key.
type zoneRef struct{ text, key string }

// refs lists the references to the zone: its folded name first, then its aliases,
// each key once.
func (z Zone) refs() []zoneRef {
	list := []zoneRef{{text: fold(z.Name), key: ZoneKey(z.Name)}}
	for _, alias := range z.Aliases {
		key := ZoneKey(alias)
		if !slices.ContainsFunc(list, func(r zoneRef) bool { return r.key == key }) {
			list = append(list, zoneRef{text: alias, key: key})
		}
	}
	return list
}

// means reports whether two references have the same key.
func means(a, b string) bool { return ZoneKey(a) == ZoneKey(b) }

// apply changes a zone by the spec. A zone with a new name keeps its former
// hostname as an alias, unless the spec has aliases too: traffic still uses it.
func (s ZoneSpec) apply(z Zone) (Zone, error) {
	var faults errs.List
	if s.Name != nil {
		name, err := zoneName(*s.Name)
		gather(&faults, err)
		z = z.renamed(name)
	}
	if s.Environment != nil {
		z.Environment = *s.Environment
	}
	if !slices.Contains([]Environment{Production, Staging, Test}, z.Environment) {
		gather(&faults, errs.At(errs.CodeInvalid, "/environment", "environment is production, staging or test"))
	}
	if s.Aliases == nil {
		return z, faults.Or()
	}
	if len(*s.Aliases) > MaxAliases {
		gather(&faults, errs.At(errs.CodeOutOfRange, "/aliases", "a property has at most %d other names", MaxAliases))
		return z, faults
	}
	z.Aliases = []string{}
	for _, one := range *s.Aliases {
		alias, err := Alias(one)
		if err != nil {
			gather(&faults, err)
			continue
		}
		if !means(alias, z.Name) && !slices.ContainsFunc(z.Aliases, func(a string) bool { return means(a, alias) }) {
			z.Aliases = append(z.Aliases, alias)
		}
	}
	return z, faults.Or()
}

// renamed changes the zone's name, and keeps the former one as an alias if it is a
// hostname.
func (z Zone) renamed(name string) Zone {
	former, notHost := Alias(z.Name)
	z.Name = name
	z.Aliases = slices.DeleteFunc(slices.Clone(z.Aliases), func(a string) bool { return means(a, name) })
	if notHost == nil && !means(former, name) && len(z.Aliases) < MaxAliases {
		z.Aliases = append(z.Aliases, former)
	}
	return z
}

// CreateZone makes a zone. CodeExists if another zone of the account has its name
// or an alias.
func (f *Feature) CreateZone(
	ctx context.Context, by *web.Principal, accountID string, spec ZoneSpec,
) (z Zone, err error) {
	if spec.Name == nil {
		return z, errs.At(errs.CodeMissingField, "/name", "name is required")
	}
	fresh, err := spec.apply(Zone{Environment: Production, Aliases: []string{}, Verified: true})
	if err != nil {
		return fresh, err
	}
	var before Zone
	err = f.change(ctx, func(tx *db.Tx) error {
		z = fresh
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if before, err = lookupZone(ctx, tx, accountID, fresh.Name); err != nil {
			return err
		}
		if before.ID != "" && !before.Verified {
			return f.adoptZone(ctx, tx, by, accountID, before, &z)
		}
		return f.addZone(ctx, tx, by, accountID, &z)
	})
	f.evictZones(accountID, before, z)
	return z, err
}

// adoptZone turns a zone that is known from traffic into the created one.
func (f *Feature) adoptZone(
	ctx context.Context, tx *db.Tx, by *web.Principal, accountID string, seen Zone, z *Zone,
) error {
	if err := checkZoneLimit(ctx, tx, accountID); err != nil {
		return err
	}
	z.ID = seen.ID
	z.CreatedOn = seen.CreatedOn
	z.ModifiedOn = web.TimeOf(max(f.micros(), seen.ModifiedOn.Micros()+1))
	if err := saveZone(ctx, tx, accountID, *z); err != nil {
		return err
	}
	return f.record(ctx, tx, by,
		withZone(event.NewAudit(accountID, "create", "zone", z.ID, z.Name), z.ID).Changed(seen, *z))
}

// saveZone replaces a stored zone.
func saveZone(ctx context.Context, tx *db.Tx, accountID string, z Zone) error {
	if err := updateZone(ctx, tx, z); err != nil {
		return err
	}
	if err := deleteRefs(ctx, tx, z.ID); err != nil {
		return err
	}
	return insertRefs(ctx, tx, accountID, z)
}

// checkZoneLimit fails if the account has the maximum number of zones. Zones that
// are known from traffic only do not count, because visitors choose their names.
func checkZoneLimit(ctx context.Context, tx *db.Tx, accountID string) error {
	n, err := countZones(ctx, tx, accountID)
	if err == nil && n >= MaxZones {
		err = errs.New(errs.CodeLimit, "the account has %d properties, which is the most it may have", n)
	}
	return err
}

// addZone stores a new zone while the account is locked.
func (f *Feature) addZone(ctx context.Context, tx *db.Tx, by *web.Principal, accountID string, z *Zone) error {
	if err := checkZoneLimit(ctx, tx, accountID); err != nil {
		return err
	}
	if err := f.storeZone(ctx, tx, accountID, z); err != nil {
		return err
	}
	return f.record(ctx, tx, by,
		withZone(event.NewAudit(accountID, "create", "zone", z.ID, z.Name), z.ID).Changed(nil, *z))
}

// storeZone stores a new zone with a new id.
func (f *Feature) storeZone(ctx context.Context, tx *db.Tx, accountID string, z *Zone) error {
	z.CreatedOn = moment(f.micros())
	z.ModifiedOn = z.CreatedOn
	z.ID = id.At(z.CreatedOn.Time)
	if err := insertZone(ctx, tx, accountID, *z); err != nil {
		return err
	}
	return insertRefs(ctx, tx, accountID, *z)
}

func withZone(e event.Audit, zoneID string) event.Audit {
	e.Zone = zoneID
	return e
}

// UpdateZone changes a zone.
func (f *Feature) UpdateZone(
	ctx context.Context, by *web.Principal, accountID, zoneID string, spec ZoneSpec,
) (Zone, error) {
	var before, after Zone
	err := f.change(ctx, func(tx *db.Tx) (err error) {
		if err := lockAccount(ctx, tx, accountID); err != nil {
			return err
		}
		if before, err = loadZone(ctx, tx, accountID, zoneID); err != nil {
			return err
		}
		if err := web.IfMatch(ctx, before); err != nil {
			return err
		}
		if after, err = spec.apply(before); err != nil {
			return err
		}
		after.Verified = true
		if after.Name == before.Name && after.Environment == before.Environment &&
			slices.Equal(after.Aliases, before.Aliases) && before.Verified {
			return nil
		}
		if !before.Verified {
			if err := checkZoneLimit(ctx, tx, accountID); err != nil {
				return err
			}
		}
		after.ModifiedOn = web.TimeOf(max(f.micros(), before.ModifiedOn.Micros()+1))
		if err := saveZone(ctx, tx, accountID, after); err != nil {
			return err
		}
		return f.record(ctx, tx, by,
			withZone(event.NewAudit(accountID, "update", "zone", zoneID, after.Name), zoneID).Changed(before, after))
	})
	f.evictZones(accountID, before, after)
	return after, err
}

// DeleteZone deletes a zone. Recorded events keep its id and name.
func (f *Feature) DeleteZone(ctx context.Context, by *web.Principal, accountID, zoneID string) error {
	var z Zone
	err := f.change(ctx, func(tx *db.Tx) (err error) {
		if z, err = loadZone(ctx, tx, accountID, zoneID); err != nil {
			return err
		}
		if err := deleteRefs(ctx, tx, zoneID); err != nil {
			return err
		}
		if err := deleteZone(ctx, tx, accountID, zoneID); err != nil {
			return err
		}
		return f.record(ctx, tx, by,
			withZone(event.NewAudit(accountID, "delete", "zone", zoneID, z.Name), zoneID).Changed(z, nil))
	})
	f.seenOver.Evict(accountID)
	f.evictZones(accountID, z)
	return err
}

// Zones lists the account's zones after an id, ascending.
func (f *Feature) Zones(ctx context.Context, accountID, after string, limit int) (list []Zone, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		list, err = listZones(ctx, tx, accountID, after, limit)
		return err
	})
	return list, err
}

// Zone finds a zone by id, name or alias; CodeNotFound if there is none.
func (f *Feature) Zone(ctx context.Context, accountID, ref string) (Zone, error) {
	z, err := f.findZone(ctx, accountID, ref)
	if err == nil && z.ID == "" {
		err = noZone()
	}
	return z, err
}

// readZone is Zone without the cache, for responses that are compared with If-Match.
func (f *Feature) readZone(ctx context.Context, accountID, ref string) (z Zone, err error) {
	err = f.db.View(ctx, func(tx *db.Tx) error {
		z, err = lookupZone(ctx, tx, accountID, ref)
		if err == nil && z.ID == "" {
			err = noZone()
		}
		return err
	})
	return z, err
}

func noZone() error {
	return errs.New(errs.CodeNotFound, "no property of the account has this id, name or alias")
}

// ResolveZone finds a zone by id, name or alias; "" if there is none.
func (f *Feature) ResolveZone(ctx context.Context, accountID, ref string) (zoneID, name string, err error) {
	z, err := f.findZone(ctx, accountID, ref)
	return z.ID, z.Name, err
}

// FindZone is ResolveZone with the whole zone; the zero Zone if there is none.
func (f *Feature) FindZone(ctx context.Context, accountID, ref string) (Zone, error) {
	return f.findZone(ctx, accountID, ref)
}

// findZone reads through the cache, which also has the result that there is no
// zone. The result's Aliases are shared.
func (f *Feature) findZone(ctx context.Context, accountID, ref string) (Zone, error) {
	if len(ref) > 1024 {
		return Zone{}, nil
	}
	key := ZoneKey(ref)
	if key == "" {
		return Zone{}, nil
	}
	return f.zones.Get(ctx, cacheKey(accountID, key), func(ctx context.Context) (z Zone, err error) {
		err = f.db.View(ctx, func(tx *db.Tx) error {
			z, err = lookupZone(ctx, tx, accountID, ref)
			return err
		})
		return z, err
	})
}

func cacheKey(accountID, key string) string { return accountID + "\x00" + key }

// evictZones evicts zones from the cache, before and after a change.
func (f *Feature) evictZones(accountID string, list ...Zone) {
	var keys []string
	for _, z := range list {
		keys = append(keys, cacheKey(accountID, z.ID))
		for _, r := range z.refs() {
			keys = append(keys, cacheKey(accountID, r.key))
		}
	}
	f.zones.Evict(keys...)
}
