package traffic

import (
	"bytes"
	"strings"
	"time"
)

// parseCombined reads a line of Apache's common, combined or vhost_combined
// format, which nginx's "combined" is too:
//
//	192.0.2.7 - ana [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 203023 "referer" "agent"
//
// What stands behind the status is not looked at: agents hold anything.
func parseCombined(line []byte) (e Entry, err error) {
	at, rest, ok := bracketTime(line, &e.At)
	if !ok {
		return e, notLine("there is no time such as [17/May/2015:10:05:03 +0000]")
	}
	head := strings.Fields(string(line[:at]))
	if len(head) == 0 {
		return e, notLine("there is no client before the time")
	}
	if len(head) >= 4 && strings.Contains(head[0], ".") && strings.Contains(head[0], ":") && !strings.Contains(head[0], "::") {
		e.Hostname = hostOf(head[0]) // vhost_combined begins with host:port
	}
	rest = bytes.TrimLeft(rest, " ")
	if len(rest) == 0 || rest[0] != '"' {
		return e, notLine("there is no quoted request behind the time")
	}
	end := closingQuote(rest[1:])
	if end < 0 {
		return e, notLine("the quoted request has no end")
	}
	rest = bytes.TrimLeft(rest[end+2:], " ")
	if len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' {
		return e, notLine("there is no status of three digits behind the request")
	}
	for _, c := range rest[:3] {
		if c < '0' || c > '9' {
			return e, notLine("there is no status of three digits behind the request")
		}
		e.Status = 10*e.Status + int(c-'0')
	}
	e.classify()
	return e, nil
}

// closingQuote finds the quote that ends a text in which \" does not.
func closingQuote(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

const clfTime = "02/Jan/2006:15:04:05 -0700"

// bracketTime finds the first [time] and gives where its bracket stands, and
// what follows it.
func bracketTime(line []byte, at *int64) (bracket int, rest []byte, ok bool) {
	for from := 0; ; {
		i := bytes.IndexByte(line[from:], '[')
		if i < 0 {
			return 0, nil, false
		}
		i += from
		end := i + 1 + len(clfTime)
		if end < len(line) && line[end] == ']' {
			if sec, ok := parseCLF(line[i+1 : end]); ok {
				*at = sec
				return i, line[end+1:], true
			}
		}
		from = i + 1
	}
}

// parseCLF reads 17/May/2015:10:05:03 +0000. By hand: it is most of the work of
// a line.
func parseCLF(b []byte) (int64, bool) {
	if b[2] != '/' || b[6] != '/' || b[11] != ':' || b[14] != ':' || b[17] != ':' || b[20] != ' ' || b[21] != '+' && b[21] != '-' {
		return 0, false
	}
	month := strings.Index("JanFebMarAprMayJunJulAugSepOctNovDec", string(b[3:6]))
	if month < 0 || month%3 != 0 {
		return 0, false
	}
	bad := false
	number := func(from, to int) int {
		n := 0
		for _, c := range b[from:to] {
			bad = bad || c < '0' || c > '9'
			n = 10*n + int(c-'0')
		}
		return n
	}
	day, year, hour, minute, second := number(0, 2), number(7, 11), number(12, 14), number(15, 17), number(18, 20)
	zone := (number(22, 24)*60 + number(24, 26)) * 60
	if bad || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 || zone > 24*3600 {
		return 0, false
	}
	if b[21] == '-' {
		zone = -zone
	}
	return time.Date(year, time.Month(month/3+1), day, hour, minute, second, 0, time.UTC).Unix() - int64(zone), true
}
