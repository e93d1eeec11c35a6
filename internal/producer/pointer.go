package producer

import (
	"slices"
	"strings"
)

// committed are the fields that are salted commitments in every envelope of
// the record; committable the further ones that a catalogue may declare
// personal. The record's format (audit) has the same rule; a test of the app
// holds the two together, since features do not import each other.
var (
	committed = []string{
		"/actor/email", "/actor/id", "/actor/ip_address", "/actor/name",
		"/actor/on_behalf_of/email", "/actor/on_behalf_of/id",
		"/after", "/before", "/metadata", "/request/uri", "/request/user_agent",
	}
	committable = []string{
		"/action/description", "/actor/token_id", "/actor/token_name",
		"/reason/text", "/reason/url", "/request/id", "/resource/id", "/resource/name",
	}
	openRoots = []string{"before", "after", "metadata"}
)

// Committable reports whether a catalogue may declare the pointer personal:
// some fixed fields, and every member below before, after and metadata.
func Committable(pointer string) bool {
	return slices.Contains(committed, pointer) || slices.Contains(committable, pointer) || open(pointer)
}

// open reports whether the pointer is a member below before, after or metadata.
func open(pointer string) bool {
	root, rest, ok := strings.Cut(strings.TrimPrefix(pointer, "/"), "/")
	return strings.HasPrefix(pointer, "/") && ok && rest != "" && !strings.HasSuffix(rest, "/") && !strings.Contains(rest, "//") &&
		slices.Contains(openRoots, root)
}

// escapesValid reports whether each ~ is ~0 or ~1 (RFC 6901, 3).
func escapesValid(pointer string) bool {
	for i := 0; i < len(pointer); i++ {
		if pointer[i] == '~' && (i+1 == len(pointer) || pointer[i+1] != '0' && pointer[i+1] != '1') {
			return false
		}
	}
	return true
}
