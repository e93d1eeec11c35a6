package record_test

import (
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

func TestABadEventIsRefusedByTheNameOfItsField(t *testing.T) {
	with := func(pairs ...any) string {
		m := members{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i].(string)] = pairs[i+1]
		}
		return minimal(m)
	}
	text := func(n int) string { return strings.Repeat("x", n) }
	actor := func(more members) members {
		m := members{"type": "user", "id": "u-1"}
		for k, v := range more {
			m[k] = v
		}
		return m
	}
	for _, c := range []struct {
		name    string
		event   string
		code    errs.Code
		pointer string
		says    string
	}{
		{"unknown field", with("colour", "red"), errs.CodeUnknownField, "/colour", "colour is not a field of an event"},
		{"unknown field inside", with("actor", actor(members{"mail": "a"})), errs.CodeUnknownField, "/actor/mail",
			"actor.mail is not a field"},
		{"another letter case", with("Zone", "z"), errs.CodeUnknownField, "/Zone", "Zone is not a field"},
		{"what the ledger adds", with("seq", 1), errs.CodeUnknownField, "/seq", "seq is not a field"},
		{"no action", with("action", nil), errs.CodeMissingField, "/action", "action is required"},
		{"no action type", with("action", members{}), errs.CodeMissingField, "/action/type", "action.type is required"},
		{"empty action type", with("action", members{"type": ""}), errs.CodeMissingField, "/action/type", "required"},
		{"null actor id", with("actor", actor(members{"id": nil})), errs.CodeMissingField, "/actor/id",
			"actor.id is required"},
		{"no resource", with("resource", nil), errs.CodeMissingField, "/resource", "resource is required"},
		{"number for a text", with("actor", actor(members{"id": 7})), errs.CodeWrongType, "/actor/id",
			"actor.id must be a string, not a number"},
		{"text for a number", with("request", members{"status_code": "200"}), errs.CodeWrongType, "/request/status_code",
			"request.status_code must be a whole number, not a string"},
		{"fraction for a number", with("request", members{"status_code": 200.5}), errs.CodeWrongType, "/request/status_code",
			"request.status_code must be a whole number"},
		{"text for an object", with("actor", "ana"), errs.CodeWrongType, "/actor", "actor must be an object, not a string"},
		{"object for an array", with("related", members{}), errs.CodeWrongType, "/related",
			"related must be an array, not an object"},
		{"array for metadata", with("metadata", []any{}), errs.CodeWrongType, "/metadata",
			"metadata must be an object, not an array"},
		{"an object as zone", with("zone", members{"name": "shop.example"}), errs.CodeWrongType, "/zone",
			"zone must be a string, not an object"},
		{"a boolean as zone", with("zone", true), errs.CodeWrongType, "/zone", "zone must be a string, not a boolean"},
		{"version 2", with("v", 2), errs.CodeInvalid, "/v", "v must be 1"},
		{"version as text", with("v", "1"), errs.CodeWrongType, "/v", "v must be a whole number"},
		{"empty id", with("id", ""), errs.CodeInvalid, "/id", "1 to 64 characters"},
		{"id of 65", with("id", text(65)), errs.CodeInvalid, "/id", "1 to 64 characters"},
		{"id with a space", with("id", "a b"), errs.CodeInvalid, "/id", "A-Z a-z 0-9"},
		{"actor type", with("actor", actor(members{"type": "User"})), errs.CodeInvalid, "/actor/type",
			"user, token, integration, staff, system"},
		{"address", with("actor", actor(members{"ip_address": "192.0.2.256"})), errs.CodeInvalid, "/actor/ip_address",
			"IPv4 or IPv6"},
		{"interface", with("interface", "ui"), errs.CodeInvalid, "/interface", "UI, API, CLI, SYSTEM"},
		{"result", with("action", members{"type": "a", "result": "ok"}), errs.CodeInvalid, "/action/result",
			"success, failure"},
		{"long name", with("actor", actor(members{"name": text(1025)})), errs.CodeOutOfRange, "/actor/name",
			"has 1025 characters; at most 1024"},
		{"long product", with("resource", members{"product": text(129), "type": "t", "id": "i"}), errs.CodeOutOfRange,
			"/resource/product", "at most 128"},
		{"many related", with("related", make([]members, 65)), errs.CodeOutOfRange, "/related", "has 65 entries; at most 64"},
		{"related without id", with("related", []members{{"type": "zone"}}), errs.CodeMissingField, "/related/0/id",
			"related.0.id is required"},
		{"status", with("request", members{"status_code": 99}), errs.CodeOutOfRange, "/request/status_code",
			"between 100 and 599"},
		{"a link that runs", with("reason", members{"url": "javascript:alert(1)"}), errs.CodeInvalid, "/reason/url",
			"https://"},
		{"behalf without type", with("actor", actor(members{"on_behalf_of": members{"id": "u"}})), errs.CodeInvalid,
			"/actor/on_behalf_of/type", "one of"},
		{"a hundred years ahead", with("occurred_at", "2126-11-22T10:00:00Z"), errs.CodeEventTime, "/occurred_at",
			"between 1970 and 24 hours ahead"},
		{"before 1970", with("occurred_at", "1969-12-31T23:59:59.999999Z"), errs.CodeEventTime, "/occurred_at",
			"between 1970"},
		{"empty time", with("occurred_at", ""), errs.CodeInvalid, "/occurred_at", "RFC 3339"},
		{"seconds as a time", with("occurred_at", 1795341600), errs.CodeWrongType, "/occurred_at", "must be a string"},
		{"time with a comma", with("occurred_at", "2026-11-22T09:00:00,5Z"), errs.CodeInvalid, "/occurred_at", "RFC 3339"},
		{"time with a short hour", with("occurred_at", "2026-11-22T9:00:00Z"), errs.CodeInvalid, "/occurred_at", "RFC 3339"},
		{"time with an impossible offset", with("occurred_at", "2026-11-22T09:00:00+24:00"), errs.CodeInvalid,
			"/occurred_at", "RFC 3339"},
		{"a zero byte in a product", with("resource", members{"product": "d\x00ns", "type": "t", "id": "i"}),
			errs.CodeInvalid, "/resource/product", "U+0000"},
		{"a zero byte in a zone", with("zone", "shop\x00"), errs.CodeInvalid, "/zone", "U+0000"},
		{"a zero byte in an account", with("account_id", "a\x00"), errs.CodeInvalid, "/account_id", "U+0000"},
		{"a line feed in a link", with("reason", members{"url": "https://x.example/\nOK"}), errs.CodeInvalid, "/reason/url",
			"U+000A"},
		{"a control in a reason", with("reason", members{"text": "a\x1b[2K"}), errs.CodeInvalid, "/reason/text", "U+001B"},
		{"a control in an address", with("actor", actor(members{"ip_address": "fe80::1%\x1b[2K"})), errs.CodeInvalid,
			"/actor/ip_address", "IPv4 or IPv6"},
		{"65,536 bytes", with("metadata", members{"pad": text(record.MaxEvent)}), errs.CodeTooLarge, "", "at most 65535"},
		{"33 levels", minimal(nil)[:len(minimal(nil))-1] + `,"before":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) +
			"}", errs.CodeTooDeep, "", "nested 33 deep"},
		{"a million brackets", strings.Repeat("[", 60_000), errs.CodeTooDeep, "", "at most 32"},
		{"invalid UTF-8", strings.Replace(minimal(nil), "r-1", "r\xff1", 1), errs.CodeInvalidJSON, "/resource/id", "UTF-8"},
		{"half a surrogate pair", strings.Replace(minimal(nil), "r-1", `\ud800`, 1), errs.CodeInvalidJSON, "/resource/id",
			""},
		{"a field twice", `{"id":"a","id":"a"}`, errs.CodeInvalidJSON, "/id", "id appears twice in its object"},
		{"a field twice in open data", strings.Replace(minimal(members{"metadata": members{"a": 1}}), `{"a":1}`,
			`{"a":1,"\u0061":2}`, 1), errs.CodeInvalidJSON, "/metadata/a", "metadata.a appears twice in its object"},
		{"trailing data", minimal(nil) + "{}", errs.CodeInvalidJSON, "", "not valid JSON"},
		{"byte order mark", "\ufeff" + minimal(nil), errs.CodeInvalidJSON, "", "not valid JSON at byte 0"},
		{"cut off", minimal(nil)[:40], errs.CodeInvalidJSON, "/actor", "not valid JSON at byte 40"},
		{"nothing", "", errs.CodeInvalidJSON, "", "not valid JSON at byte 0"},
		{"null", "null", errs.CodeWrongType, "", "the event must be an object, not null"},
		{"an array", "[]", errs.CodeWrongType, "", "the event must be an object, not an array"},
		{"a comment", "/* */" + minimal(nil), errs.CodeInvalidJSON, "", "not valid JSON"},
	} {
		_, err := record.Decode([]byte(c.event), start)
		if err == nil {
			t.Errorf("%s: was taken", c.name)
			continue
		}
		found := false
		for _, e := range errs.All(err) {
			found = found || e.Code == c.code && e.Pointer == c.pointer && strings.Contains(e.Message, c.says)
		}
		if !found {
			t.Errorf("%s: want code %d at %q saying %q, got:\n%+v", c.name, c.code, c.pointer, c.says, errs.All(err))
		}
	}
}

func TestEveryFaultOfAnEventIsNamedAtOnce(t *testing.T) {
	_, err := record.Decode([]byte(`{"action":{},"actor":{"type":"x"},"resource":{"product":"p"},"interface":"y"}`), start)
	var got []string
	for _, e := range errs.All(err) {
		got = append(got, e.Pointer)
	}
	want := "/action/type /actor/type /actor/id /interface /resource/type /resource/id"
	if strings.Join(got, " ") != want {
		t.Fatalf("got %v, want %s", got, want)
	}
}

func TestAnEventAtEachLimitIsTaken(t *testing.T) {
	base := minimal(nil)
	pad := record.MaxEvent - len(base) - len(`,"metadata":{"pad":""}`)
	for name, e := range map[string]string{
		"65,535 bytes":   base[:len(base)-1] + `,"metadata":{"pad":"` + strings.Repeat("x", pad) + `"}}`,
		"32 levels":      base[:len(base)-1] + `,"before":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + "}",
		"24 hours ahead": minimal(members{"occurred_at": "2026-11-23T10:00:00Z"}),
		"1970":           minimal(members{"occurred_at": "1970-01-01T01:00:00+01:00"}),
		"1,024 runes":    minimal(members{"reason": members{"text": strings.Repeat("ü", 1024)}}),
		"null for none":  strings.Replace(minimal(members{"zone": "Z"}), `"Z"`, "null", 1),
	} {
		if _, err := record.Decode([]byte(e), start); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestATimeIsShownInUTCWithMicroseconds(t *testing.T) {
	for in, want := range map[string]string{
		"2026-11-22T12:00:00+02:00":      "2026-11-22T10:00:00.000000Z",
		"2026-11-22T10:00:00.123456789Z": "2026-11-22T10:00:00.123456Z",
		"1970-01-01T00:00:00Z":           "1970-01-01T00:00:00.000000Z",
	} {
		e, err := record.Decode([]byte(minimal(members{"occurred_at": in})), start)
		if err != nil || e.OccurredAt != want || record.FormatTime(e.At().UnixMicro()) != want {
			t.Errorf("%s: %v %s %v, want %s", in, err, e.OccurredAt, e.At(), want)
		}
	}
}

func TestWhatASenderOfRequestsChoseIsCutAndMarked(t *testing.T) {
	long := strings.Repeat("ü", 10_000)
	e, err := record.Decode([]byte(minimal(members{"request": members{"uri": "/" + long, "user_agent": long}})), start)
	if err != nil {
		t.Fatal(err)
	}
	if uri, agent := []rune(e.Request.URI), []rune(e.Request.UserAgent); len(uri) != 8192 || len(agent) != 1024 ||
		uri[8191] != '…' || agent[1023] != '…' || agent[1022] != 'ü' {
		t.Errorf("%d and %d characters", len(uri), len(agent))
	}
	same := strings.Repeat("ü", 1024)
	if e, err = record.Decode([]byte(minimal(members{"request": members{"user_agent": same}})), start); err != nil ||
		e.Request.UserAgent != same {
		t.Errorf("%v: a text at the limit was changed", err)
	}
}

func TestTheSchemeOfALinkHasNoLetterCase(t *testing.T) {
	for url, good := range map[string]bool{
		"HTTPS://x.example": true,
		"hTTp://x":          true,
		"https:x":           false,
		"httpsx://y":        false,
		"//x":               false,
		"javascript://x":    false,
	} {
		if _, err := record.Decode([]byte(minimal(members{"reason": members{"url": url}})), start); (err == nil) != good {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestABodyThatCurlRanTogetherIsTold(t *testing.T) {
	_, err := record.Decode([]byte(minimal(nil)+minimal(nil)), start)
	if err == nil || !strings.Contains(err.Error(), "--data-binary") {
		t.Error(err)
	}
}
