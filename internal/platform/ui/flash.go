package ui

import (
	"net/http"
	"regexp"
)

// A page that was reached by a form says once what the form did. The word for
// that sentence travels in a cookie and not in the address, so that reloading
// the page, going back to it or keeping it as a bookmark does not say it again.
// The cookie holds no text: a page shows only sentences that it has for a word.

const (
	saidCookie = "belfry_said"
	saidTime   = 60 // seconds in which the browser must follow the redirect
)

var saidWord = regexp.MustCompile(`^[a-z][a-z-]{0,39}$`)

// Redirect answers a form: the browser gets the path next, by GET, and the page
// there finds said with [Said]. An empty said says nothing.
func Redirect(w http.ResponseWriter, r *http.Request, path, said string) error {
	if said != "" {
		http.SetCookie(w, &http.Cookie{Name: saidCookie, Value: said, Path: "/", MaxAge: saidTime,
			HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil})
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// Said is the word that the form before this page left, or "". [Page.Render]
// takes it back when it answers with a whole page.
func Said(r *http.Request) string {
	c, err := r.Cookie(saidCookie)
	if err != nil || r.Method != http.MethodGet || Fragment(r) || !saidWord.MatchString(c.Value) {
		return ""
	}
	return c.Value
}

func forgetSaid(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(saidCookie); err == nil {
		http.SetCookie(w, &http.Cookie{Name: saidCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: r.TLS != nil})
	}
}
