package app

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// Config has all settings. The comment of a field is its manual; its name in the
// environment is in the tag, and the config file uses the same name in lower case
// without BELFRY_. A setting in the environment takes precedence.
type Config struct {
	// Address of HTTP: API, dashboard, metrics. Port 0 = a free port.
	Listen string `env:"BELFRY_LISTEN" default:"127.0.0.1:8080"`
	// Folder of the SQLite databases, the embedded broker's log and the keys. With PostgreSQL and Apache Kafka
	// it stays empty.
	DataDir string `env:"BELFRY_DATA_DIR" default:"./belfry-data"`
	// postgres://... for PostgreSQL; empty = SQLite files in the data directory.
	DatabaseURL string `env:"BELFRY_DATABASE_URL" secret:"true"`
	// host:port,... of an Apache Kafka cluster; empty = the embedded broker.
	KafkaBrokers []string `env:"BELFRY_KAFKA_BROKERS"`
	// User of the Apache Kafka cluster (SASL); empty = none.
	KafkaUser string `env:"BELFRY_KAFKA_USER"`
	// The user's password.
	KafkaPassword string `env:"BELFRY_KAFKA_PASSWORD" secret:"true"`
	// File with the password of that user, instead of BELFRY_KAFKA_PASSWORD.
	KafkaPasswordFile string `env:"BELFRY_KAFKA_PASSWORD_FILE"`
	// SASL mechanism towards the cluster: plain (with TLS only), scram-sha-256 or scram-sha-512.
	KafkaSASL string `env:"BELFRY_KAFKA_SASL" default:"scram-sha-512"`
	// on = TLS towards the cluster.
	KafkaTLS string `env:"BELFRY_KAFKA_TLS" default:"off"`
	// File with the certificates (PEM) that sign the brokers' certificates; empty = those of the system.
	KafkaCA string `env:"BELFRY_KAFKA_CA"`
	// File with the certificate chain in PEM that Belfry presents to the cluster.
	KafkaClientCert string `env:"BELFRY_KAFKA_CLIENT_CERT"`
	// File with the key of that certificate in PEM.
	KafkaClientKey string `env:"BELFRY_KAFKA_CLIENT_KEY"`
	// Address of the embedded broker for Kafka clients; off = no client can connect. An address that is not
	// loopback needs BELFRY_KAFKA_LISTEN_CERT, BELFRY_KAFKA_LISTEN_KEY and BELFRY_KAFKA_USERS_FILE.
	KafkaListen string `env:"BELFRY_KAFKA_LISTEN" default:"127.0.0.1:9092"`
	// host:port that the embedded broker advertises to its clients; empty = BELFRY_KAFKA_LISTEN.
	KafkaAdvertise string `env:"BELFRY_KAFKA_ADVERTISE"`
	// File with the certificate chain in PEM: TLS of the embedded broker.
	KafkaListenCert string `env:"BELFRY_KAFKA_LISTEN_CERT"`
	// File with the key of that certificate in PEM.
	KafkaListenKey string `env:"BELFRY_KAFKA_LISTEN_KEY"`
	// File with the users (SASL SCRAM) of the embedded broker, see the guide to operation; empty = every client
	// of this machine may publish to the on-ramps and read the rejects.
	KafkaUsersFile string `env:"BELFRY_KAFKA_USERS_FILE"`
	// 32 bytes in base64 that encrypt keys and secrets in the databases. Required
	// with BELFRY_DATABASE_URL; else created in the data directory (mode 0600): store a
	// copy apart from the backups.
	MasterKey string `env:"BELFRY_MASTER_KEY" secret:"true"`
	// File with the master key, instead of BELFRY_MASTER_KEY.
	MasterKeyFile string `env:"BELFRY_MASTER_KEY_FILE"`
	// At least 32 characters: an operators' API token for scripts, valid at every
	// start while it is set. Empty = none; the first start prints a sign-in link.
	BootstrapToken string `env:"BELFRY_BOOTSTRAP_TOKEN" secret:"true"`
	// Public URL of the server, for links and cookies. The first start also names the
	// signing key after its host, for ever (a loopback address: a random name). Empty = BELFRY_LISTEN.
	ExternalURL string `env:"BELFRY_EXTERNAL_URL"`
	// CIDRs that webhooks may reach besides the public Internet.
	AllowNetworks []string `env:"BELFRY_ALLOW_NETWORKS"`
	// CIDRs from which webhooks and mail are sent; GET /client/v4/ips shows them to receivers.
	EgressNetworks []string `env:"BELFRY_EGRESS_NETWORKS"`
	// Set by `belfry demo` for its own server: the addresses of its shop and its inbox, separated
	// by a space. The overview of the demo's account then shows the demo's steps. Empty = none.
	Tour string `env:"BELFRY_TOUR"`
	// on = the public status page at /status, as soon as the operators have added a component; off = none.
	StatusPage string `env:"BELFRY_STATUS_PAGE" default:"on"`
	// smtp[s]://user:pass@host:port; empty = mail stays in the built-in inbox.
	SMTPURL string `env:"BELFRY_SMTP_URL" secret:"true"`
	// The sender's address on mail; empty = belfry@ the host of BELFRY_EXTERNAL_URL.
	MailFrom string `env:"BELFRY_MAIL_FROM"`
	// File with the certificate chain in PEM: TLS on the HTTP address. Together
	// with BELFRY_TLS_KEY.
	TLSCert string `env:"BELFRY_TLS_CERT"`
	// File with the private key of BELFRY_TLS_CERT in PEM.
	TLSKey string `env:"BELFRY_TLS_KEY"`
	// CIDRs of proxies whose X-Forwarded-For and X-Request-Id are trusted.
	TrustedProxies []string `env:"BELFRY_TRUSTED_PROXIES"`
	// CIDRs that may read /metrics, the reasons of /readyz and the version. For others
	// /metrics answers 404, and /readyz only whether the server is ready.
	OperatorNetworks []string `env:"BELFRY_OPERATOR_NETWORKS" default:"127.0.0.0/8,::1/128"`
	// Sites (https://host) that may show the customers' pages in a frame.
	PortalOrigins []string `env:"BELFRY_PORTAL_ORIGINS"`
	// MiB of memory for the page caches of all SQLite databases together.
	SQLiteCacheMB int `env:"BELFRY_SQLITE_CACHE_MB" default:"64"`
	// Origins, hostnames and path classes that an account's traffic may have in two days, each. The requests of further
	// ones are counted under the name other.
	TrafficNames int `env:"BELFRY_TRAFFIC_NAMES" default:"20000"`
	// Interval at which logs with new events are signed.
	Epoch time.Duration `env:"BELFRY_EPOCH" default:"60s"`
	// debug, info, warn or error.
	LogLevel string `env:"BELFRY_LOG_LEVEL" default:"info"`
	// text or json; empty = text on a terminal, else json.
	LogFormat string `env:"BELFRY_LOG_FORMAT"`
	// Roles of this process, separated by commas: api, producer, audit, traffic, slo, notify, incident, or all.
	Roles []string `env:"BELFRY_ROLES" default:"all"`

	// Interval at which an open stream's credential is checked again; 0 = 15 s. No setting: tests shorten it.
	StreamRecheck time.Duration
	// Clock of features and pages; nil = time.Now. No setting: pictures of pages are taken at a fixed time. Leases and
	// timers follow the machine's clock.
	Now func() time.Time

	externalGiven bool // ExternalURL was set, not made from Listen
}

// LoadConfig reads the file (if one is named) and the environment, which lookup
// returns (os.LookupEnv). Its error lists all faults.
func LoadConfig(file string, lookup func(string) (string, bool)) (Config, error) {
	var cfg Config
	var faults []string
	settings, err := readFile(file)
	if err != nil {
		return cfg, err
	}
	v := reflect.ValueOf(&cfg).Elem()
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag
		env := tag.Get("env")
		if env == "" {
			continue
		}
		key := strings.ToLower(strings.TrimPrefix(env, "BELFRY_"))
		value := tag.Get("default")
		from := "the default of " + env
		if s, ok := settings[key]; ok {
			value = s
			from = file + ": " + key
		}
		delete(settings, key)
		if s, ok := lookup(env); ok && s != "" {
			value = s
			from = env
		}
		if err := set(v.Field(i), value); err != nil {
			if tag.Get("secret") != "" {
				err = fmt.Errorf("not valid")
			}
			faults = append(faults, fmt.Sprintf("%s: %v", from, err))
		}
	}
	for key := range settings {
		faults = append(faults, fmt.Sprintf("%s: %s is not a setting", file, key))
	}
	faults = append(faults, unknownEnvironment(v.Type())...)
	faults = append(faults, cfg.check()...)
	if len(faults) > 0 {
		slices.Sort(faults)
		list := make([]error, len(faults)) // joined, so that commands print one a line
		for i, f := range faults {
			list[i] = errors.New(f)
		}
		return cfg, fmt.Errorf("configuration: %w", errors.Join(list...))
	}
	cfg.externalGiven = cfg.ExternalURL != ""
	if !cfg.externalGiven {
		cfg.ExternalURL = cfg.scheme() + "://" + cfg.Listen
	}
	return cfg, nil
}

func readFile(file string) (map[string]string, error) {
	settings := map[string]string{}
	if file == "" {
		return settings, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	var raw map[string]any
	if err := yaml.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("configuration: %s: %w", file, err)
	}
	for key, value := range raw {
		if list, ok := value.([]any); ok {
			parts := make([]string, len(list))
			for i, p := range list {
				parts[i] = fmt.Sprint(p)
			}
			value = strings.Join(parts, ",")
		}
		settings[key] = fmt.Sprint(value)
	}
	return settings, nil
}

func set(field reflect.Value, s string) error {
	switch field.Interface().(type) {
	case string:
		field.SetString(s)
	case []string:
		var list []string
		for _, part := range strings.Split(s, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list = append(list, part)
			}
		}
		field.Set(reflect.ValueOf(list))
	case int:
		n, err := strconv.Atoi(s)
		if err != nil || n < 8 || n > 1<<20 {
			return fmt.Errorf("%q must be a whole number of at least 8", s)
		}
		field.SetInt(int64(n))
	case time.Duration:
		d, err := time.ParseDuration(s)
		if err != nil || d < 100*time.Millisecond {
			return fmt.Errorf("%q must be a duration of at least 100ms, such as 60s", s)
		}
		field.SetInt(int64(d))
	}
	return nil
}

// unknownEnvironment finds misspelt settings. BELFRY_TEST_* belongs to tests.
func unknownEnvironment(t reflect.Type) []string {
	known := map[string]bool{}
	for i := range t.NumField() {
		known[t.Field(i).Tag.Get("env")] = true
	}
	var faults []string
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		ours := strings.HasPrefix(name, "BELFRY_") && !strings.HasPrefix(name, "BELFRY_TEST_")
		if ours && !clientSettings[name] && !known[name] {
			faults = append(faults, name+" is not a setting")
		}
	}
	return faults
}

// clientSettings are read by commands that talk to a server.
var clientSettings = map[string]bool{
	"BELFRY_URL":      true,
	"BELFRY_TOKEN":    true,
	"BELFRY_ACCOUNT":  true,
	"BELFRY_PRODUCER": true,
}

func (c *Config) check() (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, a := range []struct{ name, value string }{
		{"BELFRY_LISTEN", c.Listen},
		{"BELFRY_KAFKA_LISTEN", c.KafkaListen},
		{"BELFRY_KAFKA_ADVERTISE", c.KafkaAdvertise},
	} {
		if a.name != "BELFRY_LISTEN" && (a.value == kafkaOff || a.value == "") {
			continue
		}
		if _, port, err := net.SplitHostPort(a.value); err != nil {
			fault("%s: %q must be host:port", a.name, a.value)
		} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			fault("%s: %q has no valid port", a.name, a.value)
		}
	}
	c.checkKafka(fault)
	if c.DatabaseURL != "" {
		if u, err := url.Parse(c.DatabaseURL); err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" {
			fault("BELFRY_DATABASE_URL must begin with postgres://")
		}
		if c.MasterKey == "" && c.MasterKeyFile == "" {
			fault("BELFRY_MASTER_KEY or BELFRY_MASTER_KEY_FILE is required with BELFRY_DATABASE_URL: " +
				"all processes must share one; create it with: openssl rand -base64 32")
		}
	}
	if c.MasterKey != "" && c.MasterKeyFile != "" {
		fault("BELFRY_MASTER_KEY and BELFRY_MASTER_KEY_FILE are both set; set one of them")
	}
	if c.BootstrapToken != "" && len(c.BootstrapToken) < 32 {
		fault("BELFRY_BOOTSTRAP_TOKEN has %d characters; at least 32 are required", len(c.BootstrapToken))
	}
	if c.ExternalURL != "" {
		if u, err := url.Parse(c.ExternalURL); err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			fault("BELFRY_EXTERNAL_URL: %q must be http://host or https://host", c.ExternalURL)
		}
	}
	for name, list := range map[string][]string{
		"BELFRY_ALLOW_NETWORKS":    c.AllowNetworks,
		"BELFRY_TRUSTED_PROXIES":   c.TrustedProxies,
		"BELFRY_EGRESS_NETWORKS":   c.EgressNetworks,
		"BELFRY_OPERATOR_NETWORKS": c.OperatorNetworks,
	} {
		for _, s := range list {
			if _, err := netip.ParsePrefix(s); err != nil {
				fault("%s: %q must be a CIDR range, such as 10.0.0.0/8", name, s)
			}
		}
	}
	if (c.TLSCert == "") != (c.TLSKey == "") {
		fault("BELFRY_TLS_CERT and BELFRY_TLS_KEY must be set together")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel) {
		fault("BELFRY_LOG_LEVEL: %q must be debug, info, warn or error", c.LogLevel)
	}
	if !slices.Contains([]string{"", "text", "json"}, c.LogFormat) {
		fault("BELFRY_LOG_FORMAT: %q must be text or json", c.LogFormat)
	}
	if !slices.Contains([]string{"on", "off"}, c.StatusPage) {
		fault("BELFRY_STATUS_PAGE: %q must be on or off", c.StatusPage)
	}
	for _, r := range c.Roles {
		if r != "all" && !slices.Contains(RoleNames(), r) {
			fault("BELFRY_ROLES: %q is not a role; there are all, %s", r, strings.Join(RoleNames(), ", "))
		}
	}
	return faults
}

func (c *Config) scheme() string {
	if c.TLSCert != "" {
		return "https"
	}
	return "http"
}

// clearText returns the reason why requests of browsers and clients are not
// encrypted; "" if they are, or if they do not leave the machine.
func (c *Config) clearText() string {
	loopback := func(host string) bool {
		addr, err := netip.ParseAddr(host)
		return host == "localhost" || err == nil && addr.IsLoopback()
	}
	external, err := url.Parse(c.ExternalURL)
	if err != nil || external.Scheme == "https" {
		return ""
	}
	host, _, err := net.SplitHostPort(c.Listen)
	switch {
	case !loopback(external.Hostname()) && c.externalGiven:
		return "BELFRY_EXTERNAL_URL is " + c.ExternalURL
	case err == nil && !loopback(host) && c.TLSCert == "":
		return "BELFRY_LISTEN is " + c.Listen + ", without TLS"
	}
	return ""
}

// Has reports whether this process has the role.
func (c *Config) Has(role string) bool {
	return slices.Contains(c.Roles, "all") || slices.Contains(c.Roles, role)
}

// prefixes parses a list of CIDRs that check has accepted.
func prefixes(list []string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}
