package traffic

import (
	"bytes"
	"strings"
	"time"
)

// parseEnvoy reads a line of Envoy's access log: its default text format, that of
// Istio, or JSON with the usual names.
//
//	[2016-04-15T20:17:00.310Z] "POST /api HTTP/2" 204 - 154 0 226 100 "10.0.35.28"
//	  "agent" "request id" "authority" "tcp://10.0.2.1:80"
func parseEnvoy(line []byte) (Entry, error) {
	if start := bytes.TrimLeft(line, " \t"); len(start) > 0 && start[0] == '{' {
		return parseEnvoyJSON(line)
	}
	return parseEnvoyText(line)
}

func parseEnvoyJSON(line []byte) (e Entry, err error) {
	var l struct {
		Start     scalar `json:"start_time"`
		AtStamp   scalar `json:"@timestamp"`
		Stamp     scalar `json:"timestamp"`
		Time      scalar `json:"time"`
		Status    scalar `json:"response_code"`
		Short     scalar `json:"status"`
		Flags     scalar `json:"response_flags"`
		Authority scalar `json:"authority"`
		Pseudo    scalar `json:":authority"`
		Host      scalar `json:"host"`
		Server    scalar `json:"requested_server_name"`
		Upstream  scalar `json:"upstream_host"`
		Took      scalar `json:"duration"`
	}
	if err := decodeLine(line, &l); err != nil {
		return e, err
	}
	if firstOf(l.Status, l.Short) == "" {
		return e, notLine("the line has no response_code")
	}
	if e.Status, err = statusOr0(firstOf(l.Status, l.Short)); err != nil {
		return e, err
	}
	at := firstOf(l.Start, l.AtStamp, l.Stamp, l.Time)
	if at == "" {
		return e, notLine("the line has none of start_time, @timestamp, timestamp and time")
	}
	if e.At, err = moment(at); err != nil {
		return e, err
	}
	e.Hostname = hostOf(firstOf(l.Authority, l.Pseudo, l.Host, l.Server))
	e.Origin = strings.TrimPrefix(firstOf(l.Upstream), "tcp://")
	e.Reason = firstOf(l.Flags)
	// A number of milliseconds, or text such as "226" or "0.226s".
	took := firstOf(l.Took)
	if d, err := time.ParseDuration(took); err == nil && d > 0 && d <= maxTook {
		e.Took = d
		e.Timed = true
	} else {
		e.took(took, time.Millisecond)
	}
	return e, nil
}

// Fields after the three numbers of a line of text: bytes received, bytes sent,
// duration.
const (
	envoyTook      = 2
	envoyAuthority = 7
	envoyUpstream  = 8
)

func parseEnvoyText(line []byte) (e Entry, err error) {
	from, ok := 0, false
	for {
		i := bytes.IndexByte(line[from:], '[')
		if i < 0 {
			break
		}
		from += i + 1
		end := bytes.IndexByte(line[from:], ']')
		if end < 0 {
			break
		}
		if e.At, ok = rfc3339(string(line[from : from+end])); ok {
			from += end + 1
			break
		}
	}
	if !ok {
		return e, notLine("there is no time such as [2016-04-15T20:17:00.310Z]")
	}

	// Envoy does not escape quotes. A path cannot hold a space, so the request has three
	// words, and its end is known whatever the path holds.
	rest := bytes.TrimLeft(line[from:], " ")
	if len(rest) == 0 || rest[0] != '"' {
		return e, notLine("there is no quoted request behind the time")
	}
	for range 2 {
		space := bytes.IndexByte(rest, ' ')
		if space < 0 {
			return e, notLine("the quoted request has no end")
		}
		rest = rest[space+1:]
	}
	quote := bytes.IndexByte(rest, '"')
	if quote < 0 {
		return e, notLine("the quoted request has no end")
	}
	list, complete := splitFields(rest[quote+1:])
	if len(list) < 2 {
		return e, notLine("there are no status and response flags behind the request")
	}
	if e.Status, err = statusOr0(list[0].text); err != nil {
		return e, err
	}
	e.Reason = field(list, 1)
	numbers := 2
	for numbers+envoyTook < len(list) && !(isNumber(list[numbers].text) && isNumber(list[numbers+1].text) &&
		isNumber(list[numbers+envoyTook].text)) {
		numbers++ // Istio's details of the response
	}
	if numbers+envoyTook >= len(list) {
		return e, notLine("the line was cut: it has no bytes received, bytes sent and duration")
	}
	e.took(list[numbers+envoyTook].text, time.Millisecond)
	authority, upstream := numbers+envoyAuthority, numbers+envoyUpstream
	if !complete || !quotedFrom(list, numbers+envoyTook+2, upstream) {
		// A quote in the user agent moves the fields; in the default format the last two are
		// known from the end.
		end := len(list) - 1
		if !complete || end < upstream || !list[end].quoted || !list[end-1].quoted {
			return e, notLine("the line was cut, or a field holds a quote, which Envoy's text format does not escape (its " +
				"JSON format does)")
		}
		authority = end - 1
		upstream = end
	}
	e.Hostname = hostOf(field(list, authority))
	e.Origin = strings.TrimPrefix(field(list, upstream), "tcp://")
	return e, nil
}

// quotedFrom reports whether all fields from the first to the last that the line has
// are in quotes.
func quotedFrom(list []textField, first, last int) bool {
	for i := first; i <= last && i < len(list); i++ {
		if !list[i].quoted {
			return false
		}
	}
	return true
}
