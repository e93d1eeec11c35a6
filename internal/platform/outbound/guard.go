package outbound

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// guard decides which addresses may be reached. It looks at the address of
// every connection when it is made, so that a name which changes its meaning
// between two looks gains nothing.
type guard struct {
	allow  []netip.Prefix
	lookup func(ctx context.Context, host string) ([]netip.Addr, error)
}

// blockedError is a refused address. It does not say what a name resolved to:
// otherwise a user who may save a webhook could map the internal network.
type blockedError struct{ what string }

func (e *blockedError) Error() string {
	return e.what + " is not on the public Internet; the operator can allow its network with BELFRY_ALLOW_NETWORKS"
}

// global are the addresses that IANA assigns for the public Internet: one block of
// IPv6 so far (RFC 4291, 2.4). Addresses outside are refused, translation prefixes
// such as ::ffff:0:0:0/96 and 64:ff9b::/96 included.
var global = prefixes("0.0.0.0/0", "2000::/3")

// refused are the networks in global that are not the public Internet (IANA's
// registries of special-purpose addresses), and the networks that embed an IPv4
// address in IPv6: Teredo in 2001::/23, and 6to4.
var refused = prefixes(
	"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
	"192.0.2.0/24",
	"192.88.99.0/24",
	"192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
)

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

// publicPorts are the ports that a webhook may use outside of allowed networks.
var publicPorts = []uint16{80, 443, 8080, 8443}

// allows reports whether a connection to the address may be made.
func (g *guard) allows(a netip.AddrPort) bool {
	ip := a.Addr()
	if ip.Zone() != "" {
		return false
	}
	if ip.Is4In6() { // an IPv4 address, however it is written
		ip = ip.Unmap()
	}
	if within(g.allow, ip) {
		return true
	}
	return within(global, ip) && !within(refused, ip) && slices.Contains(publicPorts, a.Port())
}

func within(list []netip.Prefix, ip netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(ip) })
}

// dial resolves the host, wants every address of it to be allowed, and connects
// to one of them; the connection is looked at once more by control.
func (g *guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, service, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil {
		return nil, &blockedError{"the port " + service}
	}
	addrs, err := g.resolve(ctx, host)
	if err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if !g.allows(netip.AddrPortFrom(a, uint16(port))) {
			what := "the receiver " + host
			if g.allows(netip.AddrPortFrom(a, 443)) {
				what = fmt.Sprintf("the port %d of the receiver", port)
			}
			return nil, &blockedError{what}
		}
	}
	d := net.Dialer{ControlContext: g.control}
	var failed error
	for _, a := range addrs {
		conn, err := d.DialContext(ctx, network, netip.AddrPortFrom(a, uint16(port)).String())
		if err == nil {
			return conn, nil
		}
		if failed = err; ctx.Err() != nil {
			break
		}
	}
	return nil, failed
}

func (g *guard) resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if ip, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{ip}, nil
	}
	// Resolvers read 127.1, 2130706433 and 0x7f000001 as addresses; names do
	// not end in a number (RFC 3696, 2).
	last := strings.TrimSuffix(host, ".")
	last = last[strings.LastIndexByte(last, '.')+1:]
	if _, err := strconv.ParseUint(last, 0, 64); err == nil || last == "" {
		return nil, &blockedError{"the receiver " + host}
	}
	addrs, err := g.lookup(ctx, host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no address", Name: host, IsNotFound: true}
	}
	return addrs, err
}

// control sees the address of the connection itself.
func (g *guard) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	a, err := netip.ParseAddrPort(address)
	if err != nil {
		return errors.New("an address that is not one")
	}
	if !g.allows(a) {
		return &blockedError{"the receiver"}
	}
	return nil
}

func sorted(h http.Header) []string { return slices.Sorted(maps.Keys(h)) }
