package pages_test

import (
	"net/http"
	"net/http/httptest"
)

// receiver is a server of webhooks that answers with a status.
func (i *installation) receiver(status int) string {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", now.Format(http.TimeFormat)) // pages show the answer
		w.WriteHeader(status)
	}))
	i.t.Cleanup(s.Close)
	return s.URL
}
