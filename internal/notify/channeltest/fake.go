package channeltest

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/datadog"
	"github.com/belfryhq/belfry/internal/notify/discord"
	"github.com/belfryhq/belfry/internal/notify/feishu"
	"github.com/belfryhq/belfry/internal/notify/gchat"
	"github.com/belfryhq/belfry/internal/notify/gotify"
	"github.com/belfryhq/belfry/internal/notify/mattermost"
	"github.com/belfryhq/belfry/internal/notify/msteams"
	"github.com/belfryhq/belfry/internal/notify/ntfy"
	"github.com/belfryhq/belfry/internal/notify/opsgenie"
	"github.com/belfryhq/belfry/internal/notify/pagerduty"
	"github.com/belfryhq/belfry/internal/notify/slack"
	"github.com/belfryhq/belfry/internal/notify/splunk"
	"github.com/belfryhq/belfry/internal/notify/webhook"
	"github.com/belfryhq/belfry/internal/platform/outbound"
)

// Client reaches this machine.
func Client() *outbound.Client {
	return outbound.New(outbound.Config{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}})
}

// Channels are all channels over HTTP.
func Channels() []notify.Channel {
	c := Client()
	return []notify.Channel{
		webhook.New(c), slack.New(c), gchat.New(c), discord.New(c), msteams.New(c), mattermost.New(c), feishu.New(c),
		pagerduty.New(c), opsgenie.New(c), datadog.New(c), splunk.New(c), ntfy.New(c), gotify.New(c),
	}
}

// Fake is the receiver of one type. It is a real server.
type Fake struct {
	*httptest.Server
	Path   string // of its webhook, secret included
	Secret string // its credential; "" = none

	check  func(f *Fake, r *http.Request, body object) string // "" = accepted
	ok     int
	answer string // to an accepted message
	bad    func(fault string) (int, string)

	mu     sync.Mutex // guards the rest
	got    []Request
	events []string
	next   *Answer
}

// Request is one that was accepted.
type Request struct {
	URL    string
	Header http.Header
	Body   []byte
}

// Answer is one that a test asks for.
type Answer struct {
	Status int
	Body   string
	Header map[string]string
}

// Address is the URL that a user would save.
func (f *Fake) Address() string { return f.URL + f.Path }

// Secrets are the parts of its settings that give access to it.
func (f *Fake) Secrets() (list []string) {
	separates := func(r rune) bool { return strings.ContainsRune("/?&=", r) }
	for part := range strings.FieldsFuncSeq(f.Path+"/"+f.Secret, separates) {
		if strings.Contains(strings.ToLower(part), "secret") || part == f.Secret {
			list = append(list, part)
		}
	}
	return list
}

// Got are the accepted requests.
func (f *Fake) Got() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Request{}, f.got...)
}

// Answers makes the fake answer all requests in one way; nil ends that.
func (f *Fake) Answers(a *Answer) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next = a
}

// Known are the types that have a fake.
func Known() []string {
	return []string{
		"slack", "gchat", "discord", "msteams", "mattermost", "feishu", "pagerduty", "opsgenie", "datadog", "splunk", "ntfy",
		"gotify",
	}
}

// New starts the fake of a type.
func New(t testing.TB, kind string) *Fake {
	t.Helper()
	f := fakes[kind]()
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}

func (f *Fake) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	f.mu.Lock()
	next := f.next
	f.mu.Unlock()
	if next != nil {
		for name, value := range next.Header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(next.Status)
		io.WriteString(w, next.Body)
		return
	}
	var o object
	fault := "no JSON"
	if err := json.Unmarshal(body, &o); err == nil && utf8.Valid(body) {
		fault = f.check(f, r, o)
	}
	if fault != "" {
		status, answer := f.bad(fault)
		w.WriteHeader(status)
		io.WriteString(w, answer)
		return
	}
	f.mu.Lock()
	f.got = append(f.got, Request{URL: r.URL.String(), Header: r.Header, Body: body})
	f.mu.Unlock()
	w.WriteHeader(f.ok)
	io.WriteString(w, f.answer)
}

// object is decoded JSON with paths: "card.header.title", "blocks.0.text".
type object map[string]any

func (o object) at(path string) any {
	var v any = map[string]any(o)
	for part := range strings.SplitSeq(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[part]
		case []any:
			var i int
			if _, err := fmt.Sscan(part, &i); err != nil || i >= len(x) {
				return nil
			}
			v = x[i]
		default:
			return nil
		}
	}
	return v
}

func (o object) text(path string) string {
	s, _ := o.at(path).(string)
	return s
}

func (o object) list(path string) (out []object) {
	list, _ := o.at(path).([]any)
	for _, v := range list {
		m, _ := v.(map[string]any)
		out = append(out, m)
	}
	return out
}

// length counts characters as JavaScript does, which is the strictest of all counts.
func length(s string) int { return len(utf16.Encode([]rune(s))) }

// limits checks texts: pairs of a path and its limit. A text is required.
func (o object) limits(required bool, pairs ...any) string {
	for i := 0; i < len(pairs); i += 2 {
		path := pairs[i].(string)
		s := o.text(path)
		if s == "" && required {
			return path + " is missing"
		}
		if length(s) > pairs[i+1].(int) {
			return fmt.Sprintf("%s has %d characters", path, length(s))
		}
	}
	return ""
}

// RefuseBlocks makes the fake of Slack refuse all messages that have blocks.
func (f *Fake) RefuseBlocks() {
	check := f.check
	f.check = func(f *Fake, r *http.Request, o object) string {
		if o["blocks"] != nil {
			return "refused"
		}
		return check(f, r, o)
	}
}

// Anything starts a receiver that accepts every message.
func Anything(t testing.TB) *Fake {
	t.Helper()
	f := &Fake{Path: "/hook", ok: http.StatusOK, check: func(*Fake, *http.Request, object) string { return "" }}
	f.Server = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.Close)
	return f
}
