package belfry

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// Durability names the failures that an event survives once Audit has returned nil.
type Durability int

const (
	// PowerLoss is the default: events survive kill -9 and the loss of power.
	// Audit waits for an fsync that it shares with everybody who waits.
	PowerLoss Durability = iota
	// ProcessCrash means that events survive kill -9, for the kernel has them, but the
	// last ones may be lost with the machine.
	ProcessCrash
)

func (d Durability) String() string {
	if d == ProcessCrash {
		return "process crash"
	}
	return "power loss"
}

// Config of a client. URL, Token and SpoolDir are required; zero values mean
// the defaults that are stated.
type Config struct {
	URL   string // of the server, such as https://audit.example.com
	Token string // an API token with audit:write, or a producer's token

	// AccountID is the account of all events: 32 hexadecimal characters, or
	// ext: and the id that you know it by. Empty: the token is a producer's and
	// each event has an AccountID.
	AccountID string

	// SpoolDir is a directory of this client alone, on a local disk. It is made
	// with mode 0700 if it is not there. rejected.ndjson and quarantine/ in it
	// are for people to read; delete them at any time.
	SpoolDir      string
	Durability    Durability
	MaxSpoolBytes int64 // that may wait, with rejected.ndjson; default 1 GiB
	SegmentBytes  int64 // after which a new file is begun; default 16 MiB

	BatchEvents int           // in a request; default 2,000, at most 10,000
	BatchBytes  int           // in a request before gzip; default 4 MiB, at most 8 MiB
	Linger      time.Duration // for which an event waits for company; default 50 ms, negative: none
	NoGzip      bool

	HTTPClient     *http.Client  // redirects are never followed; default: one of its own
	RequestTimeout time.Duration // for one attempt; default 30 s
	RetryMin       time.Duration // first backoff, doubled each time; default 250 ms
	RetryMax       time.Duration // longest backoff; default 30 s
	// HoldOff is the backoff when only a person can help (a refused token, a
	// wrong address), doubled up to ten times that; default 30 s.
	HoldOff time.Duration

	// Redact names values under before, after and metadata that are replaced by
	// Redacted before anything reaches the disk: field names, which hold at any
	// depth and in any letter case (password), or JSON pointers
	// (/after/tls/key, /metadata/cards/0).
	Redact []string

	// TrustedProxies are the networks whose X-Forwarded-For is believed by
	// AuditRequests and ContextWithRequest.
	TrustedProxies []netip.Prefix

	// The callbacks run on the delivering goroutine, one at a time (OnError also
	// inside New and inside AuditRequests): return soon, and do not call Flush
	// or Close. After a crash the same event may be reported again.

	OnReject func(Rejected) // an event was refused for good; it is in rejected.ndjson already
	OnAccept func(Result)   // an event is in the log (accepted or duplicate), with its receipt
	OnError  func(error)    // *SendError, *CorruptionError, *AuditError or a fault of the disk
}

// prepare checks and completes the configuration, naming every fault.
func (cfg *Config) prepare() (poster, redactor, error) {
	var faults []error
	bad := func(field, format string, args ...any) {
		faults = append(faults, fmt.Errorf("Config.%s: %s", field, fmt.Sprintf(format, args...)))
	}
	base, err := url.Parse(cfg.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" || base.User != nil ||
		base.RawQuery != "" {
		bad("URL", "expected http:// or https:// and a host, without user and query")
	}
	if cfg.Token == "" || strings.ContainsFunc(cfg.Token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		bad("Token", "expected an API token")
	}
	if cfg.SpoolDir == "" {
		bad("SpoolDir", "expected a directory")
	}
	if len(cfg.AccountID) > 512 {
		bad("AccountID", "is longer than 512 bytes")
	}
	if cfg.Durability != PowerLoss && cfg.Durability != ProcessCrash {
		bad("Durability", "expected PowerLoss or ProcessCrash")
	}
	number(&cfg.MaxSpoolBytes, 1<<30, 1, 1<<50, "MaxSpoolBytes", bad)
	number(&cfg.SegmentBytes, 16<<20, 1, 1<<30, "SegmentBytes", bad)
	number(&cfg.BatchEvents, 2_000, 1, 10_000, "BatchEvents", bad)
	number(&cfg.BatchBytes, 4<<20, 64<<10, 8<<20, "BatchBytes", bad)
	number(&cfg.RequestTimeout, 30*time.Second, 1, time.Hour, "RequestTimeout", bad)
	number(&cfg.RetryMin, 250*time.Millisecond, 1, time.Hour, "RetryMin", bad)
	number(&cfg.RetryMax, max(30*time.Second, cfg.RetryMin), cfg.RetryMin, 24*time.Hour, "RetryMax", bad)
	number(&cfg.HoldOff, 30*time.Second, 1, 24*time.Hour, "HoldOff", bad)
	if cfg.Linger == 0 {
		cfg.Linger = 50 * time.Millisecond
	}
	redact, err := newRedactor(cfg.Redact)
	if err != nil {
		bad("Redact", "%v", err)
	}
	if len(faults) > 0 {
		return poster{}, redactor{}, errors.Join(faults...)
	}
	// Either the installation's address or its API's is fine.
	root := strings.TrimSuffix(strings.TrimRight(base.String(), "/"), "/client/v4") + "/client/v4"
	return poster{
		root: root, token: cfg.Token, gzip: !cfg.NoGzip, timeout: cfg.RequestTimeout,
		client: httpClient(cfg.HTTPClient),
	}, redact, nil
}

// number sets a default for zero and checks the limits.
func number[T int | int64 | time.Duration](
	n *T,
	standard, least, most T,
	field string,
	bad func(field, format string, args ...any),
) {
	if *n == 0 {
		*n = standard
	}
	if *n < least || *n > most {
		bad(field, "expected %v to %v, got %v", least, most, *n)
	}
}
