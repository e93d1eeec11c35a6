package audit

import (
	"bytes"
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

var updateOCSF = flag.Bool("update-ocsf", false, "write testdata/ocsf.ndjson")

// ocsfSamples are events of every class, and of everything that may be missing.
var ocsfSamples = []string{
	`{"id":"e1","occurred_at":"2026-11-22T10:00:00.123456Z","action":{"type":"update","description":"Raised"},
		"actor":{"type":"user","id":"u-1","email":"ana@acme.example","name":"Ana Lima","ip_address":"192.0.2.7"},
		"interface":"API","resource":{"product":"shop","type":"setting","id":"checkout","name":"Checkout",
		"scope":"accounts"},"zone":{"id":"z1","name":"shop.example"},"before":{"timeout":5},"after":{"timeout":0.3},
		"reason":{"text":"too slow","url":"https://ticket.example/1"},
		"change_set":"cs-1","related":[{"type":"deploy","id":"d-1"}],
		"request":{"id":"r-1","method":"patch","uri":"/settings/checkout?x=1","status_code":200,"user_agent":"curl/8"},
		"metadata":{"build":7}}`,
	`{"id":"e2","occurred_at":"2026-11-22T10:00:01Z","action":{"type":"create"},
		"actor":{"type":"token","id":"t-1","token_id":"t-1","token_name":"ci","on_behalf_of":{"type":"user","id":"u-1"}},
		"resource":{"product":"shop","type":"order","id":"o-1"},"after":[1,2]}`,
	`{"id":"e3","occurred_at":"2026-11-22T10:00:02Z","action":{"type":"delete","result":"failure"},
		"actor":{"type":"staff","id":"s-1","email":"not an address"},
		"resource":{"product":"shop","type":"order","id":"o-1"},"before":null}`,
	`{"id":"e4","occurred_at":"2026-11-22T10:00:03Z","action":{"type":"deploy.start","result":"failure"},
		"actor":{"type":"integration","id":"i-1"},"resource":{"product":"shop","type":"release","id":"v2"},
		"request":{"id":"r-4","method":"POST","uri":"https://shop.example/deploy","status_code":503},"before":{"v":1}}`,
	`{"id":"e5","occurred_at":"2026-11-22T10:00:04Z","action":{"type":"rotate"},
		"actor":{"type":"system","id":"belfry"},"interface":"SYSTEM","resource":{"product":"shop","type":"key","id":"k"}}`,
	`{"id":"e6","occurred_at":"2026-11-22T10:00:05Z","action":{"type":"sign_in","result":"success"},
		"actor":{"type":"user","id":"u-1","email":"ana@acme.example","name":"Ana Lima","ip_address":"2001:db8::1"},
		"interface":"UI","resource":{"product":"belfry","type":"session","id":"s-9","name":"ana@acme.example"}}`,
	`{"id":"e7","occurred_at":"2026-11-22T10:00:06Z","action":{"type":"sign_out"},"actor":{"type":"user","id":"u-1"},
		"resource":{"product":"belfry","type":"session","id":""}}`,
	`{"id":"e8","occurred_at":"2026-11-22T10:00:07Z","action":{"type":"create"},"actor":{"type":"user","id":"u-1"},
		"resource":{"product":"belfry","type":"member","id":"u-2","name":"ben@acme.example"},"after":{"role":"viewer"}}`,
	`{"id":"e9","occurred_at":"2026-11-22T10:00:08Z","action":{"type":"update"},"actor":{"type":"user","id":"u-1"},
		"resource":{"product":"belfry","type":"password","id":"u-1","name":"ana@acme.example"}}`,
	`{"id":"e10","occurred_at":"2026-11-22T10:00:09Z","action":{"type":"delete"},"actor":{"type":"user","id":""},
		"resource":{"product":"belfry","type":"member","id":"","name":""}}`,
	`{"id":"e11","occurred_at":"2026-11-22T10:00:10Z","action":{"type":"accept"},"actor":{"type":"user","id":"u-3"},
		"resource":{"product":"belfry","type":"member","id":"u-3","name":"chen@acme.example"}}`,
	`{"id":"e12","occurred_at":"2026-11-22T10:00:11Z","action":{"type":"export"},"actor":{"type":"user","id":"u-3"},
		"resource":{"product":"belfry","type":"record","id":"acme","name":"events 0 to 9"}}`,
}

func ocsfLines(t *testing.T) (out []byte) {
	t.Helper()
	for i, text := range ocsfSamples {
		r := &record.Record{
			Account:     "acme",
			Seq:         int64(i),
			RecordedAt:  "2026-11-22T10:01:00.000000Z",
			SubmittedBy: record.Submitter{Type: "token", ID: "t-1"},
		}
		if err := json.Unmarshal([]byte(text), &r.Event); err != nil {
			t.Fatal(err)
		}
		at, err := time.Parse(time.RFC3339Nano, r.Event.OccurredAt)
		if err != nil {
			t.Fatal(err)
		}
		r.Event.SetMicros(at.UnixMicro())
		if r.Event.Actor.ID == "" {
			r.Erased = []string{"/actor/id", "/resource/id", "/resource/name"}
		}
		line, err := json.Marshal(ocsfOf(r, r.Sentence("")), json.Deterministic(true))
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, line...), '\n')
	}
	return out
}

func TestAnOCSFExportStaysAsItWas(t *testing.T) {
	const golden = "testdata/ocsf.ndjson"
	got := ocsfLines(t)
	if *updateOCSF {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the export differs from %s:\n%s", golden, got)
	}
}

// ocsfSchema is the part of OCSF's own schema that the export uses.
type ocsfSchema struct {
	Classes map[string]struct {
		Caption     string `json:"caption"`
		CategoryUID int    `json:"category_uid"`
		ClassUID    int    `json:"class_uid"`
		ocsfShape
	} `json:"classes"`
	Objects map[string]ocsfShape `json:"objects"`
}

type ocsfShape struct {
	AtLeastOne []string                 `json:"at_least_one"`
	Attributes map[string]ocsfAttribute `json:"attributes"`
}

type ocsfAttribute struct {
	Type     string            `json:"type"`
	Array    bool              `json:"array"`
	Required bool              `json:"required"`
	Enum     map[string]string `json:"enum"`
}

// check holds an object against its shape.
func (s *ocsfSchema) check(at string, shape ocsfShape, object map[string]any) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, at+": "+fmt.Sprintf(format, args...)) }
	for name, a := range shape.Attributes {
		if _, has := object[name]; a.Required && !has {
			fault("lacks the required %s", name)
		}
	}
	present := func(name string) bool { return object[name] != nil }
	if len(shape.AtLeastOne) > 0 && !slices.ContainsFunc(shape.AtLeastOne, present) {
		fault("has none of %v", shape.AtLeastOne)
	}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		a, known := shape.Attributes[name]
		if !known {
			fault("%s is no attribute", name)
			continue
		}
		list := []any{object[name]}
		if a.Array {
			var ok bool
			if list, ok = object[name].([]any); !ok {
				fault("%s is no array", name)
			}
		}
		for _, v := range list {
			faults = append(faults, s.checkValue(at+"."+name, a, v)...)
		}
	}
	return faults
}

func (s *ocsfSchema) checkValue(at string, a ocsfAttribute, v any) []string {
	if class, is := strings.CutPrefix(a.Type, "object "); is {
		inner, ok := v.(map[string]any)
		if !ok {
			return []string{at + " is no object"}
		}
		return s.check(at, s.Objects[class], inner)
	}
	number, isNumber := v.(float64)
	text, isText := v.(string)
	switch a.Type {
	case "integer_t", "long_t", "timestamp_t":
		if !isNumber || number != float64(int64(number)) {
			return []string{fmt.Sprintf("%s is no integer: %v", at, v)}
		}
		if a.Type == "timestamp_t" && (number < 1e12 || number > 1e13) {
			return []string{fmt.Sprintf("%s is no time in milliseconds: %v", at, v)}
		}
		if _, ok := a.Enum[strconv.Itoa(int(number))]; len(a.Enum) > 0 && !ok {
			return []string{fmt.Sprintf("%s has no value %v", at, v)}
		}
	case "json_t", "object":
	case "email_t":
		if !strings.Contains(text, "@") {
			return []string{at + " is no address"}
		}
	default: // texts
		if !isText || text == "" {
			return []string{fmt.Sprintf("%s is no text: %v", at, v)}
		}
	}
	return nil
}

func loadOCSFSchema(t *testing.T) (s ocsfSchema) {
	t.Helper()
	text, err := os.ReadFile("testdata/ocsf_schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// faults holds one line against its class.
func (s *ocsfSchema) faults(t *testing.T, line []byte) []string {
	t.Helper()
	var e map[string]any
	if err := json.Unmarshal(line, &e); err != nil {
		t.Fatal(err)
	}
	for _, class := range s.Classes {
		if e["class_uid"] != float64(class.ClassUID) {
			continue
		}
		faults := s.check(class.Caption, class.ocsfShape, e)
		activity, _ := e["activity_id"].(float64)
		if e["class_name"] != class.Caption ||
			e["category_uid"] != float64(class.CategoryUID) ||
			e["type_uid"] != float64(class.ClassUID*100)+activity {
			faults = append(faults, "class, category and type do not agree")
		}
		name := class.Attributes["activity_id"].Enum[strconv.Itoa(int(activity))]
		if activity != ocsfOther && e["activity_name"] != name {
			faults = append(faults, fmt.Sprintf("activity %v is %v instead of %s", activity, e["activity_name"], name))
		}
		return faults
	}
	return []string{fmt.Sprintf("there is no class %v", e["class_uid"])}
}

func TestEveryOCSFEventHoldsItsClass(t *testing.T) {
	s := loadOCSFSchema(t)
	seen := map[any]bool{}
	for i, line := range bytes.Split(bytes.TrimSpace(ocsfLines(t)), []byte("\n")) {
		for _, fault := range s.faults(t, line) {
			t.Errorf("sample %d: %s", i, fault)
		}
		var e struct {
			Class int `json:"class_uid"`
		}
		if err := json.Unmarshal(line, &e, jsontext.AllowDuplicateNames(false)); err != nil {
			t.Fatal(err)
		}
		seen[e.Class] = true
	}
	for uid := range ocsfClasses {
		if !seen[uid] {
			t.Errorf("no sample has class %d", uid)
		}
	}
	// The check itself sees what is missing, foreign and wrong.
	for _, broken := range [][2]string{
		{`"time":`, `"tim":`},
		{`"activity_id":3`, `"activity_id":55`},
		{`"operation":`, `"op":`},
		{`"product":{"name":"Belfry","vendor_name":"Belfry"}`, `"product":{"vendor_name":"Belfry"}`},
	} {
		found := false
		for line := range bytes.Lines(ocsfLines(t)) {
			if bytes.Contains(line, []byte(broken[0])) {
				found = found || len(s.faults(t, bytes.Replace(line, []byte(broken[0]), []byte(broken[1]), 1))) > 0
			}
		}
		if !found {
			t.Errorf("%s instead of %s is not seen", broken[1], broken[0])
		}
	}
}
