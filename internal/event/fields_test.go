package event_test

import (
	"bytes"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
)

// The rules of a catalogue are those of the SDK: both run the same vectors.
func TestFieldsSelectWhatTheSharedVectorsSay(t *testing.T) {
	text, err := os.ReadFile("../../sdk/vectors/audit.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Redact []struct {
			Name        string
			Redact      []string
			Event, Want map[string]json.RawMessage
		}
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, v := range file.Redact {
		f := event.ParseFields(v.Redact)
		if len(f.Fixed()) > 0 {
			continue // a whole part, which a catalogue cannot declare
		}
		ran++
		for _, root := range []string{"before", "after", "metadata"} {
			got, err := f.Replace(root, jsontext.Value(v.Event[root]), func(event.Selected) jsontext.Value {
				return jsontext.Value(`"[redacted]"`)
			})
			if err != nil {
				t.Fatal(err)
			}
			if compact(t, got) != compact(t, v.Want[root]) {
				t.Errorf("%s: %s is %s, want %s", v.Name, root, got, v.Want[root])
			}
		}
	}
	if ran < 10 {
		t.Errorf("only %d vectors ran", ran)
	}
}

func compact(t *testing.T, v []byte) string {
	t.Helper()
	if len(v) == 0 {
		return ""
	}
	var value any
	if err := json.Unmarshal(v, &value); err != nil {
		t.Fatal(err)
	}
	out, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.TrimSpace(out))
}

func TestWhatIsFoundNamesItsPlaceAndTheListAroundIt(t *testing.T) {
	f := event.ParseFields([]string{"Email", "/after/a~1b/list/1/x", "/reason/text", "/after", "no/name"})
	found, err := f.Find("after", jsontext.Value(`{"email":1,"a/b":{"list":[{"x":2},{"x":{"EMAIL":3}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, s := range found {
		got = append(got, strings.Join([]string{s.Pointer, s.List, string(s.Value)}, " "))
	}
	want := []string{`/after/email  1`, `/after/a~1b/list/1/x /after/a~1b/list {"EMAIL":3}`,
		`/after/a~1b/list/1/x/EMAIL /after/a~1b/list 3`}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if fixed := f.Fixed(); !slices.Equal(fixed, []string{"/reason/text", "/after", "no/name"}) {
		t.Errorf("fixed: %q", fixed)
	}
}

func TestAValueWithoutSelectedMembersStaysAsItIs(t *testing.T) {
	const v = `{ "a" : 1.0, "b":[ 1e400 ,"\u0041" ] }`
	got, err := event.ParseFields([]string{"c", "/after/b/7"}).
		Replace("after", jsontext.Value(v), func(event.Selected) jsontext.Value { return jsontext.Value(`0`) })
	if err != nil || string(got) != v {
		t.Errorf("%s %v", got, err)
	}
}

func TestFieldsCoverPlacesByNameByPointerAndThroughLists(t *testing.T) {
	f := event.ParseFields([]string{"email", "/after/users/phone", "/metadata/list/1/x"})
	for pointer, want := range map[string]bool{
		"/after/email":         true,
		"/before/deep/EMAIL":   true,
		"/before/email/part":   true,
		"/after/list/3/email":  true,
		"/after/users/phone":   true,
		"/after/users/0/phone": true,
		"/before/users/phone":  false,
		"/metadata/list/1/x":   true,
		"/metadata/list/2/x":   false,
		"/actor/email":         false,
		"/after":               false,
		"/after/other":         false,
	} {
		if got := f.Covers(pointer); got != want {
			t.Errorf("%s: %v", pointer, got)
		}
	}
}
