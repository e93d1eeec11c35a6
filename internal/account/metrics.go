package account

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/belfryhq/belfry/internal/platform/telemetry"
)

type metrics struct {
	refused *prometheus.CounterVec // credentials, by reason
	signIns *prometheus.CounterVec // by method and outcome
	dropped prometheus.Counter     // refused requests that are not in the audit log
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_account_credentials_refused_total",
			Help: "Credentials refused, by reason: malformed, unknown, expired, address, session.",
		}, []string{"reason"}),
		signIns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "belfry_account_sign_ins_total",
			Help: "Sign-ins, by method (link, password, portal) and outcome (ok, failed, limited).",
		}, []string{"method", "outcome"}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "belfry_account_denials_dropped_total",
			Help: "Refused requests that did not fit into memory and are missing in the audit log.",
		}),
	}
	telemetry.StartAtZero(m.refused, []string{"malformed", "unknown", "expired", "address", "session"})
	telemetry.StartAtZero(m.signIns, []string{"link", "password", "portal"}, []string{"ok", "failed", "limited"})
	if r == nil {
		return m, nil
	}
	return m, errors.Join(r.Register(m.refused), r.Register(m.signIns), r.Register(m.dropped))
}
