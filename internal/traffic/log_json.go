package traffic

import (
	"bytes"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// scalar is a string or a number: log formats write either.
type scalar string

// UnmarshalJSONFrom takes strings, numbers and null; anything else is left out
// as if it were not there.
func (s *scalar) UnmarshalJSONFrom(dec *jsontext.Decoder) error {
	v, err := dec.ReadValue()
	if err != nil {
		return err
	}
	switch v.Kind() {
	case '"':
		b, err := jsontext.AppendUnquote(nil, v)
		if err != nil {
			return err
		}
		*s = scalar(b)
	case '0':
		*s = scalar(v)
	}
	return nil
}

// firstOf returns the first value that is set; nginx writes "-" for none.
func firstOf(list ...scalar) string {
	for _, s := range list {
		if s != "" && s != "-" {
			return string(s)
		}
	}
	return ""
}

// lenient decodes the lines of web servers, which may hold bytes that are not
// UTF-8 and duplicate names.
var lenient = json.JoinOptions(jsontext.AllowInvalidUTF8(true), jsontext.AllowDuplicateNames(true))

func decodeLine(line []byte, into any) error {
	if err := json.Unmarshal(line, into, lenient); err != nil {
		e := aCount.Fault(err)
		e.Code = errs.CodeInvalidJSON
		e.Message = "the line is not one JSON object: " + e.Message
		if bytes.Contains(line, []byte("}{")) {
			e.Message += " (were its line breaks lost? curl keeps them with --data-binary)"
		}
		return e
	}
	return nil
}

func parseStatus(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, notLine("the status %q is not a number", strict.Clip(s, 20))
	}
	return n, nil
}

// parseNginx reads a log_format of nginx's own variables by their names:
//
//	log_format json escape=json '{"time_iso8601":"$time_iso8601","host":"$host","status":$status,'
//	  '"upstream_addr":"$upstream_addr","upstream_status":"$upstream_status",'
//	  '"upstream_connect_time":"$upstream_connect_time"}';
//
// Required: status, and the time in one of time_iso8601, msec, time_local, time,
// timestamp, @timestamp and date, in any form that logs write. A request whose last
// upstream was never connected to (upstream_connect_time is "-" or empty) has the
// reason not-connected. The duration is request_time, else upstream_response_time.
func parseNginx(line []byte) (e Entry, err error) {
	var l struct {
		ISO     scalar  `json:"time_iso8601"`
		Msec    scalar  `json:"msec"`
		Local   scalar  `json:"time_local"`
		Time    scalar  `json:"time"`
		Stamp   scalar  `json:"timestamp"`
		AtStamp scalar  `json:"@timestamp"`
		Date    scalar  `json:"date"`
		Status  scalar  `json:"status"`
		Host    scalar  `json:"host"`
		HTTP    scalar  `json:"http_host"`
		Server  scalar  `json:"server_name"`
		Addr    scalar  `json:"upstream_addr"`
		Connect *scalar `json:"upstream_connect_time"`
		Took    scalar  `json:"request_time"`
		Asked   scalar  `json:"upstream_response_time"`
	}
	if err := decodeLine(line, &l); err != nil {
		return e, err
	}
	if e.Status, err = parseStatus(string(l.Status)); err != nil {
		return e, err
	}
	at := firstOf(l.ISO, l.Msec, l.Local, l.Time, l.Stamp, l.AtStamp, l.Date)
	if at == "" {
		return e, notLine("the line has none of time_iso8601, msec, time_local, time, timestamp, @timestamp and date")
	}
	if e.At, err = moment(at); err != nil {
		return e, err
	}
	e.Hostname = hostOf(firstOf(l.Host, l.HTTP, l.Server))
	// "10.0.0.1:80, 10.0.0.2:80": one after the other was tried.
	e.Origin = lastOf(firstOf(l.Addr))
	if l.Connect != nil {
		if last := lastOf(string(*l.Connect)); last == "" || last == "-" {
			e.Reason = reasonNotConnected
		}
	}
	if took := firstOf(l.Took); took != "" {
		e.took(took, time.Second)
	} else {
		e.tookSum(string(l.Asked))
	}
	return e, nil
}

// reasonNotConnected is the reason of requests for which nginx has no connection to
// an upstream: it could not connect, or did not need to.
const reasonNotConnected = "not-connected"

// took sets the duration from a number of units; a text that is none is no duration.
func (e *Entry) took(text string, unit time.Duration) {
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || !(n >= 0) || n > float64(maxTook/unit) {
		return
	}
	e.Took = time.Duration(math.Round(n * float64(unit)))
	e.Timed = true
}

// maxTook is the longest duration of a request that is counted: a longer one is a
// fault of the log.
const maxTook = 7 * 24 * time.Hour

// tookSum sets the duration from nginx's list of the times of upstreams, which were
// asked one after another: "0.010, 0.020 : 0.100".
func (e *Entry) tookSum(list string) {
	var sum Entry
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ':' || r == ' ' }) {
		var one Entry
		if one.took(word, time.Second); one.Timed {
			sum.Took += one.Took
			sum.Timed = true
		}
	}
	e.Took = sum.Took
	e.Timed = sum.Timed
}

// lastOf returns the last of nginx's list of upstreams, whose groups are separated
// by a colon.
func lastOf(list string) string {
	if i := strings.LastIndex(list, ", "); i >= 0 {
		list = list[i+2:]
	}
	if i := strings.LastIndex(list, " : "); i >= 0 {
		list = list[i+3:]
	}
	return strings.TrimSpace(list)
}

// What the lines of Caddy's access logs have; http.log.access.log0 is one of
// several logs.
const (
	caddyLogger  = "http.log.access"
	caddyMessage = "handled request"
)

// parseCaddy reads Caddy's JSON access log: ts, status, request.host. Lines of
// other loggers, such as http.log.error, tell of the same requests.
func parseCaddy(line []byte) (e Entry, err error) {
	var l struct {
		TS      scalar `json:"ts"`
		Logger  scalar `json:"logger"`
		Message scalar `json:"msg"`
		Status  scalar `json:"status"`
		Took    scalar `json:"duration"`
		Request *struct {
			Host scalar `json:"host"`
		} `json:"request"`
	}
	if err := decodeLine(line, &l); err != nil {
		return e, err
	}
	if l.Logger != "" && l.Logger != caddyLogger && !strings.HasPrefix(string(l.Logger), caddyLogger+".") {
		return e, notLine("the line is not of an access log: its logger is %q", strict.Clip(string(l.Logger), 40))
	}
	if l.Logger == "" && l.Message != "" && l.Message != caddyMessage {
		return e, notLine("the line is not of an access log: its message is %q", strict.Clip(string(l.Message), 40))
	}
	if l.Request == nil || l.Status == "" {
		return e, notLine("the line is not of an access log: it has no request or no status")
	}
	if e.Status, err = parseStatus(string(l.Status)); err != nil {
		return e, err
	}
	if e.At, err = moment(string(l.TS)); err != nil {
		return e, err
	}
	e.Hostname = hostOf(string(l.Request.Host))
	// Seconds, or with duration_format string "1.5ms".
	if d, err := time.ParseDuration(string(l.Took)); err == nil && d >= 0 && d <= maxTook {
		e.Took = d
		e.Timed = true
	} else {
		e.took(string(l.Took), time.Second)
	}
	return e, nil
}

// parseLogpush reads a line of Logpush's http_requests. OriginResponseStatus 0 means
// that the origin was not asked.
func parseLogpush(line []byte) (e Entry, err error) {
	var l struct {
		Start  scalar `json:"EdgeStartTimestamp"`
		Edge   scalar `json:"EdgeResponseStatus"`
		Origin scalar `json:"OriginResponseStatus"`
		Zone   scalar `json:"ZoneName"`
		Host   scalar `json:"ClientRequestHost"`
		IP     scalar `json:"OriginIP"`
		Took   scalar `json:"OriginResponseDurationMs"`
	}
	if err := decodeLine(line, &l); err != nil {
		return e, err
	}
	if l.Edge == "" {
		return e, notLine("the line has no EdgeResponseStatus")
	}
	if e.Status, err = parseStatus(string(l.Edge)); err != nil {
		return e, err
	}
	if e.At, err = moment(string(l.Start)); err != nil {
		return e, err
	}
	e.Zone = string(l.Zone)
	e.Hostname = hostOf(string(l.Host))
	e.Origin = string(l.IP)
	if l.Origin == "" { // the job does not send it: the edge decides alone
		e.took(string(l.Took), time.Millisecond)
		return e, nil
	}
	if e.OriginStatus, err = parseStatus(string(l.Origin)); err != nil {
		return e, err
	}
	if e.OriginStatus == 0 {
		e.OriginStatus = NotAsked
		return e, nil
	}
	e.took(string(l.Took), time.Millisecond)
	return e, nil
}

// moment reads a time as logs write it: RFC 3339, Unix seconds, milliseconds or
// nanoseconds with or without a fraction, the common log format, or Caddy's wall
// time.
func moment(s string) (int64, error) {
	if s == "" {
		return 0, notLine("the line has no time")
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return bounded(n/int64(unitOf(float64(n))), s)
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil {
		if math.IsNaN(f) || math.Abs(f) > 1e19 {
			return 0, notLine("%q is not a time", strict.Clip(s, 40))
		}
		return bounded(int64(math.Floor(f/unitOf(f))), s)
	}
	if sec, ok := parseCLF([]byte(strings.Trim(s, "[]"))); ok {
		return bounded(sec, s)
	}
	for _, layout := range []string{
		time.RFC3339Nano,
		"2006-01-02T15:04:05.999999999Z0700",
		"2006-01-02 15:04:05.999999999Z07:00",
		"2006/01/02 15:04:05.999999999",
		"2006-01-02 15:04:05.999999999",
	} {
		if t, err := time.Parse(layout, s); err == nil {
			return bounded(t.Unix(), s)
		}
	}
	return 0, notLine("%q is not a time: RFC 3339, Unix seconds, milliseconds or nanoseconds, or "+
		"17/May/2015:10:05:03 +0000", strict.Clip(s, 40))
}

// unitOf is how many of a number's units a second has. Seconds reach 1e11 in the
// year 5138.
func unitOf(n float64) float64 {
	switch {
	case n > 1e15:
		return 1e9
	case n > 1e11:
		return 1e3
	}
	return 1
}

func bounded(sec int64, s string) (int64, error) {
	if sec < 0 || sec > 1<<36 {
		return 0, notLine("%q is not a time of a request", strict.Clip(s, 40))
	}
	return sec, nil
}
