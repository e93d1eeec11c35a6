package dnswatch

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	belfry "github.com/belfryhq/belfry/sdk/go"
)

// nameserver is a DNS server on the loopback address that answers with one serial.
type nameserver struct {
	conn net.PacketConn

	mu     sync.Mutex // guards what follows
	serial uint32
	rcode  dnsmessage.RCode
	lame   bool // answers without authority
	silent bool
	asked  int
}

func newNameserver(t *testing.T, serial uint32) *nameserver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameserver{conn: conn, serial: serial}
	var served sync.WaitGroup
	served.Go(func() { s.serve(t) })
	t.Cleanup(func() {
		conn.Close()
		served.Wait()
	})
	return s
}

func (s *nameserver) addr() string { return s.conn.LocalAddr().String() }

func (s *nameserver) set(apply func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	apply()
}

func (s *nameserver) serve(t *testing.T) {
	buf := make([]byte, 512)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(buf[:n]); err != nil || len(m.Questions) != 1 {
			t.Errorf("the question is not valid: %v", err)
			continue
		}
		s.mu.Lock()
		s.asked++
		silent := s.silent
		m.Response = true
		m.Authoritative = !s.lame
		m.RCode = s.rcode
		q := m.Questions[0]
		if s.rcode == dnsmessage.RCodeSuccess {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 60},
				Body:   &dnsmessage.SOAResource{NS: q.Name, MBox: q.Name, Serial: s.serial, Expire: 3600},
			}}
		}
		s.mu.Unlock()
		if silent {
			continue
		}
		packed, err := m.Pack()
		if err != nil {
			t.Error(err)
			continue
		}
		// An answer to another question comes first, as from an attacker.
		forged := slices.Clone(packed)
		forged[0] ^= 0xff
		s.conn.WriteTo(forged, from)
		s.conn.WriteTo(packed, from)
	}
}

// bodyOf is the body of a request, decompressed.
func bodyOf(t *testing.T, r *http.Request) []byte {
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Error(err)
			return nil
		}
		body = z
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Error(err)
	}
	return text
}

// inbox is the API of Belfry, as far as the watch uses it.
type inbox struct {
	*httptest.Server
	mu     sync.Mutex // guards what follows
	away   bool
	alerts []belfry.Alert
	events []belfry.Event
}

func newInbox(t *testing.T) *inbox {
	b := &inbox{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.away {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body := bodyOf(t, r)
		var id string
		if strings.HasSuffix(r.URL.Path, "/alerts") {
			var a belfry.Alert
			if err := json.Unmarshal(body, &a); err != nil {
				t.Error(err)
			}
			id = a.ID
			b.alerts = append(b.alerts, a)
		} else {
			var e belfry.Event
			if err := json.Unmarshal(body, &e); err != nil {
				t.Error(err)
			}
			id = e.ID
			b.events = append(b.events, e)
		}
		err := json.NewEncoder(w).Encode(map[string]any{
			"result": []any{map[string]any{"index": 0, "id": id, "status": "accepted"}},
		})
		if err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(b.Close)
	return b
}

// got are the alerts that arrived, as "type event".
func (b *inbox) got() (list []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.alerts {
		list = append(list, strings.TrimPrefix(a.Type, "secondary_dns_")+" "+string(a.Event))
	}
	return list
}

// scene is a watch of one zone with two primaries and a secondary.
type scene struct {
	t               *testing.T
	b               *inbox
	one, two, third *nameserver
	cfg             Config
	w               *Watch
	stop            func()
	now             time.Time
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, b: newInbox(t), now: time.Now()}
	s.one = newNameserver(t, 10)
	s.two = newNameserver(t, 10)
	s.third = newNameserver(t, 10)
	s.cfg = Config{
		URL:     s.b.URL,
		Token:   "t",
		Account: "023e105f4ecef8ad9ca31a8372d0c353",
		Zones: []Zone{{
			Name:        "shop.example",
			Primaries:   []string{s.one.addr(), s.two.addr()},
			Secondaries: []string{s.third.addr()},
		}},
		DataDir: t.TempDir(),
		Timeout: 200 * time.Millisecond,
		Hold:    time.Minute,
		Now:     func() time.Time { return s.now },
	}
	s.start()
	return s
}

// start opens the watch and sends its alerts, until stop.
func (s *scene) start() {
	s.t.Helper()
	var err error
	if s.w, err = New(s.cfg); err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var sending sync.WaitGroup
	sending.Go(func() { s.w.send(ctx) })
	w := s.w
	s.stop = sync.OnceFunc(func() {
		cancel()
		sending.Wait()
		closing, done := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer done()
		w.Close(closing)
	})
	s.t.Cleanup(s.stop)
}

// pass lets time go by and asks the servers.
func (s *scene) pass(d time.Duration) {
	s.t.Helper()
	s.now = s.now.Add(d)
	if err := s.w.Round(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
}

// arrive waits until the alerts have arrived, and no others.
func (s *scene) arrive(want ...string) {
	s.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for len(s.b.got()) < len(want) && time.Now().Before(deadline) {
		time.Sleep(2 * time.Millisecond)
	}
	if got := s.b.got(); !slices.Equal(got, want) {
		s.t.Fatalf("arrived are %q, want %q", got, want)
	}
}

func TestAFailingPrimaryStartsAndEndsAnAlert(t *testing.T) {
	s := newScene(t)
	s.pass(0)
	s.one.set(func() { s.one.silent = true })
	s.pass(time.Second)
	s.pass(30 * time.Second)
	s.arrive() // for less than a minute: nothing
	s.pass(40 * time.Second)
	s.arrive("primaries_failing start")
	s.pass(time.Minute)
	s.one.set(func() { s.one.silent = false })
	s.pass(time.Minute)
	s.arrive("primaries_failing start", "primaries_failing end")

	start, end := s.b.alerts[0], s.b.alerts[1]
	if start.Correlation != end.Correlation || start.ID == end.ID || start.Zone != "shop.example" ||
		!strings.Contains(start.Summary, "does not answer within 200ms") || !start.BeganAt.Before(start.OccurredAt) {
		t.Errorf("the start is %+v, the end %+v", start, end)
	}
}

func TestAllPrimariesAndTheSecondaryHaveAlertsOfTheirOwn(t *testing.T) {
	s := newScene(t)
	s.pass(0)
	s.one.set(func() { s.one.rcode = dnsmessage.RCodeServerFailure })
	s.two.set(func() { s.two.lame = true })
	s.third.set(func() { s.third.rcode = dnsmessage.RCodeRefused })
	s.pass(time.Second)
	s.pass(time.Minute)
	s.arrive("primaries_failing start", "primaries_failing start", "all_primaries_failing start",
		"zone_validation_warning start")
	if data := s.b.alerts[2].Data; data["expires_in_seconds"] != 3600.0 {
		t.Errorf("the data of all primaries is %v", data)
	}
}

func TestASecondaryThatIsBehindIsReportedUntilItHasCaughtUp(t *testing.T) {
	s := newScene(t)
	s.one.set(func() { s.one.serial = 1<<32 - 1 })
	s.two.set(func() { s.two.serial = 1<<32 - 1 })
	s.third.set(func() { s.third.serial = 1<<32 - 1 })
	s.pass(0)
	s.one.set(func() { s.one.serial = 1 }) // after the overflow it is newer
	s.pass(time.Second)
	s.pass(time.Minute)
	s.arrive("warning start")
	s.third.set(func() { s.third.serial = 1 })
	s.pass(time.Minute)
	s.arrive("warning start", "warning end", "zone_successfully_updated notice")
	if err := s.w.client.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(s.b.events) != 1 || s.b.events[0].Resource.ID != "shop.example" {
		t.Errorf("the recorded changes are %+v", s.b.events)
	}
}

func TestNeitherARestartNorAnAbsenceOfBelfryLosesAnAlert(t *testing.T) {
	s := newScene(t)
	s.pass(0)
	s.b.mu.Lock()
	s.b.away = true
	s.b.mu.Unlock()
	s.third.set(func() { s.third.silent = true })
	s.pass(time.Second)
	s.pass(time.Minute)
	s.stop()
	s.start() // with the start that no server has stored
	s.third.set(func() { s.third.silent = false })
	s.pass(time.Minute)
	s.b.mu.Lock()
	s.b.away = false
	s.b.mu.Unlock()
	s.arrive("zone_validation_warning start", "zone_validation_warning end")
	s.stop()
	s.start()
	s.pass(time.Minute)
	s.arrive("zone_validation_warning start", "zone_validation_warning end")
}

func TestFaultsOfTheZonesAreNamed(t *testing.T) {
	zone := Zone{Name: "shop.example", Primaries: []string{"127.0.0.1:53"}}
	for want, zones := range map[string][]Zone{
		"1 to 10000 zones":       nil,
		"a name of its own":      {zone, zone},
		"at least one primary":   {{Name: "shop.example"}},
		"are host:port, not \"x": {{Name: "shop.example", Primaries: []string{"x"}}},
	} {
		_, err := New(Config{URL: "http://x", Token: "t", Zones: zones, DataDir: t.TempDir()})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestTheSerialsAreComparedAsNumbersOfACircle(t *testing.T) {
	for _, c := range []struct {
		a, b uint32
		want bool
	}{{2, 1, true}, {1, 2, false}, {1, 1, false}, {0, 1<<32 - 1, true}, {1<<32 - 1, 0, false}} {
		if got := newer(c.a, c.b); got != c.want {
			t.Errorf("newer(%d, %d) is %v", c.a, c.b, got)
		}
	}
}
