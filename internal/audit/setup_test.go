package audit_test

import (
	"context"
	"testing"

	"github.com/belfryhq/belfry/internal/audit"
	"github.com/belfryhq/belfry/test/auditlog"
)

// The names by which the tests of this package call the parts of [auditlog].
const (
	accountA = auditlog.AccountA
	accountB = auditlog.AccountB
)

type (
	members = auditlog.Members
)

var (
	start    = auditlog.Start
	token    = auditlog.Token
	minimal  = auditlog.Minimal
	complete = auditlog.Complete
)

// world is the log that the tests of this package work on.
type world struct{ *auditlog.World }

func newWorld(t testing.TB, url string) *world { return &world{auditlog.New(t, url)} }

// everywhere runs a test on SQLite and on PostgreSQL.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	auditlog.Everywhere(t, func(t *testing.T, w *auditlog.World) { test(t, &world{w}) })
}

var knownZones = map[string]string{"one.example": "z-1", "two.example": "z-2"}

var (
	newExported = auditlog.NewExport
)

func plainSources() audit.Sources {
	return audit.Sources{
		Rules:   func(context.Context, string, string) (*audit.Rules, error) { return nil, nil },
		Zone:    func(context.Context, string, string) (string, string, error) { return "", "", nil },
		Account: func(_ context.Context, ref string) (string, error) { return ref, nil },
	}
}

// intake is an intake that knows no catalogue and no zone.
func (w *world) intake() *audit.Intake { return audit.NewIntake(plainSources(), w.Clock.Now) }
