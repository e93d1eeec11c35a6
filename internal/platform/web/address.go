package web

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/belfryhq/belfry/internal/platform/id"
)

type addrKey struct{}

// ClientAddr is the address of the request's client (invalid outside requests).
func ClientAddr(ctx context.Context) netip.Addr {
	a, _ := ctx.Value(addrKey{}).(netip.Addr)
	return a
}

// clientOf finds the client's address and says whether the peer is a trusted
// proxy. X-Forwarded-For counts only when the peer is one, and is read from the
// right: the first hop that is not a trusted proxy is the client, since
// everything left of it was written by the client itself.
func (a *API) clientOf(r *http.Request) (client netip.Addr, trusted bool) {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	client, _ = netip.ParseAddr(host)
	client = client.Unmap().WithZone("")
	if !a.trusts(client) {
		if r.Header.Get("X-Forwarded-For") != "" {
			a.strangers.warn(a.deps.Log, client)
		}
		return client, false
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break // hops left of an invalid one cannot be trusted
		}
		client = addr
		if !a.trusts(addr) {
			break
		}
	}
	return client, true
}

type operatorsKey struct{}

// areOperators reports whether the request comes from the operators' networks.
// The address that a peer forwards counts only if the peer is a trusted proxy: an
// undeclared proxy on this machine must not make its clients operators.
func (a *API) areOperators(r *http.Request, client netip.Addr, trusted bool) bool {
	if !trusted && (r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "") {
		return false
	}
	return slices.ContainsFunc(a.cfg.OperatorNetworks, func(p netip.Prefix) bool { return p.Contains(client) })
}

// fromOperators reports the same of a request's context.
func fromOperators(ctx context.Context) bool {
	yes, _ := ctx.Value(operatorsKey{}).(bool)
	return yes
}

// strangers are the peers that sent X-Forwarded-For and are no trusted proxies.
type strangers struct {
	mu     sync.Mutex // guards warned
	warned map[netip.Addr]bool
}

// maxStrangers bounds the warnings: any client may send the header.
const maxStrangers = 8

// warn logs once for each peer that its header is ignored. Behind a proxy that is not
// trusted, all clients share one address, and its limits.
func (s *strangers) warn(log *slog.Logger, peer netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.warned[peer] || len(s.warned) >= maxStrangers {
		return
	}
	if s.warned == nil {
		s.warned = map[netip.Addr]bool{}
	}
	s.warned[peer] = true
	log.Warn("X-Forwarded-For is ignored: it comes from a peer that BELFRY_TRUSTED_PROXIES does not name; "+
		"if it is your proxy, name it, or all its clients share one address and its limits", "peer", peer)
}

// parseHop reads an address, with or without a port or brackets.
func parseHop(s string) (netip.Addr, bool) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.Trim(s, "[]"))
	return addr.Unmap().WithZone(""), err == nil
}

func (a *API) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(a.cfg.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// requestID is the id of a request: the one a trusted proxy gave, or a new one.
func requestID(r *http.Request, trusted bool) string {
	if s := r.Header.Get("X-Request-Id"); trusted && s != "" && len(s) <= 64 {
		plain := !strings.ContainsFunc(s, func(c rune) bool {
			return (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && !strings.ContainsRune("._:-", c)
		})
		if plain {
			return s
		}
	}
	return id.New()
}
