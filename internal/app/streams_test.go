package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/test/poll"
)

// streamPaths are all that streams, with the placeholders filled in, and the
// pages' own apart.
func (s *site) streamPaths(account, job string) (operations, pages []string) {
	fill := strings.NewReplacer("{account_id}", account, "{job_id}", job)
	for _, r := range s.app.API.Routes() {
		if r.Stream && strings.Contains(r.Path, "{account_id}") {
			operations = append(operations, fill.Replace(r.Path))
		}
	}
	for _, m := range s.app.API.Mounts() {
		if m.Stream {
			_, path, _ := strings.Cut(m.Pattern, " ")
			pages = append(pages, fill.Replace(path))
		}
	}
	return operations, pages
}

// A download of a small record ends by itself; that it is watched, too, is
// checked whenever one is opened (web panics otherwise).
func TestEveryStreamEndsWhenItsCredentialIsTakenAway(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(c *app.Config) { c.StreamRecheck = 50 * time.Millisecond })
	account := s.account("Acme")
	s.append(account, auditEvent("1", "bo", nil))
	var job struct{ ID string }
	s.decode(s.call("POST", "/accounts/"+account+"/audit/exports", object{"format": "csv"}), &job)
	var state struct{ State string }
	poll.Until(t, "the export is done", func() bool {
		s.decode(s.call("GET", "/accounts/"+account+"/jobs/"+job.ID, nil), &state)
		return state.State == "done"
	})
	operations, pages := s.streamPaths(account, job.ID)
	if len(operations) < 3 || len(pages) < 1 {
		t.Fatalf("only %v and %v stream", operations, pages)
	}
	withToken := func(more object, end func(id string)) {
		spec := object{"name": "reader", "permissions": []string{"audit:read", "audit:export", "notifications:read"}}
		for k, v := range more {
			spec[k] = v
		}
		var made struct{ ID, Value string }
		s.decode(s.call("POST", "/accounts/"+account+"/tokens", spec), &made)
		// A token has no inbox of its own.
		named := make([]string, len(operations))
		for i, path := range operations {
			named[i] = strings.Replace(path, "/inbox/stream", "/inbox/stream?member=user:kim", 1)
		}
		all := s.open(http.DefaultClient, named, "Authorization", "Bearer "+made.Value)
		end(made.ID)
		for _, open := range all {
			open.ends(t)
		}
	}
	withToken(nil, func(id string) { s.call("DELETE", "/accounts/"+account+"/tokens/"+id, nil) })
	withToken(object{"expires_on": time.Now().Add(2 * time.Second).UTC().Format(time.RFC3339Nano)}, func(string) {})

	withSession := func(email string, end func(v *visitor)) {
		v := s.member(account, email, "admin")
		client := v.Client()
		all := append(s.open(client, operations), s.open(client, pages)...)
		end(v)
		for _, open := range all {
			open.ends(t)
		}
	}
	withSession("removed@acme.example", func(*visitor) {
		var members []struct{ ID, Email string }
		s.decode(s.call("GET", "/accounts/"+account+"/members", nil), &members)
		for _, member := range members {
			if member.Email == "removed@acme.example" {
				s.call("DELETE", "/accounts/"+account+"/members/"+member.ID, nil)
			}
		}
	})
	withSession("out@acme.example", func(v *visitor) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", v.url+"/sign-out", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Origin", v.url)
		res, err := v.Client().Do(r)
		if err != nil || res.StatusCode != http.StatusSeeOther {
			t.Fatal(res, err)
		}
		res.Body.Close()
	})
}

// openedStream is a stream that is being read.
type openedStream struct {
	path  string
	ended chan struct{}
}

func (s *site) open(client *http.Client, paths []string, headers ...string) []openedStream {
	s.t.Helper()
	var list []openedStream
	for _, path := range paths {
		r, err := http.NewRequestWithContext(s.t.Context(), "GET", s.url+path, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		res, err := client.Do(r)
		if err != nil || res.StatusCode != http.StatusOK {
			s.t.Fatalf("%s: %v %v", path, res, err)
		}
		o := openedStream{path, make(chan struct{})}
		go func() {
			defer close(o.ended)
			defer res.Body.Close()
			_, _ = io.Copy(io.Discard, res.Body) // an end, however it comes
		}()
		list = append(list, o)
	}
	return list
}

func (o openedStream) ends(t *testing.T) {
	t.Helper()
	select {
	case <-o.ended:
	case <-time.After(20 * time.Second):
		t.Errorf("%s goes on", o.path)
	}
}

func (s *site) decode(result json.RawMessage, into any) {
	s.t.Helper()
	if err := json.Unmarshal(result, into); err != nil {
		s.t.Fatal(err)
	}
}

func TestAHeadHandsNothingOutAndRecordsNothing(t *testing.T) {
	s := newSite(t)
	account := s.account("Acme")
	s.append(account, auditEvent("1", "bo", nil))
	v := s.member(account, "ana@acme.example", "owner")
	exports := func() int {
		var list []object
		s.decode(s.call("GET", "/accounts/"+account+"/logs/audit?action_type=export&since=2020-01-01&before=2100-01-01",
			nil), &list)
		return len(list)
	}
	fill := strings.NewReplacer("{account_id}", account, "{event_id}", "1", "{", "", "}", "")
	var paths []string
	for _, r := range s.app.API.Routes() {
		if r.Method == http.MethodGet {
			paths = append(paths, fill.Replace(r.Path))
		}
	}
	for _, mounted := range s.app.API.Mounts() {
		if path, ok := strings.CutPrefix(mounted.Pattern, "GET "); ok {
			paths = append(paths, fill.Replace(path))
		}
	}
	for _, path := range append(paths, "/client/v4/accounts/"+account+"/audit/export?format=csv") {
		r, err := http.NewRequestWithContext(t.Context(), "HEAD", s.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := v.Client().Do(r)
		if err != nil || res.StatusCode >= 500 {
			t.Errorf("HEAD %s: %v %v", path, res, err)
			continue
		}
		res.Body.Close()
	}
	if len(paths) < 60 {
		t.Fatalf("only %d paths were asked for", len(paths))
	}
	if n := exports(); n != 0 {
		t.Errorf("%d exports are recorded, and nothing was handed out", n)
	}
	v.Get("/client/v4/accounts/" + account + "/audit/export")
	if n := exports(); n != 1 {
		t.Errorf("%d exports are recorded of one", n)
	}
}
