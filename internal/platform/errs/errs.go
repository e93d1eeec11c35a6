// Package errs gives every error of Belfry a kind, read once.
//
// A failure is described where it happens, by a [Code] and a sentence that
// names the field and what was expected; the code decides the [Kind]; and the
// kind alone decides the HTTP status (web), whether a message is retried or
// rejected (bus), and the reason label of a metric. Errors that carry no code
// are Internal: their text is logged and never shown to a caller.
package errs

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Kind is the way in which a caller can handle an error.
type Kind uint8

// The kinds. None is that of a nil error.
const (
	None            Kind = iota // no error
	Internal                    // a defect or an unexpected fault: 500
	Invalid                     // the request can never succeed as it is: 400
	Unauthenticated             // no valid credential: 401
	Forbidden                   // the credential does not reach this: 403
	NotFound                    // there is no such thing in this account: 404
	Conflict                    // the state does not allow it: 409
	Stale                       // If-Match did not hold: 412
	TooLarge                    // over a limit of size: 413
	RateLimited                 // over a limit of rate: 429
	Unavailable                 // a part is down or busy; the same request may succeed later: 503
)

var kindNames = [...]string{
	"none", "internal", "invalid", "unauthenticated", "forbidden", "not_found",
	"conflict", "stale", "too_large", "rate_limited", "unavailable",
}

// Kinds are the words of all kinds of errors, for the labels of counters.
func Kinds() []string { return append([]string(nil), kindNames[Internal:]...) }

// String is the kind's word in metrics and logs.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return "internal"
}

// Status is the HTTP status of the kind (RFC 9110).
func (k Kind) Status() int {
	switch k {
	case None:
		return 200
	case Invalid:
		return 400
	case Unauthenticated:
		return 401
	case Forbidden:
		return 403
	case NotFound:
		return 404
	case Conflict:
		return 409
	case Stale:
		return 412
	case TooLarge:
		return 413
	case RateLimited:
		return 429
	case Unavailable:
		return 503
	default:
		return 500
	}
}

// Retryable reports whether the same request may succeed later without being
// changed. A bus consumer retries what is retryable and rejects the rest.
func (k Kind) Retryable() bool {
	return k == Internal || k == RateLimited || k == Unavailable
}

// Error is one described failure. Message is a sentence for the caller;
// Pointer, if set, is the RFC 6901 pointer (body) or name (query) of the field.
type Error struct {
	Code       Code
	Message    string
	Pointer    string
	RetryAfter time.Duration // with RateLimited and Unavailable; 0 = not known
	Cause      error         // for the log only
}

// New describes a failure. The format's text is shown to callers: no secrets.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// At describes a failure of one field, by its pointer ("/actor/id") or the
// name of its query parameter.
func At(code Code, pointer, format string, args ...any) *Error {
	return &Error{Code: code, Pointer: pointer, Message: fmt.Sprintf(format, args...)}
}

// Because returns e with a cause that is logged and not shown.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.Cause = cause
	return &c
}

// After returns e with the time after which a caller should try again.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Kind is the kind of e's code.
func (e *Error) Kind() Kind { return e.Code.Kind() }

// Error is the full text, with the field and the cause: for logs.
func (e *Error) Error() string {
	s := e.Message
	if e.Pointer != "" {
		s = e.Pointer + ": " + s
	}
	if e.Cause != nil {
		s += ": " + e.Cause.Error()
	}
	return s
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Cause }

// List is several failures of one request, in the order of the input. Its kind
// is that of its first error.
type List []*Error

// Error joins the texts.
func (l List) Error() string {
	errList := make([]error, len(l))
	for i, e := range l {
		errList[i] = e
	}
	return errors.Join(errList...).Error()
}

// Or returns the list as an error, or nil if it is empty.
func (l List) Or() error {
	if len(l) == 0 {
		return nil
	}
	return l
}

// All returns the part of err that a caller may see: its described errors, or one
// error of code [CodeInternal] (or [CodeDeadline]) with err as the cause; nothing of nil.
func All(err error) List {
	if err == nil {
		return nil
	}
	var list List
	if errors.As(err, &list) {
		return list
	}
	var one *Error
	if errors.As(err, &one) {
		return List{one}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return List{New(CodeDeadline, "the request took longer than its deadline").Because(err)}
	}
	return List{New(CodeInternal, "an internal error; it was logged with this request's id").Because(err)}
}

// KindOf is the kind of the first described error in err's chain: Internal when
// there is none, and [None] for nil.
func KindOf(err error) Kind {
	if err == nil {
		return None
	}
	return All(err)[0].Kind()
}

// Is reports whether err is described by the code. A nil error has no code.
func Is(err error, code Code) bool {
	for _, e := range All(err) {
		if e.Code == code {
			return true
		}
	}
	return false
}
