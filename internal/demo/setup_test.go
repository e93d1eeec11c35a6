package demo

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// The secret of a one-time link is in its fragment, which no browser sends: the
// sign-in page's script makes it the form that signs in.
func TestAMemberSignsInWithTheSecretInTheLinksFragment(t *testing.T) {
	var path, secret string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, secret = r.URL.RequestURI(), r.PostFormValue("link")
		w.Header().Set("Location", "/")
		w.WriteHeader(http.StatusSeeOther)
	}))
	defer server.Close()
	if err := enter(t.Context(), server.URL+"/sign-in#link=5qczbxt7"); err != nil {
		t.Fatal(err)
	}
	if path != "/sign-in" || secret != "5qczbxt7" {
		t.Errorf("the form went to %q with the secret %q", path, secret)
	}
	if err := enter(t.Context(), ""); err == nil {
		t.Error("a member without a link signed in")
	}
}
