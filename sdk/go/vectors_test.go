package belfry_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/internal/rawjson"
)

type testVectors struct {
	Now    time.Time
	Events []eventVector
	Answer []struct {
		Name   string
		Events int
		Answer struct {
			Status  int
			Headers map[string]string
			Body    json.RawMessage
			Text    string
		}
		Do       string
		WaitMS   int64 `json:"wait_ms"`
		Statuses []belfry.Status
	} `json:"answers"`
	Backoff []struct {
		Failures int
		LeastMS  int64 `json:"least_ms"`
		MostMS   int64 `json:"most_ms"`
	}
	Redact []struct {
		Name        string
		Redact      []string
		Event, Want json.RawMessage
	}
}

type eventVector struct {
	Name, Endpoint string
	Event          json.RawMessage
	Text           string
	Base64         []byte
	PadTo          int    `json:"pad_to"`
	PadWith        string `json:"pad_with"`
	NestTo         int    `json:"nest_to"`
	Valid          bool
	Pointer        *string
	Canonical      string
}

func readVectors(t *testing.T) testVectors {
	t.Helper()
	text, err := os.ReadFile("../vectors/audit.json")
	if err != nil {
		t.Fatal(err)
	}
	var v testVectors
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	if len(v.Events) == 0 || len(v.Answer) == 0 || len(v.Backoff) == 0 || len(v.Redact) == 0 {
		t.Fatal("a list of the vectors is empty")
	}
	return v
}

func (v eventVector) input() []byte {
	switch {
	case v.Text != "":
		return []byte(v.Text)
	case v.Base64 != nil:
		return v.Base64
	}
	var b bytes.Buffer
	json.Compact(&b, v.Event)
	switch {
	case v.PadTo > 0:
		pad := v.PadWith
		if pad == "" {
			pad = "x"
		}
		b.Truncate(b.Len() - 1)
		b.WriteString(`,"metadata":{"pad":"`)
		b.WriteString(strings.Repeat(pad, (v.PadTo-b.Len()-len(`"}}`))/len(pad)))
		b.WriteString(`"}}`)
	case v.NestTo > 0:
		b.Truncate(b.Len() - 1)
		b.WriteString(`,"before":` + strings.Repeat("[", v.NestTo-1) + strings.Repeat("]", v.NestTo-1) + "}")
	}
	return b.Bytes()
}

func TestEveryEventVectorIsJudgedAsItSays(t *testing.T) {
	vs := readVectors(t)
	for _, v := range vs.Events {
		t.Run(v.Name, func(t *testing.T) {
			text := v.input()
			if v.PadTo > 0 && len(text) != v.PadTo {
				t.Fatalf("padded to %d bytes, want %d", len(text), v.PadTo)
			}
			checkVerdict(t, v, belfry.CheckText(text, vs.Now, v.Endpoint == "producer"))
			if v.Canonical != "" {
				if got := canonical(t, text); got != v.Canonical {
					t.Errorf("canonical form\n got %s\nwant %s", got, v.Canonical)
				}
			}
		})
	}
}

// The vectors whose input an Event can hold are judged the same by Validate.
func TestValidateAgreesWithTheVectors(t *testing.T) {
	vs := readVectors(t)
	ran := 0
	for _, v := range vs.Events {
		var e belfry.Event
		text := v.input()
		// An Event has v, which makes it longer, and no field twice.
		if v.Event == nil || v.PadTo > 0 || json.Unmarshal(text, &e) != nil {
			continue
		}
		back, err := json.Marshal(e)
		if err != nil {
			continue
		}
		same := canonical(t, back) == canonicalOrNothing(text)
		var withV map[string]json.RawMessage
		if !same && json.Unmarshal(text, &withV) == nil && withV != nil && withV["v"] == nil {
			withV["v"] = json.RawMessage("1")
			again, err := json.Marshal(withV)
			same = err == nil && canonical(t, back) == canonicalOrNothing(again)
		}
		producer := v.Endpoint == "producer"
		if !same || producer != (e.AccountID != "") {
			continue
		}
		ran++
		t.Run(v.Name, func(t *testing.T) { checkVerdict(t, v, belfry.ValidateAt(e, vs.Now)) })
	}
	if ran < 40 {
		t.Errorf("only %d vectors ran", ran)
	}
}

func checkVerdict(t *testing.T, v eventVector, err error) {
	t.Helper()
	if v.Valid {
		if err != nil {
			t.Errorf("refused: %v", err)
		}
		return
	}
	var invalid *belfry.ValidationError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v, want a *ValidationError", err)
	}
	if v.Pointer == nil {
		return
	}
	for _, e := range invalid.Errors {
		if e.Source.Pointer == *v.Pointer {
			return
		}
	}
	t.Errorf("got %v, want an error at %q", err, *v.Pointer)
}

func canonical(t *testing.T, text []byte) string {
	t.Helper()
	var doc rawjson.Doc
	if err := doc.Parse(text, 2000); err != nil {
		t.Fatal(err)
	}
	return string(doc.AppendCanonical(nil, 0))
}

func canonicalOrNothing(text []byte) string {
	var doc rawjson.Doc
	if doc.Parse(text, 2000) != nil {
		return ""
	}
	return string(doc.AppendCanonical(nil, 0))
}

func TestEveryAnswerVectorLeadsToItsDecision(t *testing.T) {
	vs := readVectors(t)
	for _, v := range vs.Answer {
		t.Run(v.Name, func(t *testing.T) {
			h := http.Header{}
			for k, s := range v.Answer.Headers {
				h.Set(k, s)
			}
			body := []byte(v.Answer.Body)
			if body == nil {
				body = []byte(v.Answer.Text)
			}
			got := belfry.Decide(v.Answer.Status, h, body, v.Events, vs.Now)
			if got.Do != v.Do || got.After.Milliseconds() != v.WaitMS {
				t.Fatalf("got %s after %v, want %s after %d ms", got.Do, got.After, v.Do, v.WaitMS)
			}
			if len(got.Results) != len(v.Statuses) {
				t.Fatalf("got %d results, want %d", len(got.Results), len(v.Statuses))
			}
			for i, r := range got.Results {
				if r.Status != v.Statuses[i] || r.Index != i {
					t.Errorf("result %d: got %s at index %d, want %s", i, r.Status, r.Index, v.Statuses[i])
				}
			}
		})
	}
}

func TestTheBackoffStaysWithinItsVectors(t *testing.T) {
	for _, v := range readVectors(t).Backoff {
		for range 200 {
			got := belfry.Jitter(250*time.Millisecond, v.Failures, 30*time.Second)
			if got.Milliseconds() < v.LeastMS || got > time.Duration(v.MostMS)*time.Millisecond {
				t.Fatalf("after %d failures: %v, want %d to %d ms", v.Failures, got, v.LeastMS, v.MostMS)
			}
		}
	}
}

func TestEveryRedactionVectorHolds(t *testing.T) {
	for _, v := range readVectors(t).Redact {
		t.Run(v.Name, func(t *testing.T) {
			got, err := belfry.RedactText(v.Redact, v.Event)
			if err != nil {
				t.Fatal(err)
			}
			if g, w := canonical(t, got), canonical(t, v.Want); g != w {
				t.Errorf("\n got %s\nwant %s", g, w)
			}
		})
	}
}
