package client_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/belfryhq/belfry/internal/client"
)

func TestCountsThatAreAllRejectedAreAnAnswerAndNoFault(t *testing.T) {
	answer := `{"success":false,"errors":[{"message":"no"}],"result":{"rejected_requests":3,"other_requests":4,` +
		`"refused":[{"index":0,"errors":[{"message":"zone is not a host name"}]}]},"result_info":{"rejected":1}}`
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		if _, err := w.Write([]byte(answer)); err != nil {
			t.Error(err)
		}
	}))
	defer s.Close()
	c := client.New(s.URL, "token")
	got, err := c.SendCounts(t.Context(), "ext:acme", "key", []byte("[]"))
	want := client.CountsResult{Rejected: 1, RejectedRequests: 3, OtherRequests: 4, Why: "zone is not a host name"}
	if err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}

	answer = `{"success":false,"errors":[{"message":"no"}],"result":null,"result_info":null}`
	_, err = c.SendCounts(t.Context(), "ext:acme", "key", []byte("[]"))
	if !client.RejectsContent(err) || client.Temporary(err) {
		t.Errorf("a refused request: %v", err)
	}
}

func TestOnlySomeFailuresAreWorthARepeat(t *testing.T) {
	for status, temporary := range map[int]bool{
		400: false,
		401: false,
		404: false,
		408: true,
		413: false,
		429: true,
		503: true,
	} {
		if got := client.Temporary(&client.Problem{Status: status}); got != temporary {
			t.Errorf("%d: %v", status, got)
		}
	}
	if err := errors.New("connection refused"); !client.Temporary(err) || client.RejectsContent(err) {
		t.Error("a lost connection may pass, and says nothing about the content")
	}
}
