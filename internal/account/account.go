// Package account knows who may do what: accounts, their zones, members, roles
// and API tokens, and the sessions of people. It is the one feature that others
// may import.
//
// A request flows: Authenticate (token or cookie -> hash -> cache -> store) ->
// web asks [Directory.ResolveAccount] and the principal's permissions -> a
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
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/cache"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/run"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Limits of one account, person or process.
const (
	MaxTokens    = 1000   // of an account
	MaxMembers   = 1000   // of an account
	MaxZones     = 10_000 // of an account
	MaxAliases   = 100    // of a zone
	MaxIPAllow   = 50     // networks of a token
	MaxSessions  = 50     // of a person; the oldest gives way
	MaxLinks     = 10     // unused sign-in links of a person; the oldest gives way
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

// Config configures a Directory. DB is required; URL is for the links of sign-in and of customers' pages.
type Config struct {
	feature.Env
	BootstrapToken string // an operators' token from the first start, at least 32 characters; empty = none
	Secure         bool   // browsers reach the server over TLS
	// SendMail sends a mail by the operators' server; nil = there is none, and
	// the page that asks for a mail shows it.
	SendMail func(ctx context.Context, m Mail) error
}

// Directory is the feature. Safe for concurrent use.
type Directory struct {
	cfg       Config
	db        *db.DB
	now       func() time.Time
	bootstrap *Hash // nil = none
	metrics   *metrics
	denials   *denials
	uses      *uses
	limiter   *throttle
	hashing   *hashing
	cross     *http.CrossOriginProtection

	credentials *cache.Cache[Hash, *credential] // by the hash of a token or session
	accounts    *cache.Cache[string, string]    // id or ext:external_id -> id
	zones       *cache.Cache[string, Zone]      // account NUL key -> zone; ID "" = none
	seenOver    *cache.Cache[string, bool]      // whether traffic may bring an account no more zones
}

// New makes a Directory.
func New(cfg Config) (*Directory, error) {
	var err error
	if cfg.Env, err = cfg.Complete(Manifest.Name); err != nil {
		return nil, err
	}
	d := &Directory{cfg: cfg, db: cfg.DB, now: cfg.Now,
		denials:     newDenials(),
		uses:        newUses(),
		limiter:     newThrottle(cfg.Now),
		hashing:     newHashing(),
		cross:       http.NewCrossOriginProtection(),
		credentials: cache.New[Hash, *credential](cachedTokens, cacheTime, cfg.Now),
		accounts:    cache.New[string, string](cachedRefs, cacheTime, cfg.Now),
		zones:       cache.New[string, Zone](cachedRefs, cacheTime, cfg.Now),
		seenOver:    cache.New[string, bool](cachedRefs, cacheTime, cfg.Now),
	}
	if cfg.URL != "" {
		u, err := url.Parse(cfg.URL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return nil, errors.New("account: the external URL is not http(s)://HOST")
		}
		if err := d.cross.AddTrustedOrigin(u.Scheme + "://" + u.Host); err != nil {
			return nil, fmt.Errorf("account: external URL: %w", err)
		}
	}
	if cfg.BootstrapToken != "" {
		if len(cfg.BootstrapToken) < 32 {
			return nil, errors.New("account: the bootstrap token must have at least 32 characters")
		}
		h := HashOf(cfg.BootstrapToken)
		d.bootstrap = &h
	}
	if d.metrics, err = newMetrics(cfg.Registerer); err != nil {
		return nil, err
	}
	return d, nil
}

// Describe returns the feature as the app serves and runs it.
func (d *Directory) Describe() feature.Feature {
	return feature.Feature{
		API:     d.API,
		Pages:   d.Pages,
		Finders: d.finders(),
		Actions: d.actions(),
		News:    d.news(),
		Stages:  []run.Stage{{Name: "accounts", Run: d.Run}},
	}
}

// Run works in the background until ctx ends: it writes when credentials were
// last used, records refused requests, and removes expired links and sessions.
func (d *Directory) Run(ctx context.Context) error {
	minute := time.NewTicker(time.Minute)
	defer minute.Stop()
	for n := 0; ; n++ {
		select {
		case <-minute.C:
			d.flush(ctx)
			if n%60 == 0 {
				d.logged("remove expired links and sessions", d.purge(ctx))
			}
		case <-ctx.Done():
			// The drain has a time of its own to write what is in memory.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			d.flush(last)
			return nil
		}
	}
}

// flush writes the last uses and refused requests that are in memory. After a
// failure they stay there for the next flush.
func (d *Directory) flush(ctx context.Context) {
	d.logged("record refused requests", d.flushDenials(ctx))
	d.logged("write last uses", d.flushUses(ctx))
}

func (d *Directory) logged(what string, err error) {
	if err != nil {
		d.cfg.Log.Warn("account: cannot "+what+" now", "error", err)
	}
}

// API registers the operations.
func (d *Directory) API(api *web.API) {
	d.registerAccounts(api)
	d.registerMembers(api)
	d.registerConfirmations(api)
	d.registerTokens(api)
	d.registerZones(api)
	d.registerUser(api)
	d.registerOperators(api)
	api.Limit("account.tokens", MaxTokens)
	api.Limit("account.members", MaxMembers)
	api.Limit("account.zones", MaxZones)
	api.Limit("account.zone_aliases", MaxAliases)
}

// micros is the present moment as the database keeps it.
func (d *Directory) micros() int64 { return d.now().UnixMicro() }

// moment converts a time of the database for answers; 0 is no time.
func moment(micros int64) web.Time {
	if micros == 0 {
		return web.Time{}
	}
	return web.TimeOf(micros)
}

// gather collects the faults of one field, so that an answer has all faults of
// its request.
func gather(list *errs.List, err error) {
	if err != nil {
		*list = append(*list, errs.All(err)...)
	}
}

// text checks a text field of people's words: 1 to max characters without
// control characters, trimmed.
func text(pointer, value string, most int) (string, error) {
	value = strings.TrimSpace(value)
	if value == "" {
		return "", errs.At(errs.CodeMissingField, pointer, "%s is required", strings.TrimPrefix(pointer, "/"))
	}
	if len([]rune(value)) > most {
		return "", errs.At(errs.CodeOutOfRange, pointer, "%s has more than %d characters", strings.TrimPrefix(pointer, "/"), most)
	}
	if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "", errs.At(errs.CodeInvalid, pointer, "%s has control characters", strings.TrimPrefix(pointer, "/"))
	}
	return value, nil
}
