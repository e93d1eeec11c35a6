package traffic

import (
	"bytes"
	"net/netip"
	"strings"
	"time"
)

// parseCombined reads a line of Apache's common, combined or vhost_combined
// format, which nginx's "combined" is too:
//
//	192.0.2.7 - ana [17/May/2015:10:05:03 +0000] "GET / HTTP/1.1" 200 203023 "referer" "agent"
//
// A user's name is free text and may look like a time: what counts is the first
// time with a request behind it. The text after the status is only searched
// for another request.
func parseCombined(line []byte) (e Entry, err error) {
	var first error
	for from := 0; ; {
		at, end, ok := bracketTime(line, from, &e.At)
		if !ok {
			break
		}
		var rest []byte
		e.Status, rest, err = requestStatus(line[end:])
		if err == nil {
			if joined(rest) {
				return e, notLine("the line holds more than one request: its line breaks were lost (curl keeps them with " +
					"--data-binary)")
			}
			err := e.head(line[:at])
			return e, err
		}
		if first == nil {
			first = err
		}
		from = end
	}
	if first == nil {
		first = notLine("there is no time such as [17/May/2015:10:05:03 +0000]")
	}
	return e, first
}

// head reads the fields before the time.
func (e *Entry) head(text []byte) error {
	words := strings.Fields(string(text))
	if len(words) == 0 {
		return notLine("there is no client before the time")
	}
	// vhost_combined begins with host:port, other formats with the host alone. A
	// line without it begins with the client, its address or its name, and "-".
	if len(words) >= 4 && isClient(words[1]) && isHost(hostOf(words[0])) {
		e.Hostname = hostOf(words[0])
	}
	return nil
}

// isClient reports whether a word may be the address or the name of a client.
func isClient(word string) bool {
	if _, err := netip.ParseAddr(hostOf(word)); err == nil {
		return true
	}
	return isHost(word)
}

// isHost reports whether a word is the name of a host, and neither a time nor an
// address: it has two labels or more, of which the last is not a number.
func isHost(word string) bool {
	labels := strings.Split(word, ".")
	if len(labels) < 2 || len(word) > maxRef {
		return false
	}
	for _, label := range labels {
		if label == "" || strings.ContainsFunc(label, func(r rune) bool {
			return r < 0x80 && r != '-' && r != '_' && (r < '0' || r > '9') && (r|0x20 < 'a' || r|0x20 > 'z')
		}) {
			return false
		}
	}
	last := labels[len(labels)-1]
	return last[0] < '0' || last[0] > '9'
}

// requestStatus reads "GET / HTTP/1.1" 200, which follows the time.
func requestStatus(text []byte) (status int, rest []byte, err error) {
	text = bytes.TrimLeft(text, " ")
	if len(text) == 0 || text[0] != '"' {
		return 0, nil, notLine("there is no quoted request behind the time")
	}
	end := closingQuote(text[1:])
	if end < 0 {
		return 0, nil, notLine("the quoted request has no end")
	}
	text = bytes.TrimLeft(text[end+2:], " ")
	if len(text) < 3 || len(text) > 3 && text[3] != ' ' {
		return 0, nil, notLine("there is no status of three digits behind the request")
	}
	for _, c := range text[:3] {
		if c < '0' || c > '9' {
			return 0, nil, notLine("there is no status of three digits behind the request")
		}
		status = 10*status + int(c-'0')
	}
	return status, text[3:], nil
}

// joined reports whether another request follows the status, outside of quotes.
func joined(rest []byte) bool {
	for {
		quote := bytes.IndexByte(rest, '"')
		plain := rest
		if quote >= 0 {
			plain = rest[:quote]
		}
		var at int64
		if _, end, ok := bracketTime(plain, 0, &at); ok {
			if _, _, err := requestStatus(rest[end:]); err == nil {
				return true
			}
		}
		if quote < 0 {
			return false
		}
		end := closingQuote(rest[quote+1:])
		if end < 0 {
			return false
		}
		rest = rest[quote+end+2:]
	}
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

// maxFraction is how long a fraction of a second may be: .123456789.
const maxFraction = 10

// bracketTime finds the first [time] from a position on, and returns the positions of its bracket and of its end.
func bracketTime(line []byte, from int, at *int64) (bracket, end int, ok bool) {
	for {
		i := bytes.IndexByte(line[from:], '[')
		if i < 0 {
			return 0, 0, false
		}
		i += from
		text := line[i+1 : min(len(line), i+1+len(clfTime)+maxFraction+1)]
		if end := bytes.IndexByte(text, ']'); end >= 0 {
			if sec, ok := parseCLF(text[:end]); ok {
				*at = sec
				return i, i + 1 + end + 1, true
			}
		}
		from = i + 1
	}
}

// parseCLF reads 17/May/2015:10:05:03 +0000, also with a fraction behind the
// second. By hand: it is most of the work of a line.
func parseCLF(b []byte) (int64, bool) {
	if len(b) > len(clfTime) && (b[20] == '.' || b[20] == ',') {
		digits := 21
		for digits < len(b) && b[digits] >= '0' && b[digits] <= '9' {
			digits++
		}
		if digits == 21 || digits-20 > maxFraction {
			return 0, false
		}
		b = append(append(make([]byte, 0, len(clfTime)), b[:20]...), b[digits:]...)
	}
	if len(b) != len(clfTime) {
		return 0, false
	}
	if b[2] != '/' || b[6] != '/' || b[11] != ':' || b[14] != ':' || b[17] != ':' || b[20] != ' ' ||
		b[21] != '+' && b[21] != '-' {
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
	day := number(0, 2)
	year := number(7, 11)
	hour := number(12, 14)
	minute := number(15, 17)
	second := number(18, 20)
	zone := (number(22, 24)*60 + number(24, 26)) * 60
	if bad || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 60 || zone > 24*3600 {
		return 0, false
	}
	if b[21] == '-' {
		zone = -zone
	}
	date := time.Date(year, time.Month(month/3+1), day, 0, 0, 0, 0, time.UTC)
	if date.Day() != day { // 31/Feb
		return 0, false
	}
	return date.Unix() + int64(3600*hour+60*minute+second-zone), true
}
