package belfry

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
)

// Redacted replaces each value that Config.Redact names.
const Redacted = "[redacted]"

// redactor replaces values under /before, /after and /metadata.
type redactor struct {
	names    []string
	pointers [][]string // unescaped tokens
}

func newRedactor(rules []string) (redactor, error) {
	var r redactor
	for _, rule := range rules {
		if !strings.HasPrefix(rule, "/") {
			if rule == "" {
				return r, fmt.Errorf("an entry is empty, expected a field name or a JSON pointer")
			}
			r.names = append(r.names, rule)
			continue
		}
		tokens := strings.Split(rule[1:], "/")
		for i := range tokens {
			tokens[i] = rawjson.UnescapeToken(tokens[i])
		}
		if !slices.Contains(openParts(), tokens[0]) {
			return r, fmt.Errorf("pointer %q does not begin with /before, /after or /metadata", rule)
		}
		r.pointers = append(r.pointers, tokens)
	}
	return r, nil
}

func openParts() []string { return []string{"before", "after", "metadata"} }

// apply appends doc's text to dst with the values replaced; false, and dst
// unchanged, when there is nothing to replace.
func (r redactor) apply(dst []byte, doc *rawjson.Doc) ([]byte, bool) {
	nodes := r.find(doc)
	if len(nodes) == 0 {
		return dst, false
	}
	slices.Sort(nodes) // a value stands before those inside it
	var at int32
	for _, i := range nodes {
		n := doc.Nodes[i]
		if n.Start < at {
			continue // inside a value that is replaced already
		}
		dst = append(dst, doc.Data[at:n.Start]...)
		if doc.Nodes[n.Parent].Parent < 0 && doc.Key(i) == "metadata" {
			dst = append(dst, `{}`...) // metadata must stay an object
		} else {
			dst = append(dst, `"`+Redacted+`"`...)
		}
		at = n.End
	}
	return append(dst, doc.Data[at:]...), true
}

func (r redactor) find(doc *rawjson.Doc) (nodes []int) {
	for _, tokens := range r.pointers {
		nodes = resolve(nodes, doc, 0, tokens)
	}
	if len(r.names) == 0 {
		return nodes
	}
	for _, part := range openParts() {
		top := doc.Member(0, part)
		if top < 0 {
			continue
		}
		for i := top + 1; i < int(doc.Nodes[top].Next); i++ {
			if doc.Nodes[i].KeyEnd != 0 && r.named(doc, i) {
				nodes = append(nodes, i)
			}
		}
	}
	return nodes
}

func (r redactor) named(doc *rawjson.Doc, i int) bool {
	n := doc.Nodes[i]
	key := doc.Data[n.KeyStart+1 : n.KeyEnd-1]
	if bytes.IndexByte(key, '\\') >= 0 {
		key = []byte(doc.Key(i))
	}
	return slices.ContainsFunc(r.names, func(name string) bool {
		return strings.EqualFold(name, string(key))
	})
}

// resolve appends what a JSON pointer leads to from a node. In a list, an index
// picks one item and a name goes into every item, as on the server.
func resolve(nodes []int, doc *rawjson.Doc, i int, tokens []string) []int {
	if len(tokens) == 0 {
		return append(nodes, i)
	}
	switch doc.Nodes[i].Kind {
	case '{':
		if member := doc.Member(i, tokens[0]); member >= 0 {
			return resolve(nodes, doc, member, tokens[1:])
		}
	case '[':
		at, err := strconv.Atoi(tokens[0])
		index := err == nil && at >= 0 && tokens[0] == strconv.Itoa(at)
		n := 0
		for item := range doc.Children(i) {
			if !index {
				nodes = resolve(nodes, doc, item, tokens)
			} else if n == at {
				return resolve(nodes, doc, item, tokens[1:])
			}
			n++
		}
	}
	return nodes
}
