package app

import (
	"context"
	"strings"

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
		Objectives:     a.propertyObjectives,
		Alerts:         a.propertyAlerts,
		Traffic:        a.propertyTraffic,
	})
	if err != nil {
		return feature.Feature{}, err
	}
	if err := a.Account.EnsureInstallation(ctx); err != nil {
		return feature.Feature{}, err
	}
	return a.Account.Describe(), nil
}
