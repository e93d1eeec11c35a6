package record_test

import (
	"github.com/belfryhq/belfry/test/auditlog"
)

// The names by which the tests of this package call the parts of [auditlog].
type (
	members = auditlog.Members
)

var (
	start   = auditlog.Start
	minimal = auditlog.Minimal
)
