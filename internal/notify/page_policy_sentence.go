package notify

import (
	"cmp"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/page"
)

// shownPolicy is a policy in the list, with its sentence.
type shownPolicy struct {
	Policy
	Href, What, Which, To string
	Unknown               bool   // no catalogue declares its type any more
	Nowhere               string // properties that it names and the account does not have
}

func (p *pages) shownPolicy(v *page.Visit, one Policy, names map[string]string) (shownPolicy, error) {
	s := shownPolicy{Policy: one, Href: policyPath(v.Account, one.ID), What: one.AlertType}
	kind, err := p.AlertType(v.Context(), one.AlertType)
	if err != nil {
		return s, err
	}
	if s.Unknown = kind == nil; !s.Unknown {
		s.What = kind.Title
	}
	if err := p.resolveZones(v.Context(), &one); err != nil {
		return s, err
	}
	s.Nowhere = few(one.unknownZones())
	var to, which []string
	if to, err = p.destinationsOf(v, &one, names); err != nil {
		return s, err
	}
	s.To = few(to)
	s.Which = "for all properties"
	for _, key := range sortedKeys(one.Filters) {
		values := one.Filters[key]
		switch {
		case len(values) == 0:
		case key == zonesKey:
			s.Which = "for " + few(one.spoken(zonesKey, values))
		case key == zonesKey+notSuffix:
			s.Which = "for all properties except " + few(one.spoken(zonesKey, values))
		case strings.HasSuffix(key, notSuffix):
			which = append(which, strings.TrimSuffix(key, notSuffix)+" is not "+few(values))
		default:
			which = append(which, key+" is "+few(values))
		}
	}
	if len(which) > 0 {
		s.Which += ", " + strings.Join(which, ", ")
	}
	return s, nil
}

// destinationsOf are the names of a policy's destinations. names has the names of
// the webhooks; nil = they are read.
func (p *pages) destinationsOf(v *page.Visit, one *Policy, names map[string]string) (to []string, err error) {
	if names == nil {
		hooks, err := p.Webhooks(v.Context(), v.Account)
		if err != nil {
			return nil, err
		}
		names = map[string]string{}
		for _, h := range hooks {
			names[h.ID] = h.Name
		}
	}
	for _, e := range one.Mechanisms.Email {
		to = append(to, e.ID)
	}
	for _, m := range one.Mechanisms.Inbox {
		name, err := p.inboxName(v.Context(), v.Account, m.ID)
		if err != nil {
			return nil, err
		}
		to = append(to, name)
	}
	for _, h := range one.Mechanisms.Webhooks {
		to = append(to, cmp.Or(names[h.ID], "a webhook that was deleted"))
	}
	return to, nil
}
