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

// registerEgress registers the operation with which receivers of webhooks and mail read the sender's networks.
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
		Summary:     "List the networks from which webhooks and mail are sent",
		Public:      true,
		Description: "The setting BELFRY_EGRESS_NETWORKS of the operators; empty if it is not set.",
	}, func(context.Context, *struct{}) (egress, error) { return list, nil })
}
