package ingest

import (
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// Status is the outcome of one item.
type Status string

// The outcomes.
const (
	Accepted  Status = "accepted"
	Duplicate Status = "duplicate" // stored before, with the same content
	Conflict  Status = "conflict"  // its id is stored with other content
	Rejected  Status = "rejected"
)

// Counts are the items of a request by outcome; it is the answer's result_info.
type Counts struct {
	Accepted  int `json:"accepted"`
	Duplicate int `json:"duplicate"`
	Conflict  int `json:"conflict"`
	Rejected  int `json:"rejected"`
}

// Add counts one item.
func (c *Counts) Add(s Status) {
	switch s {
	case Accepted:
		c.Accepted++
	case Duplicate:
		c.Duplicate++
	case Conflict:
		c.Conflict++
	case Rejected:
		c.Rejected++
	}
}

// HTTPStatus is the status of the answer: 200 when at least one item is stored,
// 409 when all are conflicts, else 400.
func (c Counts) HTTPStatus() int {
	switch {
	case c.Accepted+c.Duplicate > 0:
		return 200
	case c.Conflict > 0 && c.Rejected == 0:
		return 409
	default:
		return 400
	}
}

// ItemResult is the answer to one item, for the API document; features with
// further members embed it.
type ItemResult struct {
	Index  int           `json:"index"`
	ID     string        `json:"id"`
	Status Status        `json:"status" enum:"accepted,duplicate,conflict,rejected"`
	Errors []ItemProblem `json:"errors,omitempty"`
}

// ItemProblem is one reason why an item was refused.
type ItemProblem struct {
	Code    int        `json:"code"`
	Message string     `json:"message"`
	Source  ItemSource `json:"source"`
}

// ItemSource locates a problem in its item.
type ItemSource struct {
	Pointer string `json:"pointer,omitempty" doc:"RFC 6901, in the item"`
}

// Problems describes the faults of one item.
func Problems(list errs.List) []ItemProblem {
	out := make([]ItemProblem, len(list))
	for i, e := range list {
		out[i] = ItemProblem{Code: int(e.Code), Message: e.Message, Source: ItemSource{Pointer: e.Pointer}}
	}
	return out
}

// Locate adds the item's index to the fault's pointer, where the request is a
// list: /total of item 3 becomes /3/total.
func (it Items) Locate(index int, fault *errs.Error) *errs.Error {
	if !it.List {
		return fault
	}
	at := *fault
	at.Pointer = it.At + "/" + strconv.Itoa(index) + fault.Pointer
	return &at
}

// Result is the outcome of one item.
type Result struct {
	ID     string
	Status Status
	Faults errs.List
	// More holds further members as encoded JSON, each after a comma: `,"seq":5`.
	// Add copies it, so one buffer serves all items.
	More []byte
}

// maxFaults limits the faults that the envelope repeats; each result has its own.
const maxFaults = 20

// Answer gathers the results of one request, in the order of its items. It
// encodes them by hand, because this is the hot path of the audit log.
type Answer struct {
	items  Items
	count  int
	counts Counts
	json   []byte    // the array of results so far
	faults errs.List // for the envelope
}

// Answer begins the answer to a request.
func (it Items) Answer() *Answer {
	return &Answer{items: it, json: make([]byte, 0, 128*len(it.Values)+2)}
}

// Add appends the result of the next item.
func (a *Answer) Add(r Result) {
	index := a.count
	a.count++
	a.counts.Add(r.Status)
	for _, e := range r.Faults {
		if len(a.faults) == maxFaults {
			break
		}
		a.faults = append(a.faults, a.items.Locate(index, e))
	}

	separator := byte(',')
	if index == 0 {
		separator = '['
	}
	a.json = append(a.json, separator)
	b := a.json
	b = append(b, `{"index":`...)
	b = strconv.AppendInt(b, int64(index), 10)
	b = append(b, `,"id":`...)
	b = quote(b, r.ID)
	b = append(b, `,"status":"`...)
	b = append(b, r.Status...)
	b = append(b, '"')
	b = append(b, r.More...)
	if len(r.Faults) > 0 {
		b = appendProblems(b, r.Faults)
	}
	b = append(b, '}')
	a.json = b
}

func appendProblems(b []byte, list errs.List) []byte {
	b = append(b, `,"errors":`...)
	separator := byte('[')
	for _, e := range list {
		b = append(b, separator)
		b = append(b, `{"code":`...)
		b = strconv.AppendInt(b, int64(e.Code), 10)
		b = append(b, `,"message":`...)
		b = quote(b, e.Message)
		b = append(b, `,"source":{"pointer":`...)
		b = quote(b, e.Pointer)
		b = append(b, "}}"...)
		separator = ','
	}
	return append(b, ']')
}

// quote appends a JSON string; invalid UTF-8 is replaced.
func quote(b []byte, s string) []byte {
	out, err := jsontext.AppendQuote(b, s)
	if err != nil {
		out, _ = jsontext.AppendQuote(b, strings.ToValidUTF8(s, "\uFFFD"))
	}
	return out
}

// Envelope is the answer to send: the results, and the counts as result_info.
// It lists errors only when no item is stored.
func (a *Answer) Envelope() web.Envelope {
	if a.count == 0 {
		a.json = append(a.json, '[')
	}
	info, _ := json.Marshal(a.counts) // four numbers
	env := web.Envelope{Result: append(a.json, ']'), Info: info}
	if status := a.counts.HTTPStatus(); status != 200 {
		env.Status = status
		env.Errors = a.faults
	}
	return env
}
