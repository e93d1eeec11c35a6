package verifier

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"
)

// maxEnvelope is the largest entry of a C2SP entry bundle, in bytes.
const maxEnvelope = 1<<16 - 1

// alwaysCommitted lists what an envelope never shows: personal data and content, which
// must be erasable without breaking a proof.
var alwaysCommitted = []string{
	"/actor/email", "/actor/id", "/actor/ip_address", "/actor/name",
	"/actor/on_behalf_of/email", "/actor/on_behalf_of/id",
	"/after", "/before", "/metadata", "/request/uri", "/request/user_agent",
}

var hexID = regexp.MustCompile(`^[0-9a-f]{32}$`)

// An envelope is the parsed content of the bytes that a leaf hashes.
type envelope struct {
	account     string
	recordedAt  string
	submittedBy value
	event       value
	commitments value
}

// parseEnvelope reads an envelope and checks that its bytes are the only ones that can
// say this: members in their order, canonical parts, no white space.
func parseEnvelope(raw []byte) (envelope, error) {
	if len(raw) > maxEnvelope {
		return envelope{}, fmt.Errorf("an envelope of %d bytes, at most %d fit", len(raw), maxEnvelope)
	}
	v, err := parseJSON(string(raw))
	if err != nil {
		return envelope{}, err
	}
	order := []string{"v", "recorded_at", "account", "submitted_by", "event", "commitments"}
	if v.kind != '{' || !slices.Equal(v.names(), order) {
		return envelope{}, fmt.Errorf("members %q, want %q", v.names(), order)
	}
	if v.compact() != string(raw) {
		return envelope{}, errors.New("not compact, or not with minimal escapes")
	}
	e := envelope{}
	version, _ := v.get("v")
	recordedAt, _ := v.get("recorded_at")
	account, _ := v.get("account")
	e.submittedBy, _ = v.get("submitted_by")
	e.event, _ = v.get("event")
	e.commitments, _ = v.get("commitments")
	e.account, e.recordedAt = account.text, recordedAt.text
	switch {
	case version.kind != '#' || version.text != "1":
		return e, fmt.Errorf("version %s, want 1", version.compact())
	case recordedAt.kind != '"' || !isMoment(e.recordedAt):
		return e, fmt.Errorf("recorded_at %q has not the form 2006-01-02T15:04:05.000000Z", e.recordedAt)
	case account.kind != '"' || !hexID.MatchString(e.account):
		return e, fmt.Errorf("account %q is not 32 hexadecimal digits", e.account)
	case e.submittedBy.kind != '{' || !slices.Equal(e.submittedBy.names(), []string{"type", "id"}):
		return e, fmt.Errorf("submitted_by has the members %q, want type and id", e.submittedBy.names())
	case e.event.kind != '{' || e.event.compact() != e.event.canonical():
		return e, errors.New("event is not canonical JSON")
	case e.commitments.kind != '{' || !slices.IsSorted(e.commitments.names()):
		return e, errors.New("commitments are not sorted by path")
	}
	return e, e.checkCommitments()
}

func isMoment(s string) bool {
	at, err := time.Parse("2006-01-02T15:04:05.000000Z", s)
	return err == nil && at.Format("2006-01-02T15:04:05.000000Z") == s
}

func (e envelope) checkCommitments() error {
	for _, m := range e.commitments.members {
		hash, err := parseBase64(m.value.text)
		if m.value.kind != '"' || err != nil || len(hash) != sha256.Size {
			return fmt.Errorf("the commitment of %s is not the base64 of 32 bytes", m.name)
		}
		if _, ok := lookup(e.event, m.name); ok {
			return fmt.Errorf("%s is committed and shown in the envelope as well", m.name)
		}
	}
	for _, path := range alwaysCommitted {
		if _, ok := lookup(e.event, path); ok {
			return fmt.Errorf("%s is shown in the envelope, it must only be committed", path)
		}
	}
	return nil
}

// checkRecord verifies one line of an export or one bundle: the shown event is exactly
// what the envelope and its openings say. It returns the leaf and how many commitments
// have no opening any more.
func checkRecord(seq int64, raw []byte, shown, openings value) (leaf tlog.Hash, e envelope, erased int, err error) {
	if e, err = parseEnvelope(raw); err != nil {
		return leaf, e, 0, fmt.Errorf("envelope: %w", err)
	}
	if openings.kind != '{' {
		return leaf, e, 0, errors.New("openings are no object")
	}
	for _, o := range openings.members {
		if err := e.checkOpening(o.name, o.value); err != nil {
			return leaf, e, 0, err
		}
	}
	rebuilt, err := e.rebuild(seq, openings)
	if err != nil {
		return leaf, e, 0, err
	}
	if rebuilt.canonical() != shown.canonical() {
		return leaf, e, 0, fmt.Errorf("the event shown is not the one recorded: %s", difference("", shown, rebuilt))
	}
	return tlog.RecordHash(raw), e, len(e.commitments.members) - len(openings.members), nil
}

func (e envelope) checkOpening(path string, opening value) error {
	commitment, ok := e.commitments.get(path)
	if !ok {
		return fmt.Errorf("the opening %s belongs to no commitment", path)
	}
	salt, okSalt := opening.get("salt")
	content, okValue := opening.get("value")
	if !okSalt || !okValue || len(opening.members) != 2 || salt.kind != '"' {
		return fmt.Errorf("the opening %s needs salt and value", path)
	}
	saltBytes, err := parseBase64(salt.text)
	if err != nil || len(saltBytes) != 32 {
		return fmt.Errorf("the salt of %s is not the base64 of 32 bytes", path)
	}
	want, err := parseHash(commitment.text)
	if err != nil {
		return err
	}
	if tlog.Hash(sha256.Sum256(append(saltBytes, content.canonical()...))) != want {
		return fmt.Errorf("the opening %s does not match its commitment", path)
	}
	return nil
}

// rebuild puts every opening back at its place, parents before their members, and adds
// what the server adds to a stored event.
func (e envelope) rebuild(seq int64, openings value) (value, error) {
	event := e.event
	paths := openings.names()
	slices.Sort(paths) // "/after" comes before "/after/x"
	for _, path := range paths {
		opening, _ := openings.get(path)
		content, _ := opening.get("value")
		var err error
		if event, err = put(event, path, content); err != nil {
			return value{}, err
		}
	}
	event = event.set("account", value{kind: '"', text: e.account})
	event = event.set("seq", value{kind: '#', text: strconv.FormatInt(seq, 10)})
	event = event.set("recorded_at", value{kind: '"', text: e.recordedAt})
	return event.set("submitted_by", e.submittedBy), nil
}

var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// lookup follows an RFC 6901 pointer through objects.
func lookup(v value, pointer string) (value, bool) {
	for _, name := range strings.Split(pointer, "/")[1:] {
		next, ok := v.get(unescape.Replace(name))
		if !ok {
			return value{}, false
		}
		v = next
	}
	return v, true
}

// put returns v with content at pointer. Objects on the way that are missing because all
// of their members were committed are made.
func put(v value, pointer string, content value) (value, error) {
	rest, ok := strings.CutPrefix(pointer, "/")
	if !ok {
		return v, fmt.Errorf("%q is not a JSON pointer to a member", pointer)
	}
	if v.kind != '{' {
		return v, fmt.Errorf("%q leads into something that is no object", pointer)
	}
	name, below, deeper := strings.Cut(rest, "/")
	name = unescape.Replace(name)
	if !deeper {
		if _, taken := v.get(name); taken {
			return v, fmt.Errorf("%q is there already", pointer)
		}
		return v.set(name, content), nil
	}
	child, ok := v.get(name)
	if !ok {
		child = value{kind: '{'}
	}
	child, err := put(child, "/"+below, content)
	return v.set(name, child), err
}

// difference names the first place where two values differ.
func difference(path string, shown, recorded value) string {
	if shown.kind == '{' && recorded.kind == '{' {
		for _, m := range shown.members {
			other, ok := recorded.get(m.name)
			if !ok {
				return path + "/" + m.name + " is not recorded"
			}
			if m.value.canonical() != other.canonical() {
				return difference(path+"/"+m.name, m.value, other)
			}
		}
		for _, m := range recorded.members {
			if _, ok := shown.get(m.name); !ok {
				return path + "/" + m.name + " is missing"
			}
		}
	}
	return path + " differs"
}
