package notify

import (
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"
)

// secrets sign a webhook's messages; they are sealed in the database.
type secrets struct {
	Shared string       `json:"shared,omitempty"` // cf-webhook-auth
	Keys   []signingKey `json:"keys,omitempty"`
}

// signingKey is a whsec_ value. Until is when an old one ends; 0 = in force.
type signingKey struct {
	Key   string `json:"key"`
	Until int64  `json:"until,omitempty"`
}

// overlap is how long the previous key signs too after a rotation.
const overlap = 24 * time.Hour

// active are the keys that sign now, the newest first.
func (s *secrets) active(now time.Time) []string {
	var list []string
	for _, k := range s.Keys {
		if k.Until == 0 || now.UnixMicro() < k.Until {
			list = append(list, k.Key)
		}
	}
	return list
}

// newKey makes a signing secret of Standard Webhooks: 32 random bytes.
func newKey() string {
	b := make([]byte, 32)
	rand.Read(b)
	return "whsec_" + base64.StdEncoding.EncodeToString(b)
}

// checkKey returns the fault of a caller's signing secret; "" when it is valid.
func checkKey(s string) string {
	encoded, found := strings.CutPrefix(s, "whsec_")
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if !found || err != nil || len(raw) < 24 || len(raw) > 64 {
		return "signing_secret is whsec_ and the base64 of 24 to 64 random bytes, " +
			"as from: echo whsec_$(openssl rand -base64 32)"
	}
	return ""
}
