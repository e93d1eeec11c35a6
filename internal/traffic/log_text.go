package traffic

import (
	"bytes"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// textField is one field of a line of text.
type textField struct {
	text   string
	quoted bool
}

// splitFields splits a line into fields that are separated by spaces; a field in double
// quotes may hold spaces, and a backslash protects its next character. A line that
// was cut inside of quotes has ok false.
func splitFields(line []byte) (list []textField, ok bool) {
	list = make([]textField, 0, 32)
	for {
		line = bytes.TrimLeft(line, " ")
		switch {
		case len(line) == 0:
			return list, true
		case line[0] == '"':
			end := closingQuote(line[1:])
			if end < 0 {
				return list, false
			}
			list = append(list, textField{string(line[1 : 1+end]), true})
			line = line[end+2:]
		default:
			end := bytes.IndexByte(line, ' ')
			if end < 0 {
				end = len(line)
			}
			list = append(list, textField{text: string(line[:end])})
			line = line[end:]
		}
	}
}

// field is the text of a field; empty where the line has none, or "-".
func field(list []textField, i int) string {
	if i >= len(list) || list[i].text == "-" {
		return ""
	}
	return list[i].text
}

// requestHost is the host of a request line with a whole URL, such as
// "GET https://www.example.com:443/ HTTP/1.1"; empty where the URL has none.
func requestHost(request string) string {
	_, target, _ := strings.Cut(request, " ")
	_, rest, ok := strings.Cut(target, "://")
	if !ok || strings.Contains(target[:len(target)-len(rest)], " ") {
		return ""
	}
	if end := strings.IndexAny(rest, "/?# "); end >= 0 {
		rest = rest[:end]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		rest = rest[i+1:]
	}
	if unescaped, err := url.PathUnescape(rest); err == nil {
		rest = unescaped
	}
	return hostOf(rest)
}

// statusOr0 reads the status of a proxy, which writes "-", -1 or 000 for none.
func statusOr0(s string) (int, error) {
	switch s {
	case "", "-", "-1", "0", "000":
		return 0, nil
	}
	return parseStatus(s)
}

// rfc3339 reads a time with seconds; by hand for the usual form in UTC, because it is
// most of the work of a line: 2018-07-02T22:23:00.186641Z.
func rfc3339(s string) (int64, bool) {
	if len(s) >= 20 && s[4] == '-' && s[7] == '-' && (s[10] == 'T' || s[10] == ' ') && s[13] == ':' && s[16] == ':' &&
		s[len(s)-1] == 'Z' {
		if sec, ok := dateTime(s[:10], s[11:19]); ok && (s[19] == 'Z' || s[19] == '.') {
			return sec, true
		}
	}
	sec, err := moment(s)
	return sec, err == nil
}

// dateTime reads 2019-12-04 and 21:02:31, in UTC.
func dateTime(date, clock string) (int64, bool) {
	if len(date) != 10 || len(clock) != 8 || date[4] != '-' || date[7] != '-' || clock[2] != ':' || clock[5] != ':' {
		return 0, false
	}
	bad := false
	number := func(s string) int {
		n := 0
		for i := range len(s) {
			bad = bad || s[i] < '0' || s[i] > '9'
			n = 10*n + int(s[i]-'0')
		}
		return n
	}
	year := number(date[:4])
	month := number(date[5:7])
	day := number(date[8:])
	hour := number(clock[:2])
	minute := number(clock[3:5])
	second := number(clock[6:])
	if bad || year < 1970 || month < 1 || month > 12 || hour > 23 || minute > 59 || second > 60 {
		return 0, false
	}
	at := time.Date(year, time.Month(month), day, 0, 0, 0, 0, time.UTC)
	if at.Day() != day { // February 31st
		return 0, false
	}
	return at.Unix() + int64(3600*hour+60*minute+second), true
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 63)
	return err == nil
}
