package ui

import (
	"net/http"
	"unicode"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Problem answers with the page of an error. It shows only what callers may see. An htmx request gets a toast instead,
// and keeps its page.
func (u *UI) Problem(w http.ResponseWriter, r *http.Request, shell Shell, err error, requestID string) error {
	first := errs.All(err)[0]
	title := "Something went wrong"
	if e, ok := first.Code.Entry(); ok {
		title = sentenceCase(e.Title)
	}
	shell.Title = title
	shell.Status = first.Kind().Status()
	page := &Page{ui: u, set: u.base}
	if Fragment(r) {
		w.Header().Set("HX-Retarget", "#toasts")
		w.Header().Set("HX-Reswap", "beforeend")
		w.Header().Set("HX-Push-Url", "false")
		return page.Render(w, r, shell, "toast", map[string]any{"Tone": Bad, "Text": title + ": " + first.Message})
	}
	home, action := shell.Home, "To the overview"
	if home == "" {
		home = "/"
	}
	if shell.Face == Operator {
		action = "To the console"
	}
	signedOut := first.Kind() == errs.Unauthenticated
	if signedOut {
		action = "Sign in"
	}
	return page.Render(w, r, shell, "problem", map[string]any{
		"Title": title, "Text": sentenceCase(first.Message), "Code": int(first.Code),
		"RequestID": requestID, "Href": home, "Action": action, "SignedOut": signedOut,
	})
}

func sentenceCase(s string) string {
	r := []rune(s)
	if len(r) > 0 {
		r[0] = unicode.ToUpper(r[0])
	}
	return string(r)
}
