package slo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// CorrectionKind is the kind of a correction.
type CorrectionKind string

// The kinds. A reset leaves out everything that was counted before it.
const (
	Maintenance CorrectionKind = "maintenance"
	Incident    CorrectionKind = "incident"
	Reset       CorrectionKind = "reset"
)

// CorrectionState is the state of a correction.
type CorrectionState string

// The states:
//
//	pending -> active -> removed      a small correction is active at once
//	   \-> rejected                   (also when who asked withdraws it)
const (
	Pending  CorrectionState = "pending"
	Active   CorrectionState = "active"
	Rejected CorrectionState = "rejected"
	Removed  CorrectionState = "removed"
)

// Limits of corrections.
const (
	// ApprovalShare is the part of an objective's budget that a correction may give back without a second member's
	// approval.
	ApprovalShare = 0.10

	// ApprovalAhead is the part of a correction, in seconds, that may lie ahead without approval: what that gives back
	// is not known yet.
	ApprovalAhead = 4 * 3600

	MaxCorrections = 500  // of an account, that are pending or active and may still matter
	maxExclusions  = 5000 // of an account: corrections times objectives
	maxReason      = 500  // characters
	maxTargets     = 100  // objectives that a correction lists
	maxAhead       = 90 * 86400
)

// Correction is a stretch of time whose counts are left out of budgets and burn rates.
type Correction struct {
	ID          string          `json:"id"`
	Kind        CorrectionKind  `json:"kind" enum:"maintenance,incident,reset"`
	Reason      string          `json:"reason"`
	From        web.Time        `json:"from"`
	To          web.Time        `json:"to"`
	Zone        string          `json:"zone,omitempty" doc:"Id of the property whose objectives are corrected, also those that are created later"`
	Objectives  []string        `json:"objectives,omitempty" doc:"Ids of the objectives that are corrected"`
	State       CorrectionState `json:"state" enum:"pending,active,rejected,removed" doc:"pending: it waits for the approval of a second member, and changes nothing yet"`
	Approval    string          `json:"needs_approval,omitempty" doc:"Why it needs the approval of a second member"`
	GivesBack   []GivesBack     `json:"gives_back" doc:"What it left out of each objective when it was requested, or approved"`
	RequestedBy Member          `json:"requested_by"`
	DecidedBy   *Member         `json:"decided_by,omitempty" doc:"Who approved, rejected or removed it"`
	CreatedOn   web.Time        `json:"created_on"`
	ModifiedOn  web.Time        `json:"modified_on"`

	account       string
	requestEvent  string // id of the audit event of the request; "" = it is older than this record
	decisionEvent string // of the approval, rejection or removal
}

// Member is the principal who requested or decided a correction.
type Member struct {
	Type string `json:"type" enum:"user,token,staff,portal,system"`
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`

	Key string `json:"-"` // stored: the principal's key
}

// GivesBack is the effect of a correction on an objective.
type GivesBack struct {
	ObjectiveID string   `json:"objective_id"`
	Objective   string   `json:"objective" doc:"Its name"`
	From        web.Time `json:"from" doc:"Older counts are kept in longer intervals, which are left out as a whole"`
	To          web.Time `json:"to"`
	Total       uint64   `json:"total" doc:"Requests that are left out so far"`
	Bad         uint64   `json:"bad"`
	Budget      float64  `json:"budget" doc:"Part of the whole budget that is given back: 1 = all of it"`
}

// CorrectionCreate requests a correction of the objectives of a property, or of some objectives.
type CorrectionCreate struct {
	Zone       string   `json:"zone,omitempty" maxLength:"255" doc:"Id, name or alias of the property whose objectives are corrected"`
	Objectives []string `json:"objectives,omitempty" doc:"Ids of the objectives that are corrected, instead of a property; at most 100"`
	ObjectiveCorrectionCreate
}

// ObjectiveCorrectionCreate requests a correction of one objective.
type ObjectiveCorrectionCreate struct {
	Kind   CorrectionKind `json:"kind,omitempty" doc:"maintenance (when left out), incident, or reset"`
	Reason string         `json:"reason" maxLength:"2000" doc:"Why these requests do not count, for the chart and the audit log"`
	From   web.Time       `json:"from,omitzero" doc:"May lie ahead; left out for a reset"`
	To     web.Time       `json:"to,omitzero" doc:"Left out for a reset, which ends now"`
}

// check checks a request and makes the correction of it, without its targets. The error names all faults.
func (in *ObjectiveCorrectionCreate) check(now time.Time) (*Correction, error) {
	c := &checker{}
	out := &Correction{
		Kind:      in.Kind,
		Reason:    strings.TrimSpace(in.Reason),
		From:      in.From,
		To:        in.To,
		State:     Active,
		GivesBack: []GivesBack{},
	}
	control := func(r rune) bool { return r < ' ' && r != '\n' }
	if n := len([]rune(out.Reason)); n == 0 || n > maxReason || strings.ContainsFunc(out.Reason, control) {
		c.fault(errs.CodeInvalid, "/reason", "say in 1 to %d characters why these requests do not count", maxReason)
	}
	oldest := now.Unix() - kept
	switch out.Kind {
	case "":
		out.Kind = Maintenance
	case Maintenance, Incident:
	case Reset:
		if !in.From.IsZero() || !in.To.IsZero() {
			c.fault(errs.CodeInvalid, "/from", "a reset has no times: it leaves out everything up to now")
		}
		out.From = timeOf(tally.AlignDown(oldest, Tick))
		out.To = timeOf(tally.AlignDown(now.Unix(), Tick) + Tick)
		return out, c.faults.Or()
	default:
		c.fault(errs.CodeInvalid, "/kind", "the kind must be maintenance, incident or reset, not %q",
			clip(string(out.Kind), 40))
	}
	switch {
	case in.From.IsZero():
		c.fault(errs.CodeMissingField, "/from", "say when the time begins that is left out, such as 2026-11-22T10:00:00Z")
	case in.To.IsZero():
		c.fault(errs.CodeMissingField, "/to", "say when the time ends that is left out, such as 2026-11-22T11:00:00Z")
	case !in.To.After(in.From.Time):
		c.fault(errs.CodeInvalid, "/to", "the time must end after it begins")
	case in.From.Unix() < oldest:
		c.fault(errs.CodeOutOfRange, "/from", "counts are kept for %d days: the time must begin later", kept/86400)
	case in.To.Unix() > now.Unix()+maxAhead:
		c.fault(errs.CodeOutOfRange, "/to", "the time must end within the next %d days", maxAhead/86400)
	}
	return out, c.faults.Or()
}

// appliesTo reports whether the correction is for an objective.
func (c *Correction) appliesTo(o *Objective) bool {
	if c.Zone != "" {
		return c.Zone == o.Match.Zone
	}
	return slices.Contains(c.Objectives, o.ID)
}

// setApproval decides whether a second member has to approve.
func (c *Correction) setApproval(now time.Time) {
	var reasons []string
	planned := c.To.Unix() - max(c.From.Unix(), now.Unix())
	if planned > ApprovalAhead {
		reasons = append(reasons, fmt.Sprintf("%s of it lie ahead, more than %s", span(planned), span(ApprovalAhead)))
	}
	for _, g := range c.GivesBack {
		if g.Budget > ApprovalShare {
			reasons = append(reasons, fmt.Sprintf("it gives back %.0f %% of the budget of %s, more than %.0f %%",
				100*g.Budget, g.Objective, 100*ApprovalShare))
		}
	}
	if len(reasons) == 0 {
		return
	}
	c.State = Pending
	if n := len(reasons); n > 3 {
		reasons = append(reasons[:3], fmt.Sprintf("and %d more", n-3))
	}
	c.Approval = strings.Join(reasons, "; ")
}

// name describes the correction, for the audit log.
func (c *Correction) name() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s to %s", c.Kind, c.From.UTC().Format("2006-01-02 15:04"),
		c.To.UTC().Format("2006-01-02 15:04 UTC")))
}

// memberOf is a principal as a correction names it.
func memberOf(p *web.Principal) Member {
	if p == nil {
		return Member{Type: string(web.KindSystem), ID: event.Product, Key: "system"}
	}
	return Member{Type: string(p.Kind), ID: p.ID, Name: cmp.Or(p.Name, p.Email), Key: p.Key()}
}
