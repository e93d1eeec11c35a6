package account

import (
	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// hubRows is the length of a section of the page of one object.
const hubRows = 10

// activity reads the newest events about an object for its page; nil without the permission to read the audit log.
func (p *pages) activity(v *page.Visit, about feature.About) (*ui.Activity, error) {
	if p.cfg.Activity == nil || !v.Can(AuditRead) {
		return nil, nil
	}
	a, err := p.cfg.Activity(v.Context(), v.Who, v.Account, about, hubRows)
	if err != nil {
		return nil, err
	}
	return &a, nil
}

// counted is a number with its noun: "1 property", "12 properties".
func counted(n int, one, many string) string {
	text, err := ui.Plural(n, one, many)
	if err != nil {
		return many // unreachable: n is a number
	}
	return text
}
