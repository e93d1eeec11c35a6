package traffic

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"time"
)

// Fields of a line of an Application Load Balancer.
const (
	albType       = 0
	albTime       = 1
	albTarget     = 4
	albTook       = 6 // target_processing_time, in seconds; -1 = the request was not dispatched
	albStatus     = 8
	albTargetCode = 9
	albRequest    = 12
	albDomain     = 18
	albError      = 24
)

// The reasons of an Application Load Balancer for which its own log has no word.
const (
	reasonNoTarget      = "no-target"      // there was none to which the request could go
	reasonNotDispatched = "not-dispatched" // a target was chosen; it took no connection, or closed it
)

// parseALB reads a line of an AWS Application Load Balancer:
//
//	https 2018-07-02T22:23:00.186641Z app/my-lb/50dc6c495c0c9188 192.168.131.39:2817
//	  10.0.0.1:80 0.086 0.048 0.037 200 200 0 57 "GET https://www.example.com:443/ HTTP/1.1" ...
func parseALB(line []byte) (e Entry, err error) {
	list, complete := splitFields(line)
	if len(list) == 0 || !slices.Contains([]string{"http", "https", "h2", "grpcs", "ws", "wss"}, list[albType].text) {
		return e, notLine("the line does not begin with http, https, h2, grpcs, ws or wss: it is not of an Application " +
			"Load Balancer")
	}
	if len(list) <= albRequest || !complete && len(list) <= albDomain {
		return e, notLine("the line was cut: it has %d fields, and the request is the %dth", len(list), albRequest+1)
	}
	var ok bool
	if e.At, ok = rfc3339(list[albTime].text); !ok {
		return e, notLine("the second field is not a time such as 2018-07-02T22:23:00.186641Z")
	}
	if e.Status, err = statusOr0(list[albStatus].text); err != nil {
		return e, err
	}
	if e.OriginStatus, err = statusOr0(list[albTargetCode].text); err != nil {
		return e, err
	}
	e.Origin = field(list, albTarget)
	e.Hostname = cmp.Or(requestHost(list[albRequest].text), hostOf(field(list, albDomain)))
	e.took(list[albTook].text, time.Second)
	e.Reason = field(list, albError)
	if e.Reason == "" && e.OriginStatus == 0 {
		switch {
		case e.Origin == "":
			e.Reason = reasonNoTarget
		case !e.Timed:
			e.Reason = reasonNotDispatched
		}
	}
	return e, nil
}

// cloudFrontFields are the positions of the fields that are read, in a line of a
// CloudFront log with the present header; -1 = the log does not have it.
type cloudFrontFields struct {
	known                                                           bool
	date, clock, host, domain, status, took, result, detail, millis int
}

// cloudFrontStandard is the header of standard logs. A file that was cut, or that is
// read in parts, is read by it until another header comes.
const cloudFrontStandard = "date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status " +
	"cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol " +
	"cs-bytes time-taken x-forwarded-for ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version " +
	"fle-status fle-encrypted-fields c-port time-to-first-byte x-edge-detailed-result-type sc-content-type " +
	"sc-content-len sc-range-start sc-range-end"

const cloudFrontHeader = "#Fields:"

func newCloudFrontFields(header string) cloudFrontFields {
	names := strings.Fields(header)
	at := func(name string) int { return slices.Index(names, name) }
	return cloudFrontFields{
		known:  true,
		date:   at("date"),
		clock:  at("time"),
		host:   at("x-host-header"),
		domain: at("cs(Host)"),
		status: at("sc-status"),
		took:   at("time-taken"),
		result: at("x-edge-result-type"),
		detail: at("x-edge-detailed-result-type"),
		millis: at("timestamp(ms)"),
	}
}

var cloudFrontDefault = newCloudFrontFields(cloudFrontStandard)

// Header is the last header that the parser has read, for [Parser.SetHeader] of another
// parser that goes on in the same log.
func (p *Parser) Header() string { return p.header }

// SetHeader sets the names of the log's fields, as [Parser.Header] returned them.
func (p *Parser) SetHeader(header string) {
	p.header = header
	p.fields = cloudFrontFields{}
	if header != "" {
		p.fields = newCloudFrontFields(header)
	}
}

// maxHeader limits a header, which the positions of belfry tail keep.
const maxHeader = 4096

// parseCloudFront reads a line of CloudFront's standard logs: W3C with tabs and its
// #Fields header, or JSON.
func (p *Parser) parseCloudFront(line []byte) (e Entry, err error) {
	start := bytes.TrimLeft(line, " \t")
	if len(start) > 0 && start[0] == '{' {
		return parseCloudFrontJSON(line)
	}
	if len(line) > 0 && line[0] == '#' {
		if header, ok := bytes.CutPrefix(line, []byte(cloudFrontHeader)); ok {
			if len(header) > maxHeader {
				return e, notLine("the header has more than %d bytes", maxHeader)
			}
			p.SetHeader(strings.TrimSpace(string(header)))
			if p.fields.status < 0 || p.fields.date < 0 && p.fields.millis < 0 {
				return e, notLine("the header of the log names no sc-status, or no date")
			}
		}
		return e, errNoRequest
	}
	fields := &p.fields
	if !fields.known {
		fields = &cloudFrontDefault
	}

	var l cloudFrontLine
	at := 0
	for text := string(line); ; at++ {
		value, rest, more := strings.Cut(text, "\t")
		l.set(fields, at, value)
		if !more {
			break
		}
		text = rest
	}
	if at < fields.status {
		return e, notLine("the line has %d fields between tabs, and sc-status is the %dth: it was cut, or is not of "+
			"CloudFront", at+1, fields.status+1)
	}
	return l.entry()
}

// cloudFrontLine has the texts of the fields that are read.
type cloudFrontLine struct{ date, clock, host, domain, status, took, result, detail, millis string }

func (l *cloudFrontLine) set(f *cloudFrontFields, at int, value string) {
	if value == "-" {
		return
	}
	switch at {
	case f.date:
		l.date = value
	case f.clock:
		l.clock = value
	case f.host:
		l.host = value
	case f.domain:
		l.domain = value
	case f.status:
		l.status = value
	case f.took:
		l.took = value
	case f.result:
		l.result = value
	case f.detail:
		l.detail = value
	case f.millis:
		l.millis = value
	}
}

func (l *cloudFrontLine) entry() (e Entry, err error) {
	var ok bool
	if l.date != "" {
		e.At, ok = dateTime(l.date, l.clock)
	} else if l.millis != "" {
		e.At, err = moment(l.millis)
		ok = err == nil
	}
	if !ok {
		return e, notLine("date and time are not such as 2019-12-04 and 21:02:31")
	}
	if e.Status, err = statusOr0(l.status); err != nil {
		return e, err
	}
	e.Hostname = hostOf(cmp.Or(l.host, l.domain))
	e.took(l.took, time.Second)
	e.Reason = cmp.Or(l.detail, l.result)
	return e, nil
}

func parseCloudFrontJSON(line []byte) (e Entry, err error) {
	var l struct {
		Date   scalar `json:"date"`
		Clock  scalar `json:"time"`
		Millis scalar `json:"timestamp(ms)"`
		Stamp  scalar `json:"timestamp"`
		Host   scalar `json:"x-host-header"`
		Domain scalar `json:"cs(Host)"`
		Status scalar `json:"sc-status"`
		Took   scalar `json:"time-taken"`
		Result scalar `json:"x-edge-result-type"`
		Detail scalar `json:"x-edge-detailed-result-type"`
	}
	if err := decodeLine(line, &l); err != nil {
		return e, err
	}
	if l.Status == "" {
		return e, notLine("the line has no sc-status")
	}
	out := cloudFrontLine{
		date:   firstOf(l.Date),
		clock:  firstOf(l.Clock),
		millis: firstOf(l.Millis, l.Stamp),
		host:   firstOf(l.Host),
		domain: firstOf(l.Domain),
		status: string(l.Status),
		took:   firstOf(l.Took),
		result: firstOf(l.Result),
		detail: firstOf(l.Detail),
	}
	return out.entry()
}
