package app

import (
	"context"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/feature"
)

// newAccount constructs accounts, members, tokens and properties.
func (a *App) newAccount(ctx context.Context, env feature.Env) (feature.Feature, error) {
	var err error
	send, err := a.sendMail()
	if err != nil {
		return feature.Feature{}, err
	}
	a.Account, err = account.New(account.Config{
		Env:            env,
		BootstrapToken: a.Config.BootstrapToken,
		Secure:         strings.HasPrefix(a.Config.ExternalURL, "https:") || a.Config.TLSCert != "",
		SendMail:       send,
		Sizes:          a.accountSizes,
		Objectives:     a.propertyObjectives,
		Alerts:         a.propertyAlerts,
		Traffic:        a.propertyTraffic,
		Changes:        a.propertyChanges,
	})
	if err != nil {
		return feature.Feature{}, err
	}
	if err := a.Account.EnsureInstallation(ctx); err != nil {
		return feature.Feature{}, err
	}
	return a.Account.Describe(), nil
}

// timeZone reads the zone of an account. Features call it after the accounts are constructed.
func (a *App) timeZone(ctx context.Context, accountID string) *time.Location {
	return a.Account.TimeZone(ctx, accountID)
}

// accountSizes reads the sizes of all audit logs. It is called by pages only, after the audit log is constructed.
func (a *App) accountSizes(ctx context.Context) (map[string]account.AccountSize, error) {
	sizes, err := a.Audit.Sizes(ctx)
	list := make(map[string]account.AccountSize, len(sizes))
	for id, one := range sizes {
		list[id] = account.AccountSize{Events: one.Size, LastEvent: one.RecordedAt}
	}
	return list, err
}
