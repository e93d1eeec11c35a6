package account_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/test/site"
)

// dashboard is an installation with its pages, over the store of a fixture.
type dashboard struct {
	*fixture
	*site.Site
}

func newDashboard(t *testing.T, change ...func(*account.Config)) *dashboard {
	t.Helper()
	f := newFixture(t, db.Config{DataDir: t.TempDir()})
	s := site.New(t, site.Config{
		DB:  f.db,
		Now: func() time.Time { return time.UnixMicro(f.now.Load()) },
		Accounts: func(cfg *account.Config) {
			cfg.Registerer = prometheus.NewRegistry()
			cfg.BootstrapToken = root
			for _, c := range change {
				c(cfg)
			}
		},
	})
	f.accounts = s.Accounts
	f.api = s.API
	return &dashboard{f, s}
}
