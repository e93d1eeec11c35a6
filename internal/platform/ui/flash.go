package ui

import (
	"net/http"
	"regexp"
)

// A flash message reports once, on the page after a form, what the form did. Its
// key travels in a cookie and not in the URL, so that a reload, the history or a
// bookmark does not show it again. The cookie holds no text: a page shows only
// the messages that it defines for a key.

const (
	flashCookie = "belfry_flash"
	flashMaxAge = 60 // seconds in which the browser must follow the redirect
)

var flashKey = regexp.MustCompile(`^[a-z][a-z-]{0,39}$`)

// Redirect answers a form: the browser gets path next, and the page there reads
// the key of its flash message with [FlashKey]. An empty key is no message.
func Redirect(w http.ResponseWriter, r *http.Request, path, key string) error {
	if key != "" {
		setFlash(w, r, key, flashMaxAge)
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// FlashKey is the key that the form before this page set, or "". [Page.Render]
// deletes it when it answers with a whole page.
func FlashKey(r *http.Request) string {
	c, err := r.Cookie(flashCookie)
	if err != nil || r.Method != http.MethodGet || Fragment(r) || !flashKey.MatchString(c.Value) {
		return ""
	}
	return c.Value
}

func deleteFlash(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(flashCookie); err == nil {
		setFlash(w, r, "", -1)
	}
}

func setFlash(w http.ResponseWriter, r *http.Request, key string, maxAge int) {
	http.SetCookie(w, &http.Cookie{
		Name:     flashCookie,
		Value:    key,
		Path:     "/",
		MaxAge:   maxAge,
		HttpOnly: true,
		SameSite: http.SameSiteLaxMode,
		Secure:   r.TLS != nil,
	})
}

// ValidFlash reports whether a key may name a flash message.
func ValidFlash(key string) bool { return flashKey.MatchString(key) }
