// Package account decides which permissions a request has: accounts, their
// zones, members, roles and API tokens, and the sessions of people. It is the
// one feature that others may import.
//
// A request flows: Authenticate (token or cookie -> hash -> cache -> store) ->
// web asks [Feature.ResolveAccount] and the principal's permissions -> a
// handler changes the store and enqueues the record of the change for the audit
// log in ONE transaction.
//
//	invited person --one-time link (accepts)--> session <--password-- person
//	session --sign-out, 12 h idle, 30 d, role gone--> ended
//	token   --revoked, expires_on-->                  ended
//
// Invariants:
//   - A principal grants only permissions that it has itself.
//   - An account keeps at least one owner once it has one.
//   - An account manages only the persons that it invited. An address is one
//     person in each account that invites it, and one more if an operator added
//     it; only that one is a member of several accounts, each of which it has
//     accepted.
//   - Secrets are stored as hashes and shown once.
//
// Revocation is immediate in this process; other processes follow within
// [cacheTime], the age at which a cached credential is read again.
package account

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of one account, person or process.
const (
	MaxTokens    = 1000   // of an account
	MaxMembers   = 1000   // of an account
	MaxZones     = 10_000 // of an account
	MaxAliases   = 100    // of a zone
	MaxIPAllow   = 50     // networks of a token
	MaxSessions  = 50     // of a person; one more replaces the oldest
	MaxLinks     = 10     // unused sign-in links of a person; one more replaces the oldest
	MaxAccounts  = 100    // memberships of a person
	cacheTime    = 5 * time.Second
	cachedTokens = 50_000
	cachedRefs   = 200_000
)

// Installation is the id of the account whose audit log has the events of the
// installation itself (sign-ins of operators). It is created with the first one.
const Installation = "00000000000070008000000000000000"

//go:embed schema/*.sql
var schemaFiles embed.FS

// Schema is the tables of the feature; they follow bus.Schema.
func Schema() db.Schema {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return db.Schema{Source: "account", Files: files}
}

// Manifest is the feature before it is constructed.
var Manifest = feature.Manifest{Name: "account", Schemas: []func() db.Schema{Schema}, Cache: 1}

// AccountSize is the audit log of an account as lists show it.
type AccountSize struct {
	Events    int64
	LastEvent time.Time
}

// Config configures a Feature. DB is required; URL begins the sign-in links and the links of customers' pages.
type Config struct {
	feature.Env
	BootstrapToken string // an operators' token from the first start, at least 32 characters; empty = none
	Secure         bool   // browsers reach the server over TLS
	// SendMail sends a mail with the operators' mail server. nil = there is no
	// mail server, and pages show the mail instead.
	SendMail func(ctx context.Context, m Mail) error

	// Sizes reads how many events each account has, and when the last was recorded; nil = pages do not show it.
	Sizes func(ctx context.Context) (map[string]AccountSize, error)

	// Objectives reads all objectives of an account, the worst first; Alerts the newest alerts about a zone; Traffic the
	// requests of a zone. nil = the pages of properties have no such section.
	Objectives func(ctx context.Context, accountID string) ([]ZoneObjective, error)
	Alerts     func(ctx context.Context, accountID, zoneID string, limit int) ([]ZoneAlert, error)
	Traffic    func(ctx context.Context, accountID, zoneID string) (ZoneTraffic, error)

	// Changes reads the newest changes of a zone, the oldest first, as flags on its charts; nil = none.
	Changes func(
		ctx context.Context, accountID, zoneID string, since, until time.Time, limit int,
	) ([]ui.ChartMark, error)
}

// Feature is the feature of accounts. It is safe for concurrent use.
type Feature struct {
	cfg       Config
	db        *db.DB
	now       func() time.Time
	bootstrap *Hash // nil = none
	metrics   *metrics
	denials   *denials
	uses      *uses

	mailRequests chan mailRequest // of the sign-in page; Run reads it
	limiter      *throttle
	hashing      *hashing
	cross        *http.CrossOriginProtection

	credentials *cache.Cache[Hash, *credential] // by the hash of a token or session
	accounts    *cache.Cache[string, string]    // id or ext:external_id -> id
	zones       *cache.Cache[string, Zone]      // account NUL key -> zone; ID "" = none
	closed      *cache.Cache[string, bool]      // by account: it is closed
	timeZones   *cache.Cache[string, timeZone]  // by account
	seenOver    *cache.Cache[string, bool]      // by account: traffic may create no more zones
}

// New makes the feature.
func New(cfg Config) (*Feature, error) {
	var err error
	if cfg.Env, err = cfg.Complete(Manifest.Name); err != nil {
		return nil, err
	}
	f := &Feature{
		cfg:     cfg,
		db:      cfg.DB,
		now:     cfg.Now,
		denials: newDenials(),
		uses:    newUses(),

		mailRequests: make(chan mailRequest, maxMailRequests),
		limiter:      newThrottle(cfg.Now),
		hashing:      newHashing(),
		cross:        http.NewCrossOriginProtection(),
		credentials:  cache.New[Hash, *credential](cachedTokens, cacheTime, cfg.Now),
		accounts:     cache.New[string, string](cachedRefs, cacheTime, cfg.Now),
		zones:        cache.New[string, Zone](cachedRefs, cacheTime, cfg.Now),
		closed:       cache.New[string, bool](cachedRefs, cacheTime, cfg.Now),
		timeZones:    cache.New[string, timeZone](cachedRefs, cacheTime, cfg.Now),
		seenOver:     cache.New[string, bool](cachedRefs, cacheTime, cfg.Now),
	}
	if cfg.URL != "" {
		u, err := url.Parse(cfg.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("account: the external URL is not http(s)://HOST")
		}
		if err := f.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("account: external URL: %w", err)
		}
	}
	if cfg.BootstrapToken != "" {
		if len(cfg.BootstrapToken) < 32 {
			return nil, errors.New("account: the bootstrap token must have at least 32 characters")
		}
		h := HashOf(cfg.BootstrapToken)
		f.bootstrap = &h
	}
	if f.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, err
	}
	return f, nil
}

// Describe returns the feature as the app serves and runs it.
func (f *Feature) Describe() feature.Feature {
	return feature.Feature{
		API:     f.API,
		Pages:   f.Pages,
		Finders: f.finders(),
		Actions: f.actions(),
		News:    f.news(),
		Stages:  []run.Stage{{Name: "accounts", Run: f.Run}},
	}
}

// Run works in the background until ctx ends: it writes when credentials were
// last used, sends the sign-in links that are requested by mail, records refused requests, and removes expired links
// and sessions.
func (f *Feature) Run(ctx context.Context) error {
	var mails sync.WaitGroup
	defer mails.Wait()
	mails.Go(func() { f.sendLinks(ctx) })

	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for n := 0; ; n++ {
		select {
		case <-minute.C:
			f.flush(ctx)
			if n%60 == 0 {
				f.logged("remove expired links and sessions", f.purge(ctx))
			}
		case <-ctx.Done():
			// ctx has ended, so the last writes need a deadline of their own.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			f.flush(last)
			return nil
		}
	}
}

// flush writes the last uses and refused requests. After a failure they stay in
// memory for the next flush.
func (f *Feature) flush(ctx context.Context) {
	f.logged("record refused requests", f.flushDenials(ctx))
	f.logged("write last uses", f.flushUses(ctx))
}

func (f *Feature) logged(what string, err error) {
	if err != nil {
		f.cfg.Log.Warn("account: cannot "+what+" now", "error", err)
	}
}

// API registers the operations.
func (f *Feature) API(api *web.API) {
	f.registerAccounts(api)
	f.registerClose(api)
	f.registerMembers(api)
	f.registerOwnership(api)
	f.registerConfirmations(api)
	f.registerTokens(api)
	f.registerZones(api)
	f.registerViews(api)
	f.registerUser(api)
	f.registerOperators(api)
	api.Limit("account.tokens", MaxTokens)
	api.Limit("account.members", MaxMembers)
	api.Limit("account.zones", MaxZones)
	api.Limit("account.zone_aliases", MaxAliases)
}

// micros is the current time in the unit of the database.
func (f *Feature) micros() int64 { return f.now().UnixMicro() }

// moment converts a time of the database for responses; 0 is no time.
func moment(micros int64) web.Time {
	if micros == 0 {
		return web.Time{}
	}
	return web.TimeOf(micros)
}

// gather collects the faults of one field, so that a response lists all faults
// of its request.
func gather(list *errs.List, err error) {
	if err != nil {
		*list = append(*list, errs.All(err)...)
	}
}

// checkText trims and checks a text that people typed: 1 to most characters
// without control characters.
func checkText(pointer, value string, most int) (string, error) {
	value = strings.TrimSpace(value)
	field := strings.TrimPrefix(pointer, "/")
	if value == "" {
		return "", errs.At(errs.CodeMissingField, pointer, "%s is required", field)
	}
	if len([]rune(value)) > most {
		return "", errs.At(errs.CodeOutOfRange, pointer, "%s has more than %d characters", field, most)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errs.At(errs.CodeInvalid, pointer, "%s has control characters", field)
	}
	return value, nil
}
