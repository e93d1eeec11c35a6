package account

import (
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// saids are the sentences that are said once after a redirect, by the word in
// its URL: text from the URL is never shown.
var saids = map[string]string{
	"token-revoked":    "The token is revoked: nobody can use it any more.",
	"member-role":      "The role is changed. It holds from the member's next click.",
	"member-removed":   "The member is removed from this account.",
	"property-created": "The property is there. Events and traffic may name it now.",
	"property-changed": "The property is changed.",
	"property-deleted": "The property is deleted. What was recorded keeps its name.",
	"password":         "The password is set, and your other sessions are ended.",
	"session-ended":    "The session is ended.",
	"account-created":  "The account is there.",
}

const saidParameter = "said"

// goTo answers a form with a redirect that the browser follows by GET.
func goTo(w http.ResponseWriter, r *http.Request, path, said string) error {
	if said != "" {
		path += "?" + url.Values{saidParameter: {said}}.Encode()
	}
	http.Redirect(w, r, path, http.StatusSeeOther)
	return nil
}

// faults are what is wrong with a form, by field; "" is for the whole of it.
// The zero value is a form that nobody sent yet.
type faults struct {
	Status int
	fields map[string]string
}

// Of is the sentence on a field, or "".
func (f faults) Of(field string) string { return f.fields[field] }

// faultsOf sorts an error by the fields of a form; what names none of them is
// said on top. ok is false for what the sender cannot mend in the form.
func faultsOf(err error, known ...string) (f faults, ok bool) {
	kind := errs.KindOf(err)
	switch kind {
	case errs.Internal, errs.Unavailable, errs.NotFound:
		return f, false
	}
	f = faults{kind.Status(), map[string]string{}}
	for _, e := range errs.All(err) {
		field := ""
		for _, k := range known {
			if e.Pointer == "/"+k {
				field = k
			}
		}
		if f.fields[field] == "" {
			f.fields[field] = sentence(e.Message)
		}
	}
	return f, true
}

func internal(err error) bool { return errs.KindOf(err) == errs.Internal }

// retryAfter tells browsers and scripts how long to wait.
func retryAfter(w http.ResponseWriter, err error) {
	if wait := errs.All(err)[0].RetryAfter; wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
	}
}

// sentence makes an error's message one: a capital first, a full stop last.
func sentence(s string) string {
	first, size := utf8.DecodeRuneInString(s)
	if size == 0 {
		return s
	}
	s = string(unicode.ToUpper(first)) + s[size:]
	if !strings.HasSuffix(s, ".") {
		s += "."
	}
	return s
}

// lines are the entries of a field that takes several, one a line or separated
// by commas or spaces.
func lines(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
}

// waiting is a wait in words: 40 s, 3 min.
func waiting(d time.Duration) string {
	if d >= 2*time.Minute {
		return strconv.Itoa(int(math.Ceil(d.Minutes()))) + " minutes"
	}
	return strconv.Itoa(int(math.Ceil(d.Seconds()))) + " s"
}
