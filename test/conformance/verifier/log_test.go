package verifier_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/belfryhq/belfry/test/conformance/verifier"
)

const account = "0123456789abcdef0123456789abcdef"

// A testLog is a small log in the published formats, built without Belfry.
type testLog struct {
	t         *testing.T
	signer    note.Signer
	vkey      string
	envelopes []string
	shown     []string // the events as they are shown
	openings  []string
	stored    storedHashes
}

// storedHashes keeps every hash of the tree in tlog's order.
type storedHashes []tlog.Hash

func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = s[index]
	}
	return found, nil
}

func newLog(t *testing.T, events int) *testLog {
	t.Helper()
	secret, vkey, err := note.GenerateKey(rand.Reader, "audit.example")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	l := &testLog{t: t, signer: signer, vkey: vkey}
	for range events {
		l.add()
	}
	return l
}

// add appends an event that has open fields, a committed member below a committed value,
// a number that a float would change, and text that needs escapes.
func (l *testLog) add() {
	l.t.Helper()
	seq := len(l.envelopes)
	moment := fmt.Sprintf("2026-11-22T10:00:%02d.%06dZ", seq/100%60, seq)
	after := `{"level":"é\n\u0001","limit":1.10}`
	secret := `[12345678901234567890]`
	open := map[string]string{
		"/actor/id":     `"u1"`,
		"/after":        after,
		"/after/secret": secret,
	}
	event := `{"action":{"type":"update"},"actor":{"type":"user"},"id":"e` + strconv.Itoa(seq) +
		`","interface":"UI","occurred_at":"` + moment + `","resource":{"id":"r","product":"dns","type":"record"}}`
	var commitments, openings []string
	for _, path := range []string{"/actor/id", "/after", "/after/secret"} {
		salt := sha256.Sum256([]byte(fmt.Sprint(seq, path)))
		hash := sha256.Sum256(append(salt[:], open[path]...))
		commitments = append(commitments, fmt.Sprintf("%q:%q", path, b64(hash[:])))
		openings = append(openings, fmt.Sprintf(`%q:{"salt":%q,"value":%s}`, path, b64(salt[:]), open[path]))
	}
	by := `{"type":"token","id":"ffffffffffffffffffffffffffffffff"}`
	envelope := `{"v":1,"recorded_at":"` + moment + `","account":"` + account + `","submitted_by":` + by +
		`,"event":` + event + `,"commitments":{` + strings.Join(commitments, ",") + `}}`
	// Members in another order than the canonical one: only the content counts.
	shown := `{"seq":` + strconv.Itoa(seq) + `,"account":"` + account + `","recorded_at":"` + moment +
		`","submitted_by":` + by +
		`,"after":{"secret":` + secret + `,` + after[1:] + `,` +
		strings.Replace(event[1:], `"actor":{`, `"actor":{"id":"u1",`, 1)
	l.append(envelope, shown, `{`+strings.Join(openings, ",")+`}`)
}

func (l *testLog) append(envelope, shown, openings string) {
	l.t.Helper()
	hashes, err := tlog.StoredHashes(int64(len(l.envelopes)), []byte(envelope), l.stored)
	if err != nil {
		l.t.Fatal(err)
	}
	l.stored = append(l.stored, hashes...)
	l.envelopes = append(l.envelopes, envelope)
	l.shown = append(l.shown, shown)
	l.openings = append(l.openings, openings)
}

func (l *testLog) root(size int) tlog.Hash {
	l.t.Helper()
	if size == 0 {
		return sha256.Sum256(nil) // tlog has another root for the empty tree than RFC 6962
	}
	root, err := tlog.TreeHash(int64(size), l.stored)
	if err != nil {
		l.t.Fatal(err)
	}
	return root
}

func (l *testLog) signed(origin string, size int) string {
	l.t.Helper()
	root := l.root(size)
	text, err := note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", origin, size, b64(root[:]))}, l.signer)
	if err != nil {
		l.t.Fatal(err)
	}
	return string(text)
}

func (l *testLog) checkpoint(size int) verifier.Checkpoint {
	l.t.Helper()
	c, err := verifier.OpenCheckpoint([]byte(l.signed("audit.example/"+account, size)), l.vkey)
	if err != nil {
		l.t.Fatal(err)
	}
	return c
}

// subtree returns the hash of the 1<<level leaves that begin at from.
func (l *testLog) subtree(level int, from int64) string {
	hash := l.stored[tlog.StoredHashIndex(level, from>>level)]
	return `"` + b64(hash[:]) + `"`
}

// cover lists the hashes of the maximal aligned subtrees of [from, to), found one leaf
// doubling at a time.
func (l *testLog) cover(from, to int64) string {
	var list []string
	for from < to {
		level := 0
		for from%(2<<level) == 0 && from+(2<<level) <= to {
			level++
		}
		list = append(list, l.subtree(level, from))
		from += 1 << level
	}
	return "[" + strings.Join(list, ",") + "]"
}

func (l *testLog) export(from, to, size int) string {
	var b strings.Builder
	fmt.Fprintf(&b, `{"export":{"v":1,"account":"%s","from":%d,"to":%d,"size":%d,"left":%s,"right":%s}}`+"\n",
		account, from, to, size, l.cover(0, int64(from)), l.cover(int64(to), int64(size)))
	for seq := from; seq < to; seq++ {
		b.WriteString(l.line(seq))
	}
	return b.String()
}

func (l *testLog) line(seq int) string {
	return fmt.Sprintf(`{"seq":%d,"envelope":"%s","event":%s,"openings":%s}`+"\n",
		seq, b64([]byte(l.envelopes[seq])), l.shown[seq], l.openings[seq])
}

func (l *testLog) proof(index, size int) string {
	l.t.Helper()
	hashes, err := tlog.ProveRecord(int64(size), int64(index), l.stored)
	if err != nil {
		l.t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "c2sp.org/tlog-proof@v1\nindex %d\n", index)
	for _, hash := range hashes {
		b.WriteString(b64(hash[:]) + "\n")
	}
	return b.String() + "\n" + l.signed("audit.example/"+account, size)
}

func (l *testLog) bundle(index, size int) string {
	l.t.Helper()
	proof, err := json.Marshal(l.proof(index, size))
	if err != nil {
		l.t.Fatal(err)
	}
	return fmt.Sprintf(`{"bundle":{"v":1},"seq":%d,"envelope":"%s","event":%s,"openings":%s,"proof":%s,"vkey":"%s"}`,
		index, b64([]byte(l.envelopes[index])), l.shown[index], l.openings[index], proof, l.vkey)
}

// tile serves C2SP paths the slow way, one hash at a time.
func (l *testLog) tile(path string) ([]byte, error) {
	path, width, partial := strings.Cut(path, ".p/")
	count := 256
	if partial {
		var err error
		if count, err = strconv.Atoi(width); err != nil {
			return nil, err
		}
	}
	parts := strings.Split(path, "/")
	n, err := strconv.ParseInt(strings.ReplaceAll(strings.Join(parts[2:], ""), "x", ""), 10, 64)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	for i := n * 256; i < n*256+int64(count); i++ {
		if parts[1] == "entries" {
			b.Write(binary.BigEndian.AppendUint16(nil, uint16(len(l.envelopes[i]))))
			b.WriteString(l.envelopes[i])
			continue
		}
		level, err := strconv.Atoi(parts[1])
		if err != nil {
			return nil, err
		}
		hash := l.stored[tlog.StoredHashIndex(level*8, i)]
		b.Write(hash[:])
	}
	return b.Bytes(), nil
}

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
