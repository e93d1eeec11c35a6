package auditimport_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/auditimport"
	"github.com/belfryhq/belfry/internal/client"
)

// file is a source of lines.
func file(text string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
}

// server answers each event by its field wants: a status.
func server(t *testing.T) (*client.Client, *[]string) {
	var ids []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/client/v4/accounts/ext:acme/audit/events" {
			t.Errorf("path %s", r.URL.Path)
		}
		info := map[string]int{}
		var results []map[string]any
		for in := json.NewDecoder(r.Body); ; {
			var e struct{ ID, Wants string }
			if err := in.Decode(&e); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Error(err)
				return
			}
			ids = append(ids, e.ID)
			info[e.Wants]++
			results = append(results, map[string]any{"index": len(results), "status": e.Wants})
		}
		if info["accepted"]+info["duplicate"] == 0 {
			w.WriteHeader(http.StatusBadRequest)
		}
		err := json.NewEncoder(w).Encode(map[string]any{"result": results, "result_info": info})
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return client.New(s.URL, "token"), &ids
}

func TestEachEventThatIsNotStoredIsNamedWithItsPlace(t *testing.T) {
	c, _ := server(t)
	for text, want := range map[string]auditimport.Sum{
		`{"wants":"accepted"}` + "\n" + `{"wants":"conflict"}`: {Accepted: 1, Conflict: 1},
		`{"wants":"conflict"}` + "\n" + `{"wants":"rejected"}`: {Conflict: 1, Rejected: 1}, // the request answers 400
	} {
		var named []string
		sent := 0
		im := auditimport.Importer{
			Client:   c,
			Account:  "ext:acme",
			Rejected: func(place, status, _ string) { named = append(named, place+" "+status) },
			Progress: func(n int) { sent = n },
		}
		sum, err := im.Run(t.Context(), auditimport.FromFile("f", file(text)))
		if err != nil || sum != want || len(named) != 2-want.Accepted || sent != 2 {
			t.Errorf("%s: %+v, %v; %v; %d sent", text, sum, err, named, sent)
		}
		if last := named[len(named)-1]; !strings.HasPrefix(last, "f:2 ") {
			t.Errorf("the last one is %s", last)
		}
	}
}

func TestTheSameLinesAlwaysHaveTheSameIDs(t *testing.T) {
	c, ids := server(t)
	const lines = `{"wants":"accepted"}` + "\n" + `{"wants":"accepted"}` + "\n" + `{"id":"own","wants":"accepted"}`
	for range 2 {
		im := auditimport.Importer{
			Client:   c,
			Account:  "ext:acme",
			Rejected: func(place, _, why string) { t.Error(place, why) },
			Progress: func(int) {},
		}
		if _, err := im.Run(t.Context(), auditimport.FromFile("f", file(lines))); err != nil {
			t.Fatal(err)
		}
	}
	got := *ids
	if len(got) != 6 || got[0] == got[1] || got[0] != got[3] || got[1] != got[4] || got[2] != "own" {
		t.Errorf("ids %v", got)
	}
}

func TestTheEventsBeforeAFaultOfTheSourceAreImported(t *testing.T) {
	c, ids := server(t)
	broken := errors.New("broken")
	im := auditimport.Importer{
		Client:   c,
		Account:  "ext:acme",
		Rejected: func(place, _, why string) { t.Error(place, why) },
		Progress: func(int) {},
	}
	text := io.MultiReader(strings.NewReader(`{"wants":"accepted"}`+"\n"), failing{broken})
	open := func() (io.ReadCloser, error) { return io.NopCloser(text), nil }
	sum, err := im.Run(t.Context(), auditimport.FromFile("f", open))
	if !errors.Is(err, broken) || sum.Accepted != 1 || len(*ids) != 1 {
		t.Errorf("%+v, %v", sum, err)
	}
}

// failing is a reader that fails.
type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
