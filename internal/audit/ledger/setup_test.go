package ledger_test

import (
	"testing"

	"github.com/belfryhq/belfry/test/auditlog"
)

// The names by which the tests of this package call the parts of [auditlog].
const (
	accountA = auditlog.AccountA
	accountB = auditlog.AccountB
)

type members = auditlog.Members

var (
	start    = auditlog.Start
	minimal  = auditlog.Minimal
	complete = auditlog.Complete
	asJSON   = auditlog.JSON
	thorough = auditlog.Thorough
)

const patientSearch = auditlog.PatientSearch

// world is the log that the tests of this package work on.
type world struct{ *auditlog.World }

func newWorld(t testing.TB, url string) *world { return &world{auditlog.New(t, url)} }

// everywhere runs a test on SQLite and on PostgreSQL.
func everywhere(t *testing.T, test func(t *testing.T, w *world)) {
	auditlog.Everywhere(t, func(t *testing.T, w *auditlog.World) { test(t, &world{w}) })
}

var knownZones = map[string]string{"one.example": "z-1", "two.example": "z-2"}

var (
	openCheckpoint = auditlog.OpenCheckpoint
)
