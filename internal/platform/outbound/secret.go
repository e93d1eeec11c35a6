package outbound

import (
	"net/url"
	"strings"
)

// Parts of a URL that are at least this long are secrets by themselves; shorter ones
// are words such as "services".
const (
	longSegment = 12
	longValue   = 8
)

// URLSecrets returns the parts of a URL that give access to its receiver: path and
// query, and the long parts of both, since a receiver may repeat one of them.
func URLSecrets(s string) []string {
	u, err := url.Parse(s)
	if err != nil {
		return []string{s}
	}
	list := []string{s}
	if whole := u.RequestURI(); len(whole) > 1 {
		list = append(list, whole)
	}
	for _, segments := range [][]string{strings.Split(u.EscapedPath(), "/"), strings.Split(u.Path, "/")} {
		for _, segment := range segments {
			if len(segment) >= longSegment {
				list = append(list, segment)
			}
		}
	}
	for _, pair := range strings.Split(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		if len(value) >= longValue {
			list = append(list, value)
		}
		if plain, err := url.QueryUnescape(value); err == nil && len(plain) >= longValue {
			list = append(list, plain)
		}
	}
	return list
}
