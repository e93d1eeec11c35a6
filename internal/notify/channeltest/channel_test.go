package channeltest_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/notify"
	"github.com/belfryhq/belfry/internal/notify/channeltest"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// cases are sent in this order: an end follows its start.
var cases = []string{"test", "start", "end", "notice", "hostile", "long"}

func channelOf(t *testing.T, kind string) notify.Channel {
	t.Helper()
	for _, c := range channeltest.Channels() {
		if c.Traits().Type == kind {
			return c
		}
	}
	t.Fatalf("there is no channel %s", kind)
	return nil
}

// TestEveryReceiverAcceptsEveryMessage sends to fakes that enforce the documented
// limits, and compares the bodies with golden files.
func TestEveryReceiverAcceptsEveryMessage(t *testing.T) {
	for _, kind := range channeltest.Known() {
		t.Run(kind, func(t *testing.T) {
			f := channeltest.New(t, kind)
			c := channelOf(t, kind)
			for _, name := range cases {
				m := channeltest.Messages()[name]
				m.Address = f.Address()
				m.Secret = f.Secret
				before := len(f.Got())
				r := c.Send(t.Context(), m)
				refused := strings.Contains(string(r.Answer), `"code":9499`) // Feishu refuses with 200
				if r.Fault != delivery.NoFault || r.Status < 200 || r.Status > 299 || refused {
					t.Fatalf("%s: %d %q %s", name, r.Status, r.Error, r.Answer)
				}
				got := f.Got()[before:]
				if len(got) == 0 {
					t.Fatalf("%s: nothing was accepted", name)
				}
				body := got[0].Body
				for _, want := range []string{m.Severity, m.Property, m.URL} {
					if name == "start" && !bytes.Contains(body, []byte(want)) {
						t.Errorf("the start does not have %q", want)
					}
				}
				if name == "start" && !bytes.Contains(body, []byte("Ana changed the origin")) {
					t.Error("the start does not have the first change")
				}
				if name == "long" {
					continue // its limits are enforced by the fake
				}
				golden(t, filepath.Join("testdata", kind, name+".json"), body)
			}
		})
	}
}

func golden(t *testing.T, file string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	b.WriteByte('\n')
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%s differs; run with -update and read the diff:\n%s", file, b.Bytes())
	}
}

// TestSecretsAreInNoPartOfAResult greps what is stored of attempts that were accepted,
// refused with an echo of the request, and redirected.
func TestSecretsAreInNoPartOfAResult(t *testing.T) {
	for _, kind := range channeltest.Known() {
		t.Run(kind, func(t *testing.T) {
			f := channeltest.New(t, kind)
			c := channelOf(t, kind)
			echo := `{"url":"` + f.Address() + `","key":"` + f.Secret + `"}`
			answers := []*channeltest.Answer{nil, {Status: 400, Body: echo}, {
				Status: 307, Header: map[string]string{"Location": "https://other.example" + f.Path},
			}}
			for _, a := range answers {
				f.Answers(a)
				m := channeltest.Messages()["start"]
				m.Address = f.Address()
				m.Secret = f.Secret
				r := c.Send(t.Context(), m)
				stored, err := json.Marshal(r)
				if err != nil {
					t.Fatal(err)
				}
				all := string(stored) + string(r.Body) + string(r.Answer) + r.Error
				for _, secret := range f.Secrets() {
					if strings.Contains(all, secret) {
						t.Errorf("%q is in %s", secret, all)
					}
				}
			}
		})
	}
}

// TestBlocksThatSlackRefusesAreSentAsText answers invalid_blocks to every message that
// has blocks.
func TestBlocksThatSlackRefusesAreSentAsText(t *testing.T) {
	f := channeltest.New(t, "slack")
	m := channeltest.Messages()["hostile"]
	m.Address = f.Address()
	f.RefuseBlocks()
	r := channelOf(t, "slack").Send(t.Context(), m)
	if got := f.Got(); r.Status != 200 || len(got) != 1 || bytes.Contains(got[0].Body, []byte("blocks")) {
		t.Errorf("%+v", r)
	}
}

func TestPagerDutyEndsUnderTheKeyOfTheStart(t *testing.T) {
	f := channeltest.New(t, "pagerduty")
	c := channelOf(t, "pagerduty")
	var bodies []map[string]any
	for _, name := range []string{"start", "end"} {
		m := channeltest.Messages()[name]
		m.Address = f.Address()
		m.Secret = f.Secret
		c.Send(t.Context(), m)
	}
	for _, r := range f.Got() {
		var b map[string]any
		if err := json.Unmarshal(r.Body, &b); err != nil {
			t.Fatal(err)
		}
		b["url"] = r.URL
		bodies = append(bodies, b)
	}
	if len(bodies) != 3 || bodies[0]["event_action"] != "trigger" || bodies[1]["url"] != "/v2/change/enqueue" ||
		bodies[2]["event_action"] != "resolve" || bodies[0]["dedup_key"] != bodies[2]["dedup_key"] ||
		bodies[0]["routing_key"] != bodies[2]["routing_key"] {
		t.Errorf("%v", bodies)
	}
	other := channeltest.Messages()["start"]
	other.Correlation = "c2"
	if notify.IncidentKey(other) != notify.IncidentKey(channeltest.Messages()["start"]) {
		t.Error("a producer's correlation id changes the key")
	}
}

func TestDiscordPausesWhenItsRateIsUsedUp(t *testing.T) {
	f := channeltest.New(t, "discord")
	f.Answers(&channeltest.Answer{Status: 204, Header: map[string]string{
		"X-RateLimit-Remaining": "0", "X-RateLimit-Reset-After": "1.5",
	}})
	m := channeltest.Messages()["start"]
	m.Address = f.Address()
	if r := channelOf(t, "discord").Send(t.Context(), m); r.RetryAfter.Seconds() != 1.5 {
		t.Errorf("%+v", r)
	}
}

// TestPreviewsHaveNoSecret: what is previewed needs no destination.
func TestPreviewsHaveNoSecret(t *testing.T) {
	for _, c := range channeltest.Channels() {
		m := channeltest.Messages()["start"]
		m.Secret = "a-secret-of-somebody-0123456789a"
		p, err := c.Preview(m)
		if err != nil || !json.Valid([]byte(p.Body)) || strings.Contains(p.Body, m.Secret) {
			t.Errorf("%s: %v %s", c.Traits().Type, err, p.Body)
		}
	}
}
