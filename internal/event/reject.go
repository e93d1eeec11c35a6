package event

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// Reject is a refused audit event (or alert, or count) on its way back to the
// team that sent it. [NewReject] makes one; nothing else may, because it masks.
type Reject struct {
	Kind     string   `json:"kind,omitempty"` // alert, traffic; empty = an audit event
	At       string   `json:"at"`             // RFC 3339, microseconds
	Producer string   `json:"producer_id,omitempty"`
	Account  string   `json:"account_id,omitempty"`   // as far as it is known
	Via      string   `json:"via"`                    // http, kafka, import
	EventID  string   `json:"event_id,omitempty"`     // as far as it could be read
	Product  string   `json:"product,omitempty"`      // as far as it could be read
	Errors   []Fault  `json:"errors"`                 // at least one
	Payload  string   `json:"payload,omitempty"`      // JSON of at most 4 KiB, personal values masked
	Source   *Fetched `json:"source,omitempty"`       // where it lay on the bus
	By       string   `json:"submitted_by,omitempty"` // id of the token
}

// Fault is one reason.
type Fault struct {
	Code    int    `json:"code"`
	Pointer string `json:"pointer,omitempty"` // RFC 6901
	Message string `json:"message"`
}

// Fetched is a record's place on the bus.
type Fetched struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
}

// Limits of a reject, in bytes.
const (
	maxRejectPayload = 4096
	maxRejectText    = 256 // of one member of the payload
	maxRejectName    = 128 // of the event's id and product
	maxRejectMessage = 1024
	maxRejectDepth   = 32
)

// NewReject completes what a feature knows of a refused value: the time, the
// payload, and the masking of every text that the sender chose. All on-ramps
// make their rejects here, so that they mask alike.
func NewReject(r Reject, at time.Time, payload []byte) Reject {
	r.At = at.UTC().Format("2006-01-02T15:04:05.000000Z")
	r.Account = maskText(r.Account, maxRejectName)
	r.EventID = maskText(r.EventID, maxRejectName)
	r.Product = maskText(r.Product, maxRejectName)
	r.Errors = slices.Clone(r.Errors)
	for i := range r.Errors {
		r.Errors[i].Pointer = maskText(r.Errors[i].Pointer, maxRejectMessage)
		r.Errors[i].Message = maskText(r.Errors[i].Message, maxRejectMessage)
	}
	r.Payload = maskPayload(payload)
	return r
}

// Key is the key of the reject's record on the bus: the team, or the account
// where no team is known.
func (r Reject) Key() string {
	if r.Producer != "" {
		return r.Producer
	}
	return r.Account
}

// mask replaces a personal value, and marks where text was cut.
const mask = "…"

// inClear are the members that travel with their values, of events, alerts and
// counts: names, kinds, times and numbers of requests. Indexes of arrays are
// left out of the pointers. Every other member keeps its name and loses its
// value: before, after, data and who did it are other people's, and so may be
// what a sender wrote under a name that is not known.
var inClear = map[string]bool{
	"/v": true, "/id": true, "/account_id": true, "/occurred_at": true, "/interface": true, "/change_set": true,
	"/action/type": true, "/action/result": true, "/actor/type": true, "/actor/on_behalf_of/type": true,
	"/resource/product": true, "/resource/type": true, "/resource/id": true, "/resource/scope": true,
	"/related/type": true, "/related/id": true,
	"/request/id": true, "/request/method": true, "/request/status_code": true,
	"/zone": true, "/zone/id": true, "/zone/name": true,

	"/alert_type": true, "/event": true, "/correlation_id": true, "/severity": true, "/began_at": true,

	"/origin": true, "/hostname": true, "/path_class": true, "/sli": true,
	"/ts": true, "/seconds": true, "/total": true, "/bad": true, "/unreachable": true,
}

// Addresses of mail and network, which are masked wherever they stand.
var (
	mailAddress = regexp.MustCompile(`[^\s@"<>(),;:/]+@[^\s@"<>(),;:/]+`)
	ipv4Address = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){3}`)
	ipv6Address = regexp.MustCompile(`(?i)[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,8}…?`)
)

// maskText masks addresses in a text and cuts it to so many bytes, in that
// order: half an address would not be found.
func maskText(s string, most int) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	s = mailAddress.ReplaceAllString(s, mask)
	s = ipv4Address.ReplaceAllString(s, mask)
	s = ipv6Address.ReplaceAllStringFunc(s, func(found string) string {
		// An IPv6 address has eight groups or a double colon; a time has neither.
		if strings.Contains(found, "::") || strings.Count(found, ":") >= 7 {
			return mask
		}
		return found
	})
	if len(s) <= most {
		return s
	}
	n := most - len(mask)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mask
}

// maskPayload returns a rejected value as JSON of at most 4 KiB without personal
// fields. Text that is not JSON is cut at the fault, longer text at the limit.
func maskPayload(data []byte) string {
	p := payloadMask{
		dec: jsontext.NewDecoder(bytes.NewReader(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)),
	}
	p.enc = jsontext.NewEncoder(&p.out, jsontext.AllowDuplicateNames(true))
	p.close(p.value("", 0) != nil)
	return strings.TrimSuffix(p.out.String(), "\n")
}

// payloadMask copies one payload from the decoder to the encoder, and masks it.
type payloadMask struct {
	dec *jsontext.Decoder
	enc *jsontext.Encoder
	out bytes.Buffer
}

var errNoRoom = errors.New("the payload has no room for more")

// value copies one value. Its error says why the rest is left out.
func (p *payloadMask) value(path string, depth int) error {
	kind := p.dec.PeekKind()
	if depth == maxRejectDepth && (kind == '{' || kind == '[') {
		if err := p.dec.SkipValue(); err != nil {
			return err
		}
		return p.write(jsontext.String(mask))
	}
	token, err := p.dec.ReadToken()
	if err != nil {
		return err
	}
	switch kind {
	case '{', '[':
		if err := p.write(token); err != nil {
			return err
		}
		return p.members(path, depth, kind == '{')
	case '"':
		if inClear[path] {
			return p.write(jsontext.String(maskText(token.String(), maxRejectText)))
		}
		return p.write(jsontext.String(mask))
	case '0':
		if inClear[path] && len(token.String()) <= maxRejectText {
			return p.write(token)
		}
		return p.write(jsontext.String(mask))
	default: // true, false and null say nothing of a person
		return p.write(token)
	}
}

// members copies the members of an object or array, and its end.
func (p *payloadMask) members(path string, depth int, object bool) error {
	for {
		kind := p.dec.PeekKind()
		if kind == '}' || kind == ']' {
			token, err := p.dec.ReadToken()
			if err != nil {
				return err
			}
			return p.write(token)
		}
		at := path
		if object {
			token, err := p.dec.ReadToken()
			if err != nil {
				return err
			}
			name := token.String()
			at += "/" + name
			if err := p.write(jsontext.String(maskText(name, maxRejectName))); err != nil {
				return err
			}
		}
		if err := p.value(at, depth+1); err != nil {
			return err
		}
	}
}

// write writes a token, unless what closes the payload would find no room then.
func (p *payloadMask) write(token jsontext.Token) error {
	size := 2
	if token.Kind() == '"' {
		quoted, err := jsontext.AppendQuote(nil, token.String())
		if err != nil {
			return err
		}
		size += len(quoted)
	} else if token.Kind() == '0' {
		size += len(token.String())
	}
	rest := len(`,"…":"…"`) + p.enc.StackDepth() + 1
	if kind := token.Kind(); kind != '}' && kind != ']' && int(p.enc.OutputOffset())+size+rest > maxRejectPayload {
		return errNoRoom
	}
	return p.enc.WriteToken(token)
}

// close ends what is open, after a mark where something was cut off.
func (p *payloadMask) close(cut bool) {
	for {
		depth := p.enc.StackDepth()
		kind, n := p.enc.StackIndex(depth)
		if kind == '{' && n%2 == 1 { // a name waits for its value
			p.enc.WriteToken(jsontext.String(mask))
			cut = false
		}
		if cut && kind == '{' {
			p.enc.WriteToken(jsontext.String(mask))
		}
		if cut && (depth > 0 || n == 0) {
			p.enc.WriteToken(jsontext.String(mask))
			cut = false
		}
		switch kind {
		case '{':
			p.enc.WriteToken(jsontext.EndObject)
		case '[':
			p.enc.WriteToken(jsontext.EndArray)
		default:
			return
		}
	}
}
