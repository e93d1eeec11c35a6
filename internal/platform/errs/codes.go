package errs

import "sort"

// Code is the number of an error in the API's envelope. Every code has a page,
// /docs/errors/CODE, made from its entry here. A number is never given another
// meaning. Where the Cloudflare v4 API has a public number for the same thing
// (10000, 7003, 17103, 17200), Belfry answers that number.
type Code int

// The codes, grouped by what a caller looks at first.
const (
	CodeInternal    Code = 1000
	CodeDeadline    Code = 1001
	CodeUnavailable Code = 1002
	CodeRateLimited Code = 1003

	CodeInvalid          Code = 1100 // any field, when no narrower code fits
	CodeInvalidJSON      Code = 1101
	CodeUnknownField     Code = 1102
	CodeMissingField     Code = 1103
	CodeWrongType        Code = 1104
	CodeOutOfRange       Code = 1105
	CodeTooLarge         Code = 1106
	CodeBadEncoding      Code = 1107
	CodeTooDeep          Code = 1108
	CodeBadCursor        Code = 1109
	CodeNarrowRange      Code = 1110
	CodeSlowBody         Code = 1111
	CodeMediaType        Code = 1112
	CodeIdempotencyReuse Code = 1113
	CodeIdempotencyBusy  Code = 1114

	CodeNoRoute       Code = 7003
	CodeMethod        Code = 7001
	CodeNotFound      Code = 7004
	CodeExists        Code = 7005
	CodeStale         Code = 7006
	CodeLimit         Code = 7007
	CodeStateConflict Code = 7008

	CodeAuthentication Code = 10000
	CodeForbidden      Code = 10001
	CodeTokenExpired   Code = 10002
	CodeTokenAddress   Code = 10003
	CodeCrossOrigin    Code = 10004
	CodeSignIn         Code = 10005

	CodeEventConflict     Code = 12000
	CodeProductForbidden  Code = 12001
	CodeActionUndeclared  Code = 12002
	CodeSchemaMismatch    Code = 12003
	CodeReservedProduct   Code = 12004
	CodeUnknownAccount    Code = 12005
	CodeSigningStopped    Code = 12006
	CodeCatalogueInvalid  Code = 12007
	CodeEventTime         Code = 12008
	CodeReceiptImpossible Code = 12009

	CodeMissingFilter Code = 17103
	CodeNotEntitled   Code = 17200
)

// Entry is a code's page.
type Entry struct {
	Code    Code
	Kind    Kind
	Title   string // a few words, lower case
	Meaning string // what happened
	Remedy  string // what to do about it
}

// Kind of the code; Internal for a code that has no entry.
func (c Code) Kind() Kind {
	e, ok := c.Entry()
	if !ok {
		return Internal
	}
	return e.Kind
}

// Entry is the code's page and whether there is one.
func (c Code) Entry() (Entry, bool) {
	i := sort.Search(len(entries), func(i int) bool { return entries[i].Code >= c })
	if i < len(entries) && entries[i].Code == c {
		return entries[i], true
	}
	return Entry{}, false
}

// OfData are the titles of the codes that an item of data may be refused with,
// for the labels of counters.
func OfData() []string {
	var titles []string
	for _, e := range entries {
		if e.Code/100 == CodeInvalid/100 || e.Code/1000 == CodeEventConflict/1000 {
			titles = append(titles, e.Title)
		}
	}
	return titles
}

// Entries are all codes, ascending.
func Entries() []Entry { return append([]Entry(nil), entries...) }

// entries is sorted by code (a test checks it).
var entries = []Entry{
	{CodeInternal, Internal, "internal error",
		"Something failed that Belfry did not foresee. Nothing that was not acknowledged is stored.",
		"Try again. If it stays, give the operators the request's id (header X-Request-Id)."},
	{CodeDeadline, Unavailable, "deadline passed", "The work took longer than a request may take.",
		"Try again later, or ask for less at once: a shorter time range or a smaller batch."},
	{CodeUnavailable, Unavailable, "temporarily unavailable",
		"A part that the request needs (the database, the bus) does not answer now. Nothing of the request was " +
			"acknowledged.",
		"Send the same request again after the time in Retry-After; ids and idempotency keys make that safe."},
	{CodeRateLimited, RateLimited, "too many requests", "The credential or address sends more than its limit.",
		"Wait for the time in Retry-After; send batches."},
	{CodeInvalid, Invalid, "invalid value", "A field's value is not what the field takes.",
		"The message names the field and what was expected."},
	{CodeInvalidJSON, Invalid, "invalid JSON",
		"The body (or a line of it) is not JSON as RFC 8259 and RFC 7493 have it: one value, no duplicate member " +
			"names, valid UTF-8.", "The message says at which byte the reader stopped."},
	{CodeUnknownField, Invalid, "unknown field", "The object has a member that is not part of its shape.",
		"Remove it or correct its name; free data belongs under metadata."},
	{CodeMissingField, Invalid, "missing field", "A required field is not there or empty.",
		"Add the field that the message names."},
	{CodeWrongType, Invalid, "wrong type", "The value has another JSON type than the field.",
		"Send the type that the message names."},
	{CodeOutOfRange, Invalid, "out of range", "The value is outside the field's limits.",
		"The message states the limits."},
	{CodeTooLarge, TooLarge, "too large", "The body, the batch or one of its items is over the limit.",
		"Send smaller batches; GET /client/v4/capabilities lists the limits."},
	{CodeBadEncoding, Invalid, "bad content encoding", "The body could not be decompressed as its Content-Encoding says.",
		"Send gzip that is whole, or no Content-Encoding."},
	{CodeTooDeep, Invalid, "nested too deeply", "Objects and arrays are nested beyond the limit.", "Flatten the value."},
	{CodeBadCursor, Invalid, "bad cursor", "The cursor was not made by this list, or was changed.",
		"Start again without a cursor."},
	{CodeNarrowRange, Invalid, "narrow the time range", "The filters need more reading than one request may do.",
		"Give a shorter since/before range, or one of the indexed filters (actor id, resource id, product, action " +
			"type, zone), or use an export job."},
	{CodeSlowBody, Invalid, "body too slow", "The request's body did not arrive within the time for reading it.",
		"Send again over a better connection or in smaller batches."},
	{CodeMediaType, Invalid, "unsupported content type", "The endpoint does not take this Content-Type.",
		"Use one that the message names."},
	{CodeIdempotencyReuse, Conflict, "idempotency key reused",
		"The Idempotency-Key was used within 24 hours for another request.", "Use a new key for each new request."},
	{CodeIdempotencyBusy, Conflict, "idempotent request under way",
		"The first request with this Idempotency-Key has not finished.", "Wait and send it again with the same key."},
	{CodeMethod, NotFound, "method not allowed", "The path exists, the method does not.",
		"See /docs for the methods of the path."},
	{CodeNoRoute, NotFound, "no such route", "No route has this path.", "See /docs; the API lives under /client/v4."},
	{CodeNotFound, NotFound, "not found", "There is no such thing, or none that this credential may see.",
		"Check the id and the account."},
	{CodeExists, Conflict, "already exists", "Another thing has this name or key already.",
		"Choose another, or update the one that exists."},
	{CodeStale, Stale, "changed meanwhile", "If-Match names a version that is not the present one.",
		"Read it again, and apply your change to what is there now."},
	{CodeLimit, Forbidden, "limit reached", "The account has as many of these as it may have.",
		"Delete some, or ask the operators for a higher limit."},
	{CodeStateConflict, Conflict, "not possible in this state",
		"The thing is in a state that does not allow the request.", "The message says which state it is in."},
	{CodeAuthentication, Unauthenticated, "authentication error",
		"The request has no credential, or one that is not known, or was revoked.",
		"Send Authorization: Bearer TOKEN with a token of this installation."},
	{CodeForbidden, Forbidden, "permission denied",
		"The credential is valid and does not reach this account or lacks the permission.",
		"Use a token with the permission that the message names."},
	{CodeTokenExpired, Unauthenticated, "token expired", "The token's expires_on has passed.", "Create a new token."},
	{CodeTokenAddress, Forbidden, "address not allowed", "The token may not be used from this address.",
		"Send from an address in the token's ip_allow, or change that list."},
	{CodeCrossOrigin, Forbidden, "cross-origin request refused", "A browser sent this from a page of another site.",
		"Send it from Belfry's own pages, or use an API token outside the browser."},
	{CodeSignIn, Unauthenticated, "sign-in failed", "The address, password or link is not valid, or was used already.",
		"Ask for a new link: `belfry login-link` prints one for operators."},
	{CodeEventConflict, Conflict, "event id reused",
		"An event with this id is in the record with other content. The stored one stays as it is.",
		"An id belongs to one event for ever: give the new event a new id."},
	{CodeProductForbidden, Forbidden, "product of another team", "The producer's catalogue does not have this product.",
		"Publish only products of your catalogue; `belfry catalog apply` declares one."},
	{CodeActionUndeclared, Invalid, "not in the catalogue",
		"The product is declared, and this resource type or action is not.", "Add it to the catalogue file and apply it."},
	{CodeSchemaMismatch, Invalid, "schema mismatch",
		"The value does not fit the JSON Schema that the catalogue declares.", "The message names the field and the rule."},
	{CodeReservedProduct, Forbidden, "reserved product", "The product name belongs to Belfry itself.",
		"Use a product name of your own."},
	{CodeUnknownAccount, Invalid, "unknown account", "The event names an account that does not exist.",
		"Use the 32-character id or ext:<external_id> of an existing account."},
	{CodeSigningStopped, Unavailable, "signing stopped",
		"The log's present content does not reproduce what was signed before. Belfry signs nothing for this account " +
			"until that is explained.", "Operators: see docs/guide/operate.md, 'Signing stopped'."},
	{CodeCatalogueInvalid, Invalid, "invalid catalogue", "The catalogue file has a fault.",
		"The message names the place in the file."},
	{CodeEventTime, Invalid, "impossible time", "occurred_at is not between 1970 and 24 hours ahead.",
		"Send the time at which it happened, RFC 3339."},
	{CodeReceiptImpossible, Invalid, "no receipt", "A receipt cannot be given for this answer.",
		"Ask for a proof of the event instead."},
	{CodeMissingFilter, Invalid, "missing filter", "The alert type needs a filter that the policy does not have.",
		"Add the filter that the message names."},
	{CodeNotEntitled, Forbidden, "not entitled", "The account is not entitled to this.", "Ask the operators."},
}
