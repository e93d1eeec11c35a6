package notify

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// secrets give access to a destination and sign its messages; they are sealed in the
// database.
type secrets struct {
	Shared  string            `json:"shared,omitempty"` // cf-webhook-auth, or the credential of the type
	URL     string            `json:"url,omitempty"`    // where it is a secret by itself
	Headers map[string]string `json:"headers,omitempty"`
	Keys    []signingKey      `json:"keys,omitempty"`
}

// signingKey is a pair of keys that sign. Until is when old ones end; 0 = in force.
type signingKey struct {
	Key   string `json:"key"`            // whsec_
	Seed  []byte `json:"seed,omitempty"` // of the Ed25519 key; an older version made none
	Until int64  `json:"until,omitempty"`
}

// overlap is how long the previous key signs too after a rotation.
const overlap = 24 * time.Hour

// active are the keys that sign now, the newest first.
func (s *secrets) active(now time.Time) (keys []string, signers []ed25519.PrivateKey) {
	for _, k := range s.Keys {
		if k.Until != 0 && now.UnixMicro() >= k.Until {
			continue
		}
		keys = append(keys, k.Key)
		if len(k.Seed) == ed25519.SeedSize {
			signers = append(signers, ed25519.NewKeyFromSeed(k.Seed))
		}
	}
	return keys, signers
}

// newKey makes the keys of a webhook: a secret of Standard Webhooks of 32 random bytes,
// and the seed of an Ed25519 key.
func newKey() signingKey {
	return signingKey{Key: outbound.NewSigningKey(), Seed: newSeed()}
}

func newSeed() []byte {
	b := make([]byte, ed25519.SeedSize)
	rand.Read(b)
	return b
}

// publicKey is the whpk_ value that verifies the signatures v1a of the newest key.
func (s *secrets) publicKey() string {
	for _, k := range s.Keys {
		if len(k.Seed) == ed25519.SeedSize {
			public := ed25519.NewKeyFromSeed(k.Seed).Public().(ed25519.PublicKey)
			return "whpk_" + base64.StdEncoding.EncodeToString(public)
		}
	}
	return ""
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
