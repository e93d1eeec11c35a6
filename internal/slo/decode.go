package slo

import (
	"encoding/json"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
)

// decodeTraffic decodes a record into t, which keeps the memory of its counts. Records are written by encoding/json
// without spaces, and most have no escape: these are read in one pass. Everything else is left to encoding/json.
func decodeTraffic(value []byte, t *event.Traffic) error {
	counts := t.Counts[:0]
	*t = event.Traffic{Counts: counts}
	p := plainJSON{text: string(value)}
	if p.traffic(t) {
		return nil
	}
	*t = event.Traffic{}
	return json.Unmarshal(value, t)
}

// plainJSON reads JSON without spaces, escapes, negative numbers and characters outside of ASCII. Its methods return
// false when the text is anything else.
type plainJSON struct{ text string }

// skip skips a prefix.
func (p *plainJSON) skip(prefix string) bool {
	if !strings.HasPrefix(p.text, prefix) {
		return false
	}
	p.text = p.text[len(prefix):]
	return true
}

// str reads a string; the result shares the memory of the text.
func (p *plainJSON) str(to *string) bool {
	if len(p.text) == 0 || p.text[0] != '"' {
		return false
	}
	for i := 1; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"':
			*to = p.text[1:i]
			p.text = p.text[i+1:]
			return true
		case c == '\\' || c < ' ' || c >= 0x80:
			return false
		}
	}
	return false
}

// number reads up to 18 digits.
func (p *plainJSON) number(to *int64) bool {
	n := int64(0)
	i := 0
	for ; i < len(p.text) && p.text[i] >= '0' && p.text[i] <= '9'; i++ {
		n = 10*n + int64(p.text[i]-'0')
		if i == 18 {
			return false
		}
	}
	if i == 0 || i > 1 && p.text[0] == '0' {
		return false
	}
	*to = n
	p.text = p.text[i:]
	return true
}

// members reads an object and calls value for each of its keys.
func (p *plainJSON) members(value func(key string) bool) bool {
	if !p.skip("{") {
		return false
	}
	for {
		var key string
		if !p.str(&key) || !p.skip(":") || !value(key) {
			return false
		}
		if p.skip("}") {
			return true
		}
		if !p.skip(",") {
			return false
		}
	}
}

func (p *plainJSON) traffic(t *event.Traffic) bool {
	counted := false
	ok := p.members(func(key string) bool {
		switch key {
		case "account_id":
			return p.str(&t.Account)
		case "zone_id":
			return p.str(&t.Zone)
		case "id":
			return p.str(&t.ID)
		case "counts":
			again := counted
			counted = true
			return !again && p.counts(t)
		}
		return false
	})
	return ok && counted && p.text == ""
}

func (p *plainJSON) counts(t *event.Traffic) bool {
	if !p.skip("[") {
		return false
	}
	for {
		t.Counts = append(t.Counts, event.Count{})
		if !p.count(&t.Counts[len(t.Counts)-1]) {
			return false
		}
		if p.skip("]") {
			return true
		}
		if !p.skip(",") {
			return false
		}
	}
}

func (p *plainJSON) count(c *event.Count) bool {
	return p.members(func(key string) bool {
		switch key {
		case "ts":
			return p.number(&c.At)
		case "seconds":
			return p.number(&c.Seconds)
		case "origin":
			return p.str(&c.Origin)
		case "hostname":
			return p.str(&c.Hostname)
		case "path_class":
			return p.str(&c.PathClass)
		case "sli":
			return p.str(&c.SLI)
		case "total":
			return p.number(&c.Total)
		case "bad":
			return p.number(&c.Bad)
		case "unreachable":
			return p.number(&c.Unreachable)
		}
		return false
	})
}
