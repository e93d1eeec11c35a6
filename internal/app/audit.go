package app

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// newAudit constructs the audit log. Products and their sentences come from the catalogues, accounts and properties
// from the accounts.
func (a *App) newAudit(ctx context.Context, env feature.Env) (feature.Feature, error) {
	signed, err := a.openSignedLog(ctx)
	if err != nil {
		return feature.Feature{}, err
	}
	a.Audit, err = audit.New(ctx, audit.Config{
		Env:       env,
		Box:       a.box,
		SignedLog: signed,
		KeyName:   keyName(a.Config),
		Epoch:     a.Config.Epoch,
		Sources: audit.Sources{
			Rules:    a.rules,
			Personal: a.personal,
			Zone:     a.Account.ResolveZone,
			Account:  a.Account.ResolveAccount,
			Closed:   a.Account.RefuseClosed,
			Members:  a.auditMembers,
		},
		Words: audit.Words{
			Sentence:    a.sentence,
			Products:    a.productCategories,
			AccountName: a.accountName,
		},
		Self:         a.recordSelf,
		BusRetention: max(retention(event.TopicAuditEvents), retention(event.TopicAuditRejects)),
		OwnRecorded:  a.ownRecorded,
		Proved:       a.noteProof,
	})
	if err != nil {
		return feature.Feature{}, err
	}
	a.Health.Add("audit signing", a.Audit.Ready)
	return a.Audit.Describe(), nil
}

// auditMembers lists the members of an account as whom actors are recognised.
func (a *App) auditMembers(ctx context.Context, accountID string) ([]audit.Member, error) {
	all, err := a.Account.Members(ctx, accountID, "", account.MaxMembers)
	list := make([]audit.Member, len(all))
	for i, m := range all {
		list[i] = audit.Member{ID: m.ID, Email: m.Email}
	}
	return list, err
}

// activity reads the newest events about an object. The features that are constructed before the audit log call it too,
// but only to answer requests.
func (a *App) activity(
	ctx context.Context, who *web.Principal, accountID string, about feature.About, limit int,
) (ui.Activity, error) {
	return a.Audit.Activity(ctx, who, accountID, about, limit)
}

// openSignedLog opens the log of signatures, which is stored outside of the databases: with several processes in a
// topic, else in a file in the folder of the keys.
func (a *App) openSignedLog(ctx context.Context) (ledger.SignedLog, error) {
	if len(a.Config.KafkaBrokers) > 0 {
		topic, err := ledger.OpenTopicLog(ctx, a.cluster, a.producer.Publish, a.Log, a.Registry)
		if err != nil {
			return nil, err
		}
		a.closing("signed log", topic.Close)
		a.Health.Add("signed log", func(context.Context) error { return topic.Ready() })
		return topic, nil
	}
	file, err := ledger.OpenFileLog(filepath.Join(a.keyDir(), "signed.log"))
	if err == nil {
		a.closing("signed log", file.Close)
	}
	return file, err
}

// recordSelf records an action on the audit log itself, such as an export. A HEAD request returns no data, so it is
// not recorded.
func (a *App) recordSelf(ctx context.Context, self audit.SelfAction) error {
	if r := web.Request(ctx); r != nil && r.Method == http.MethodHead {
		return nil
	}
	e := event.NewAudit(self.Account, self.Type, "record", self.Account, self.Name).With(self.Metadata)
	value, err := json.Marshal(feature.Complete(ctx, e.At(a.now())))
	if err != nil {
		return err
	}
	return a.Audit.AppendOwn(ctx, [][]byte{value})
}

// noteProof marks that a proof of the account was kept, for the first steps. It happens once in an account, and a
// request does not fail for it.
func (a *App) noteProof(ctx context.Context, accountID string) {
	if _, known := a.proved.LoadOrStore(accountID, true); known {
		return
	}
	if err := a.Account.Mark(ctx, accountID, markProof); err != nil {
		a.proved.Delete(accountID)
		a.Log.WarnContext(ctx, "the first proof of an account cannot be marked", "error", err)
	}
}

// keyName is the name of a new signing key: the public host; "" for a loopback address.
func keyName(cfg Config) string {
	u, err := url.Parse(cfg.ExternalURL)
	if err != nil || u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "127.") || u.Hostname() == "localhost" {
		return ""
	}
	return u.Hostname()
}
