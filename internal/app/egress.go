package app

import (
	"context"

	"github.com/belfryhq/belfry/internal/platform/web"
)

// egress is the result of GET /client/v4/ips.
type egress struct {
	IPv4 []string `json:"ipv4_cidrs"`
	IPv6 []string `json:"ipv6_cidrs"`
}

// registerEgress tells receivers of webhooks and mail which networks to let in.
func (a *App) registerEgress() {
	list := egress{IPv4: []string{}, IPv6: []string{}}
	for _, p := range prefixes(a.Config.EgressNetworks) {
		if p.Addr().Is4() {
			list.IPv4 = append(list.IPv4, p.String())
		} else {
			list.IPv6 = append(list.IPv6, p.String())
		}
	}
	web.Get(a.API, web.Op{
		Path:        "/ips",
		ID:          "list-egress-networks",
		Tag:         "Server",
		Summary:     "List the networks that webhooks and mail come from",
		Public:      true,
		Description: "As the operators set them (BELFRY_EGRESS_NETWORKS); empty when they did not.",
	}, func(context.Context, *struct{}) (egress, error) { return list, nil })
}
