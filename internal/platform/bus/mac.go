package bus

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Every client that may write to a topic can imitate Belfry's records. So each record
// that Belfry publishes carries a MAC under a key that only its processes have, and
// consumers recognise their own records by it.

// MACHeader is the header with the MAC of a record that Belfry published: the
// HMAC-SHA256, in hexadecimal digits, over the topic, the key and the value.
const MACHeader = "belfry-mac"

// mac authenticates a record. The topic is part of it, so that a record copied to
// another topic does not verify. The lengths keep the three parts apart.
func mac(secret []byte, topic string, key, value []byte) string {
	h := hmac.New(sha256.New, secret)
	for _, part := range [][]byte{[]byte(topic), key, value} {
		h.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part))))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// own reports whether a process with the cluster's key published the record.
func (c Cluster) own(r *kgo.Record) bool {
	if len(c.Key) == 0 {
		return false
	}
	for _, h := range r.Headers {
		if h.Key == MACHeader {
			return hmac.Equal(h.Value, []byte(mac(c.Key, r.Topic, r.Key, r.Value)))
		}
	}
	return false
}
