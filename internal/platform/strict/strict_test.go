package strict_test

import (
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

var event = strict.Subject{Name: "an event", Hint: "; open data belongs under metadata"}

func TestAFaultNamesTheFieldAndWhatWasExpected(t *testing.T) {
	type inner struct {
		ID   string    `json:"id"`
		N    *int64    `json:"n"`
		List []string  `json:"list"`
		At   time.Time `json:"at"`
		Size uint64    `json:"size"`
	}
	type outer struct {
		Actor inner `json:"actor"`
	}
	for text, want := range map[string]struct {
		code             errs.Code
		pointer, message string
	}{
		`{"actor":{"id":7}}`:    {errs.CodeWrongType, "/actor/id", "actor.id must be a string, not a number"},
		`{"actor":{"n":"7"}}`:   {errs.CodeWrongType, "/actor/n", "actor.n must be a whole number, not a string"},
		`{"actor":{"list":{}}}`: {errs.CodeWrongType, "/actor/list", "actor.list must be an array, not an object"},
		`{"actor":{"size":{}}}`: {errs.CodeWrongType, "/actor/size", "actor.size must be a whole number, not an object"},
		`{"actor":{"at":"soon"}}`: {errs.CodeWrongType, "/actor/at",
			"actor.at must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z"},
		`{"actor":{"at":7}}`: {errs.CodeWrongType, "/actor/at",
			"actor.at must be a time as in RFC 3339, such as 2006-01-02T15:04:05Z, not a number"},
		`[]`: {errs.CodeWrongType, "", "the event must be an object, not an array"},
		`{"actors":{}}`: {errs.CodeUnknownField, "/actors",
			"actors is not a field of an event; open data belongs under metadata"},
		`{"actor":{},"actor":{}}`: {errs.CodeInvalidJSON, "/actor", "actor appears twice in its object"},
		`{"actor":{"id":"x"`:      {errs.CodeInvalidJSON, "/actor", "not valid JSON at byte 18"},
		`{"` + strings.Repeat("é", 200) +
			`":1}`: {errs.CodeUnknownField, strings.Repeat("é", 127) + "...", strings.Repeat("é", 64) + "... is not a field"},
	} {
		var v outer
		err := json.Unmarshal([]byte(text), &v, json.RejectUnknownMembers(true))
		if err == nil {
			t.Errorf("%s: no error", text)
			continue
		}
		e := event.Fault(err)
		if e.Code != want.code || !strings.HasSuffix(e.Pointer, want.pointer) || !strings.HasPrefix(e.Message, want.message) {
			t.Errorf("%s: %d %q %q", text, e.Code, e.Pointer, e.Message)
		}
	}
}

func TestDepthCountsNestingOutsideOfStrings(t *testing.T) {
	for text, want := range map[string]int{`1`: 0, `{"a":[{}]}`: 3, `"[[["`: 0, `["\"[[",{"[":1}]`: 2, `]]]`: 0} {
		if got := strict.Depth([]byte(text)); got != want {
			t.Errorf("%s: %d, want %d", text, got, want)
		}
	}
}
