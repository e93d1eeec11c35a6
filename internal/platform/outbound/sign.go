package outbound

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Webhooks are signed as Standard Webhooks 1.0.0 has it (https://www.standardwebhooks.com).

// NewSigningKey makes a key: whsec_ and the base64 of 32 random bytes.
func NewSigningKey() string {
	key := make([]byte, 32)
	rand.Read(key)
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// Sign makes the value of webhook-signature: one v1 signature for each key
// (whsec_ and base64), separated by spaces.
func Sign(keys []string, id string, at time.Time, body []byte) (string, error) {
	var list []string
	for _, k := range keys {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(k, "whsec_"))
		if err != nil {
			return "", errors.New("a signing secret is not base64")
		}
		h := hmac.New(sha256.New, key)
		h.Write(SignedContent(id, at, body))
		list = append(list, "v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
	}
	return strings.Join(list, " "), nil
}

// SignedContent is the content that is signed: id, time and body, separated by full stops.
func SignedContent(id string, at time.Time, body []byte) []byte {
	return append([]byte(id+"."+strconv.FormatInt(at.Unix(), 10)+"."), body...)
}

// SignatureHeader holds id, time and signature of a webhook. The names are in lower case, as the specification writes
// them.
func SignatureHeader(id string, at time.Time, signature string) http.Header {
	return http.Header{
		"webhook-id":        {id},
		"webhook-timestamp": {strconv.FormatInt(at.Unix(), 10)},
		"webhook-signature": {signature},
	}
}
