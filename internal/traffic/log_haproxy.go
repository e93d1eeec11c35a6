package traffic

import (
	"bytes"
	"cmp"
	"strings"
	"time"
)

// parseHAProxy reads a line of HAProxy's option httplog, with or without what syslog
// writes before it:
//
//	10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750
//	  - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1"
//
// Its time names no time zone: it is that of zone, unless syslog's time before it has
// one.
func parseHAProxy(line []byte, zone *time.Location) (e Entry, err error) {
	at, from, ok := haproxyTime(line, zone)
	if !ok {
		return e, notLine("there is no time such as [06/Feb/2009:12:14:14.655]")
	}
	e.At = at

	// A quote in the request is written as #22, so the request is all that is quoted; some
	// daemons of syslog write \" for the quotes around it.
	rest := line[from:]
	quote := bytes.IndexByte(rest, '"')
	if quote < 0 {
		return e, notLine("there is no quoted request: the line was cut, or is not of option httplog")
	}
	request := strings.TrimRight(string(rest[quote+1:]), `"\ `)
	rest = bytes.TrimRight(rest[:quote], `\ `)
	list := strings.Fields(string(rest))
	// frontend backend/server timers status bytes cookie cookie state connections queues
	const status, state = 3, 7
	if len(list) < 10 || strings.Count(list[2], "/") != 4 {
		return e, notLine("the line is not of option httplog: there are no five times such as 10/0/30/69/109")
	}
	if e.Status, err = statusOr0(list[status]); err != nil {
		return e, err
	}
	if server := list[1][strings.IndexByte(list[1], '/')+1:]; server != "<NOSRV>" && server != "<STATS>" {
		e.Origin = list[1]
	}
	total := list[2][strings.LastIndexByte(list[2], '/')+1:]
	e.took(strings.TrimPrefix(total, "+"), time.Millisecond)
	if flags := list[state]; len(flags) >= 2 && flags[:2] != "--" {
		e.Reason = flags[:2]
	}
	e.Hostname = cmp.Or(requestHost(request), capturedHost(string(rest)))
	return e, nil
}

// capturedHost is the first header that HAProxy captured of the request, if it is the
// name of a host: {www.example.com|agent}.
func capturedHost(rest string) string {
	_, captured, ok := strings.Cut(rest, " {")
	if !ok {
		return ""
	}
	end := strings.IndexAny(captured, "|}")
	if end < 0 {
		return ""
	}
	if host := hostOf(captured[:end]); isHost(host) {
		return host
	}
	return ""
}

// haproxyTime finds the time of a request, and where the rest of the line begins.
func haproxyTime(line []byte, zone *time.Location) (at int64, end int, ok bool) {
	for from := 0; ; {
		i := bytes.IndexByte(line[from:], '[')
		if i < 0 {
			return 0, 0, false
		}
		from += i + 1
		end := bytes.IndexByte(line[from:], ']')
		if end < 0 {
			return 0, 0, false
		}
		text := line[from : from+end]
		if len(text) < len("06/Feb/2009:12:14:14") {
			continue
		}
		if at, ok := parseCLF(text); ok { // a custom log-format with %T or %Tl
			return at, from + end + 1, true
		}
		// As in UTC; then the difference of the zone.
		if at, ok := parseCLF(append(append(make([]byte, 0, len(clfTime)), text[:20]...), " +0000"...)); ok {
			return at - zoneOffset(line[:from], at, zone), from + end + 1, true
		}
	}
}

// zoneOffset is the difference of a local time to UTC in seconds: that of syslog's time
// at the beginning of the line (RFC 3339), else that of zone.
func zoneOffset(before []byte, local int64, zone *time.Location) int64 {
	first := before
	if bytes.HasPrefix(first, []byte("<")) { // RFC 5424: <134>1 2003-10-11T22:14:15.003Z
		_, first, _ = bytes.Cut(first, []byte(" "))
	}
	first, _, _ = bytes.Cut(first, []byte(" "))
	if len(first) >= 20 && first[10] == 'T' {
		if t, err := time.Parse(time.RFC3339Nano, string(first)); err == nil {
			_, offset := t.Zone()
			return int64(offset)
		}
	}
	if zone == nil || zone == time.UTC {
		return 0
	}
	t := time.Unix(local, 0).UTC()
	there := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, zone)
	return local - there.Unix()
}
