package belfrytest_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	belfry "github.com/belfryhq/belfry/sdk/go"
	"github.com/belfryhq/belfry/sdk/go/belfrytest"
)

func change(id, to string) belfry.Event {
	return belfry.Event{
		Action:   belfry.Action{Type: "update"},
		Actor:    belfry.Actor{Type: belfry.User, ID: "u-1"},
		Resource: belfry.Resource{Product: "shop", Type: "setting", ID: id},
		After:    map[string]any{"timeout": to, "retries": []int{1, 2}, "note": "free"},
	}
}

// spy is a test that may fail without failing the one that looks at it.
type spy struct {
	testing.TB
	said strings.Builder
}

func (s *spy) Helper()                        {}
func (s *spy) Errorf(format string, a ...any) { fmt.Fprintf(&s.said, format+"\n", a...) }

func TestAssertAuditedFindsWhatHasAtLeastTheWantedFields(t *testing.T) {
	rec := belfrytest.New(t)
	for _, e := range []belfry.Event{change("a", "1s"), change("timeout", "3s")} {
		if err := rec.Client().Audit(t.Context(), e); err != nil {
			t.Fatal(err)
		}
	}
	belfrytest.AssertAudited(t, rec, belfry.Event{After: map[string]any{"timeout": "3s"}})
	belfrytest.AssertMatch(t, rec, "a change of a", func(e belfry.Event) bool { return e.Resource.ID == "a" })

	var s spy
	belfrytest.AssertAudited(&s, rec, belfry.Event{
		Actor: belfry.Actor{ID: "u-2"}, Resource: belfry.Resource{ID: "timeout"}, Zone: "z",
		After: map[string]any{"timeout": "3s", "retries": []int{1}},
	})
	for _, want := range []string{
		`/actor/id: want "u-2", got "u-1"`, `/zone: want "z", got nothing`, `/after/retries: want [1], got [1,2]`,
		"nearest of 2 events",
	} {
		if !strings.Contains(s.said.String(), want) {
			t.Errorf("the failure does not say %q:\n%s", want, s.said.String())
		}
	}
	if strings.Contains(s.said.String(), "resource/id: want") {
		t.Errorf("the failure is about another event than the nearest:\n%s", s.said.String())
	}
	s.said.Reset()
	belfrytest.AssertNothing(&s, rec)
	belfrytest.AssertMatch(&s, rec, "a miracle", func(belfry.Event) bool { return false })
	if n := strings.Count(s.said.String(), "want nothing"); n != 2 || !strings.Contains(s.said.String(), "a miracle") {
		t.Errorf("said:\n%s", s.said.String())
	}
}

func TestAssertAuditedSaysThatNothingWasAudited(t *testing.T) {
	var s spy
	belfrytest.AssertAudited(&s, belfrytest.New(t), belfry.Event{Zone: "z"})
	if !strings.Contains(s.said.String(), "nothing was audited") {
		t.Errorf("said: %s", s.said.String())
	}
}

const least = `{"action":{"type":"a"},"actor":{"type":"user","id":"u"},"resource":{"product":"p","type":"t","id":"r"}`

func TestTheServerAnswersAsTheAPIDoes(t *testing.T) {
	srv := belfrytest.NewServer(t, belfrytest.Options{MaxEvents: 3})
	one := func(id string) string { return least + `,"id":"` + id + `"}` }
	for _, c := range []struct {
		name, path, token, body string
		status                  int
		has                     string
	}{
		{"one event", "accounts/x/audit/events", "", one("a"), 200, `"status":"accepted","seq":0`},
		{"again, spelled otherwise", "accounts/x/audit/events", "",
			" " + strings.Replace(one("a"), `"type":"a"`, `"type":"\u0061"`, 1), 200, `"status":"duplicate","seq":0`},
		{"other content", "accounts/x/audit/events", "", strings.Replace(one("a"), `"type":"a"`, `"type":"b"`, 1), 409,
			`"status":"conflict"`},
		{"same id elsewhere", "accounts/y/audit/events", "", one("a"), 200, `"status":"accepted","seq":0`},
		{"an array", "accounts/x/audit/events", "", "[" + one("b") + "," + one("c") + "]", 200, `"accepted":2`},
		{"lines", "accounts/x/audit/events", "", one("d") + "\n\n{}\n" + one("d"), 200,
			`{"accepted":1,"conflict":0,"duplicate":1,"rejected":1}`},
		{"an invalid event", "accounts/x/audit/events", "", "{}", 400, `"pointer":"/actor"`},
		{"no event", "accounts/x/audit/events", "", "\n", 400, `"result":null`},
		{"too many", "accounts/x/audit/events", "", strings.Repeat(one("e")+"\n", 4), 413, `"result":null`},
		{"a producer's", "audit/events", "", strings.TrimSuffix(one("a"), "}") + `,"account_id":"z"}`, 200, `"accepted":1`},
		{"a producer's without account", "audit/events", "", one("f"), 400, `"pointer":"/account_id"`},
		{"another token", "accounts/x/audit/events", "wrong", one("g"), 401, `"code":10000`},
		{"another path", "accounts/x/audit", "", one("g"), 404, `"code":7003`},
	} {
		r, err := http.NewRequest(http.MethodPost, srv.URL()+"/client/v4/"+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		token := belfrytest.TestToken
		if c.token != "" {
			token = c.token
		}
		r.Header.Set("Authorization", "Bearer "+token)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || answer.StatusCode != c.status || !strings.Contains(string(text), c.has) {
			t.Errorf("%s: %d %s, %v; want %d with %s", c.name, answer.StatusCode, text, err, c.status, c.has)
		}
	}
	if n := len(srv.Events()); n != 6 {
		t.Errorf("%d events are stored, want 6", n)
	}
}
