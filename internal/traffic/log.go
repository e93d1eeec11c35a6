package traffic

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/strict"
)

// Format is a format of access logs.
type Format string

// The formats.
const (
	Combined   Format = "combined"   // Apache and nginx; common and vhost_combined too
	NginxJSON  Format = "nginx-json" // a JSON log_format with nginx's own names
	Caddy      Format = "caddy"      // Caddy's JSON access log
	Logpush    Format = "logpush"    // Cloudflare Logpush, data set http_requests
	Envoy      Format = "envoy"      // Envoy and Istio: default text format, or JSON
	HAProxy    Format = "haproxy"    // option httplog, with or without the prefix of syslog
	ALB        Format = "alb"        // AWS Application Load Balancer
	CloudFront Format = "cloudfront" // AWS CloudFront standard logs: W3C with tabs, or JSON
)

// Formats lists all formats, for help texts.
var Formats = []Format{Combined, NginxJSON, Caddy, Logpush, Envoy, HAProxy, ALB, CloudFront}

// FormatNames are their names, for help texts: "combined, ... or cloudfront".
func FormatNames() string {
	names := formatNames()
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

func formatNames() []string {
	names := make([]string, len(Formats))
	for i, f := range Formats {
		names[i] = string(f)
	}
	return names
}

// ParseFormat finds a format by its name.
func ParseFormat(name string) (Format, error) {
	if f := Format(name); slices.Contains(Formats, f) {
		return f, nil
	}
	return "", errs.At(errs.CodeInvalid, "format", "format is one of %s, not %q",
		strings.Join(formatNames(), ", "), strict.Clip(name, maxWord))
}

// Entry has the counted attributes of one line: time, place and outcome.
type Entry struct {
	At       int64  // Unix seconds
	Zone     string // as the log names it; mostly empty
	Hostname string // requested
	Origin   string // the server that answered
	Status   int    // sent to the client, by the edge; 0 = the client left before there was one

	// OriginStatus is the origin's, where the log has one: 0 = not known, NotAsked =
	// the log says that the origin was not asked.
	OriginStatus int

	// Reason is the proxy's own word for what happened, as it wrote it: Envoy's response
	// flags ("UF,URX"), HAProxy's termination state ("SC"), CloudFront's detailed result
	// type. Empty = none.
	Reason string

	// Took is the duration of the request; it is known only if Timed is set.
	Took  time.Duration
	Timed bool

	// The outcome, by the rules of the property.
	Bad         bool
	Unreachable bool // only where Bad
	Ignored     bool // not counted at all
}

// NotAsked is the OriginStatus of a request that the edge answered by itself.
const NotAsked = -1

// Parser reads the lines of one log, one after another. It belongs to one goroutine.
type Parser struct {
	Format Format
	Rules  *Rules         // by which lines are classified; nil = the default rules
	Zone   *time.Location // of times that name no time zone (HAProxy); nil = UTC

	header string // last line of the log that names its fields (CloudFront)
	fields cloudFrontFields
}

// errNoRequest is the fault of a line that belongs to the log and is no request: a
// header. It is neither counted nor refused.
var errNoRequest = errors.New("the line is a header of the log")

// IsHeader reports whether a fault of [Parser.Parse] is that of a header, which is no
// fault of the log.
func IsHeader(fault error) bool { return errors.Is(fault, errNoRequest) }

// Parse reads one line, without its end, and classifies it by the default rules. Its
// errors are of type [errs.Error], or a header's (see [IsHeader]).
func (f Format) Parse(line []byte) (e Entry, err error) {
	p := Parser{Format: f}
	return p.Parse(line)
}

// Parse reads one line, as [Format.Parse] does.
func (p *Parser) Parse(line []byte) (e Entry, err error) {
	line = bytes.TrimPrefix(line, byteOrderMark) // of a file's first line
	switch p.Format {
	case Combined:
		e, err = parseCombined(line)
	case NginxJSON:
		e, err = parseNginx(line)
	case Caddy:
		e, err = parseCaddy(line)
	case Logpush:
		e, err = parseLogpush(line)
	case Envoy:
		e, err = parseEnvoy(line)
	case HAProxy:
		e, err = parseHAProxy(line, p.Zone)
	case ALB:
		e, err = parseALB(line)
	case CloudFront:
		e, err = p.parseCloudFront(line)
	default:
		_, err = ParseFormat(string(p.Format))
	}
	if err != nil {
		return e, err
	}
	if e.Status != 0 && (e.Status < 100 || e.Status > 999) {
		return e, notLine("the status %d is not one of HTTP", e.Status)
	}
	for _, name := range []*string{&e.Zone, &e.Hostname, &e.Origin} {
		if len(*name) > maxRef || strings.ContainsFunc(*name, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return e, notLine("a host name has more than %d bytes or a space", maxRef)
		}
		*name = strings.ToLower(*name)
	}
	rules := p.Rules
	if rules == nil {
		rules = defaultRules
	}
	rules.Classify(p.Format, &e)
	return e, nil
}

func notLine(format string, args ...any) error { return errs.New(errs.CodeInvalid, format, args...) }

// Read parses a log line by line and calls each with the entry of a line, or its
// fault. Empty lines are skipped; a line longer than [MaxLine] is a fault. line counts
// from 1. Read ends at the end of r, with the error of r or of each.
func (f Format) Read(r io.Reader, each func(line int, e Entry, fault error) error) error {
	p := Parser{Format: f}
	return p.Read(r, func(n int, _ []byte, e Entry, fault error) error { return each(n, e, fault) })
}

// Read parses a log line by line, as [Format.Read] does. text is the line; it is valid
// until each returns.
func (p *Parser) Read(r io.Reader, each func(line int, text []byte, e Entry, fault error) error) error {
	return eachLine(r, func(n int, line []byte, fault error) error {
		if fault != nil {
			return each(n, line, Entry{}, fault)
		}
		e, fault := p.Parse(line)
		if IsHeader(fault) {
			return nil
		}
		return each(n, line, e, fault)
	})
}

// ReadCompact parses compact counts, one a line (NDJSON), as [Format.Read] does
// lines of logs; a line's fault has the first of its reasons.
func ReadCompact(r io.Reader, window Window, each func(line int, c Count, fault error) error) error {
	return eachLine(r, func(n int, line []byte, fault error) error {
		if fault != nil {
			return each(n, Count{}, fault)
		}
		c, faults := ParseCount(line, window)
		if len(faults) > 0 {
			fault = faults[0]
		}
		return each(n, c, fault)
	})
}

// Zipped reports whether data begins as a gzip file does.
func Zipped(start []byte) bool { return bytes.HasPrefix(start, []byte{0x1f, 0x8b}) }

// Unpacked reads a log that may be compressed, whatever its name.
func Unpacked(r io.Reader) (io.Reader, error) {
	in := bufio.NewReader(r)
	if start, err := in.Peek(2); err == nil && Zipped(start) {
		return gzip.NewReader(in)
	}
	return in, nil // an error of the stream comes again
}

// byteOrderMark begins files of some editors and log agents.
var byteOrderMark = []byte("\ufeff")

// eachLine calls each with the lines that are not empty, without their ends.
func eachLine(r io.Reader, each func(n int, line []byte, fault error) error) error {
	in := bufio.NewReaderSize(r, MaxLine)
	for n := 1; ; n++ {
		line, err := in.ReadSlice('\n')
		var fault error
		for errors.Is(err, bufio.ErrBufferFull) {
			fault = notLine("the line is longer than %d bytes", MaxLine)
			line, err = in.ReadSlice('\n')
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 1 {
			line = bytes.TrimPrefix(line, byteOrderMark)
		}
		if line = bytes.TrimRight(line, "\r\n"); fault != nil || len(bytes.TrimSpace(line)) > 0 {
			if err := each(n, line, fault); err != nil {
				return err
			}
		}
		if err != nil {
			return nil
		}
	}
}

// hostOf takes the port and a final dot off a host name; the address in
// [::1]:443 keeps its brackets' content.
func hostOf(host string) string {
	if rest, ok := strings.CutPrefix(host, "["); ok {
		if i := strings.IndexByte(rest, ']'); i >= 0 {
			return rest[:i]
		}
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host, ':') == i {
		host = host[:i]
	}
	return strings.TrimSuffix(host, ".")
}
