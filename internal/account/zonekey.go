package account

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

// hostForm maps host names as browsers do (UTS #46, for lookup): case, width,
// composed characters, and Punycode for non-ASCII names. It accepts underscores,
// which names of services and containers have.
var hostForm = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false))

// ZoneKey returns the form in which references to zones are compared: names,
// aliases, the hosts of traffic, the zones of events and filters. A host name is
// in lower case and Punycode and has no final dot; the schemes http and https,
// the paths of their URLs and the ports 80 and 443 are left out; addresses are
// written as in RFC 5952. Other names are in lower case. It is idempotent.
func ZoneKey(ref string) string {
	key := keyOnce(ref)
	for range maxSteps { // "10.0.0.1.:80" loses its dot, then its port
		next := keyOnce(key)
		if next == key {
			break
		}
		key = next
	}
	return key
}

// maxSteps limits the steps to a key. A step shortens the text or does not change it.
const maxSteps = 8

func keyOnce(ref string) string {
	plain := strings.TrimRight(strings.ToLower(strings.TrimSpace(ref)), "./")
	if key, ok := hostKey(plain); ok {
		return key
	}
	return plain
}

// hostKey returns the key of a host, host:port or origin in lower case.
func hostKey(s string) (key string, ok bool) {
	scheme, rest, found := strings.Cut(s, "://")
	switch {
	case !found:
		scheme = ""
		rest = s
	case scheme == "http" || scheme == "https":
		if end := strings.IndexAny(rest, "/?#"); end >= 0 {
			rest = rest[:end]
		}
		scheme = ""
	default:
		scheme += "://"
	}
	if ap, err := netip.ParseAddrPort(rest); err == nil && ap.Addr().Zone() == "" {
		addr := ap.Addr().Unmap()
		if usualPort(scheme, ap.Port()) {
			return addr.String(), true
		}
		return scheme + netip.AddrPortFrom(addr, ap.Port()).String(), true
	}
	bare := rest
	if strings.HasPrefix(rest, "[") && strings.HasSuffix(rest, "]") {
		bare = rest[1 : len(rest)-1]
	}
	if a, err := netip.ParseAddr(bare); err == nil && a.Zone() == "" {
		a = a.Unmap()
		if scheme != "" && a.Is6() {
			return scheme + "[" + a.String() + "]", true
		}
		return scheme + a.String(), true
	}
	host, port, _ := strings.Cut(rest, ":")
	wildcard := ""
	if strings.HasPrefix(host, "*.") {
		wildcard = "*."
		host = host[2:]
	}
	ascii, err := hostForm.ToASCII(strings.TrimRight(host, "."))
	if err != nil {
		ascii = strings.TrimRight(host, ".")
	}
	if scheme == "" && (port == "80" || port == "443") {
		port = ""
	}
	if key = scheme + wildcard + ascii; port != "" {
		key += ":" + port
	}
	_, ok = origin(key)
	return key, ok
}

func usualPort(scheme string, port uint16) bool { return scheme == "" && (port == 80 || port == 443) }

// hostAsRead returns the host name of a key with the letters of its language.
func hostAsRead(key string) string {
	read, err := hostForm.ToUnicode(key)
	if err != nil || ZoneKey(read) != key {
		return key
	}
	return read
}

// maxSpellings is the maximum number of spellings of a key.
const maxSpellings = 12

// spellings lists the forms in which earlier versions may have stored a key, the
// most likely first; always [maxSpellings] of them.
func spellings(key string) []string {
	list := []string{key}
	if read := hostAsRead(key); read != key {
		list = append(list, read)
	}
	for _, host := range list[:len(list):len(list)] {
		list = append(list, "https://"+host, "http://"+host)
		if strings.Count(host, ":") == 1 || strings.HasPrefix(host, "[") {
			continue // it has its port
		}
		list = append(list, host+":443", host+":80", "https://"+host+":443")
	}
	for len(list) < maxSpellings {
		list = append(list, key)
	}
	return list[:maxSpellings]
}
