package traffic_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/traffic"
)

func count(zone string, at time.Time, total, bad int) string {
	return fmt.Sprintf(`{"zone":%q,"ts":%d,"total":%d,"bad":%d}`, zone, at.Unix(), total, bad)
}

func TestCountsAreTakenInEveryShapeAndHandedOnOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		lines := strings.Join([]string{count("shop.example", start, 10, 1), count("www.example", start, 5, 0),
			count("SHOP.example.", start.Add(10*time.Second), 20, 2)}, "\n")
		w.took(w.counts(zipped(t, lines), "Content-Type", "application/x-ndjson", "Content-Encoding", "gzip"), 3, 0)
		list := w.sharded(2)
		shop := w.zone(w.a, "shop.example")
		i := slices.IndexFunc(list, func(m event.Traffic) bool { return m.Zone == shop })
		if i < 0 || list[i].Account != w.a || len(list[i].Counts) != 2 || list[i].Counts[0].Total != 10 ||
			list[i].Counts[1].Total != 20 {
			t.Fatalf("%+v", list)
		}
		w.took(w.counts("["+count(shop, start, 1, 0)+"]"), 1, 0) // by id
		w.took(w.counts(count("shop.example", start, 1, 0)), 1, 0)
		w.sharded(4)
		for _, m := range w.delivered(event.TopicTrafficSharded, 4) {
			if m.Partition == nil || *m.Partition != traffic.Partition(string(m.Key), 16) {
				t.Errorf("partition %v of zone %s", m.Partition, m.Key)
			}
		}
	})
}

func TestARepeatedRequestCountsOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		body := count("shop.example", start, 10, 1) + "\n" + `{"zone":"shop.example"}`
		first := w.took(w.counts(body, "Idempotency-Key", "shop-1:100"), 1, 1)
		id := w.sharded(1)[0].ID
		w.Pass(40 * 24 * time.Hour) // what was accepted stays accepted, however old it is by now
		again := w.took(w.counts(body, "Idempotency-Key", "shop-1:100"), 1, 1)
		if again.Header.Get("Idempotency-Replayed") != "true" || first.Header.Get("Idempotency-Replayed") != "" {
			t.Error("the header does not tell the repetition")
		}
		// The token was replaced between the attempts.
		w.took(w.post("rotated", "/accounts/"+w.a+"/traffic/counts", body, "Idempotency-Key", "shop-1:100"), 1, 1)
		w.Pass(-40 * 24 * time.Hour)
		other := w.counts(count("shop.example", start, 11, 1), "Idempotency-Key", "shop-1:100")
		if other.Status != 409 || other.Errors[0].Code != errs.CodeIdempotencyReuse {
			t.Errorf("another request under the key: %s", other.Text)
		}
		// A key belongs to its account.
		w.took(w.post("other", "/accounts/"+w.b+"/traffic/counts", body, "Idempotency-Key", "shop-1:100"), 1, 1)
		list := w.sharded(2)
		if list[0].ID != id || list[1].ID == id || list[1].Account != w.b {
			t.Errorf("%+v", list)
		}
		if bad := w.counts(body, "Idempotency-Key", strings.Repeat("k", 256)); bad.Status != 400 ||
			bad.Errors[0].Source.Pointer != "Idempotency-Key" {
			t.Errorf("a long key: %s", bad.Text)
		}
	})
}

func TestAKeyStaysFreeWhereNothingWasAccepted(t *testing.T) {
	w := newWorld(t, "", 1)
	if a := w.counts(`{"zone":"shop.example"}`, "Idempotency-Key", "k"); a.Status != 400 {
		t.Fatal(a.Text)
	}
	w.took(w.counts(count("shop.example", start, 1, 0), "Idempotency-Key", "k"), 1, 0)
	w.sharded(1)
}

func TestARelayThatDeliversTwiceRepeatsTheId(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		w.mu.Lock()
		w.down = true
		w.mu.Unlock()
		w.took(w.counts(count("shop.example", start, 10, 1)), 1, 0)
		list := w.sharded(2)
		if list[0].ID != list[1].ID {
			t.Errorf("ids %s and %s", list[0].ID, list[1].ID)
		}
	})
}

func TestTheCountsOfAZoneLeaveInTheirOrder(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		for i := range 40 {
			w.took(w.counts(count("a.example", start.Add(time.Duration(i)*time.Second), 1, 0)+"\n"+
				count("b.example", start.Add(time.Duration(i)*time.Second), 1, 0)), 2, 0)
		}
		last := map[string]int64{}
		for _, m := range w.sharded(80) {
			if m.Counts[0].At <= last[m.Zone] {
				t.Fatalf("%d after %d in zone %s", m.Counts[0].At, last[m.Zone], m.Zone)
			}
			last[m.Zone] = m.Counts[0].At
		}
	})
}

func TestRefusedCountsAreNamedAndGoBackToTheTeam(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		body := strings.Join([]string{count("shop.example", start, 10, 1), count("shop.example", start, 1, 2),
			`{"zone":"not a host","ts":` + fmt.Sprint(start.Unix()) + `,"total":1}`, `{"secret":"ana@example.com"}`,
			count("shop.example", start, 3, 0)}, "\n")
		a := w.took(w.counts(body), 2, 3)
		var got []string
		for _, r := range a.Result.Refused {
			got = append(got, fmt.Sprint(r.Index, r.Errors[0].Source.Pointer))
		}
		if want := "[1/bad 2/zone 3/secret]"; fmt.Sprint(got) != want {
			t.Errorf("refused %v, want %s", got, want)
		}
		rejects := decode[event.Reject](t, w.delivered(event.TopicAuditRejects, 3))
		for _, r := range rejects {
			if r.Kind != "traffic" || r.Account != w.a || r.Via != "http" || r.By != "writer" || len(r.Errors) == 0 ||
				strings.Contains(r.Payload, "ana@") {
				t.Errorf("%+v", r)
			}
		}
		bad := w.counts(count("shop.example", start, 1, 2))
		if bad.Status != 400 || bad.Success || bad.Errors[0].Source.Pointer != "/bad" || bad.ResultInfo.Rejected != 1 {
			t.Errorf("one bad count: %s", bad.Text)
		}
		bad = w.counts("[" + count("shop.example", start, 1, 0) + "," + strings.Repeat(" ", 3) + `{"zone":"`)
		if bad.Status != 400 || bad.Errors[0].Source.Pointer != "/1" {
			t.Errorf("an array without end: %s", bad.Text)
		}
		w.sharded(1)
	})
}

func TestNobodySendsForAnotherAccount(t *testing.T) {
	w := newWorld(t, "", 1)
	one := count("shop.example", start, 1, 0)
	for _, c := range []struct {
		token, path string
		status      int
	}{
		{"other", "/accounts/" + w.a + "/traffic/counts", 403},
		{"other", "/accounts/" + w.a + "/traffic/logs?format=combined", 403},
		{"reader", "/accounts/" + w.a + "/traffic/counts", 403},
		{"reader", "/accounts/" + w.a + "/traffic/logs?format=combined", 403},
		{"writer", "/traffic/counts", 403},
		{"nobody", "/accounts/" + w.a + "/traffic/counts", 401},
	} {
		if a := w.post(c.token, c.path, one); a.Status != c.status {
			t.Errorf("%s %s: %s", c.token, c.path, a.Text)
		}
	}
	named := func(account string) string { return strings.Replace(one, "{", `{"account_id":"`+account+`",`, 1) }
	for _, foreign := range []string{w.b, "ext:other", "ext:nobody", "0192f7c417d170008000000000000009"} {
		if a := w.counts(named(foreign)); a.Status != 400 || a.Errors[0].Source.Pointer != "/account_id" ||
			!strings.Contains(a.Errors[0].Message, "another account") {
			t.Errorf("%s: %s", foreign, a.Text)
		}
	}
	w.took(w.counts(named(w.a)), 1, 0)
	w.took(w.counts(named("ext:acme")), 1, 0)
	for _, m := range w.sharded(2) {
		if m.Account != w.a {
			t.Errorf("%+v", m)
		}
	}
	if zones, err := w.dir.Zones(t.Context(), w.b, "", 10); err != nil || len(zones) > 0 {
		t.Errorf("account b has %v, %v", zones, err)
	}
}

func TestAProductTeamSendsForManyAccounts(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		one := func(account string) string {
			return fmt.Sprintf(`{"account_id":%q,"zone":"shop.example","ts":%d,"total":1}`, account, start.Unix())
		}
		a := w.took(w.post("team", "/traffic/counts",
			strings.Join([]string{one(w.a), one("ext:other"), one("ext:nobody"), count("shop.example", start, 1, 0)}, "\n")), 2,
			2)
		if a.Result.Refused[0].Errors[0].Code != int(errs.CodeUnknownAccount) ||
			a.Result.Refused[1].Errors[0].Code != int(errs.CodeMissingField) {
			t.Error(a.Text)
		}
		list := w.sharded(2)
		if list[0].Account != w.a || list[1].Account != w.b || list[0].Zone == list[1].Zone {
			t.Errorf("%+v", list)
		}
		for _, r := range decode[event.Reject](t, w.delivered(event.TopicAuditRejects, 2)) {
			if r.Producer != "0192f7c417d17000800000000000beef" {
				t.Errorf("%+v", r)
			}
		}
	})
}

// logAt writes the site's log as if its last line were now.
func logAt(t *testing.T, now time.Time) string {
	t.Helper()
	last := time.Date(2015, 5, 20, 21, 5, 59, 0, time.UTC)
	var b strings.Builder
	for line := range strings.Lines(site(t)) {
		from := strings.IndexByte(line, '[') + 1
		at, err := time.Parse("02/Jan/2006:15:04:05 -0700", line[from:from+26])
		if err != nil {
			t.Fatal(err)
		}
		b.WriteString(line[:from] + at.Add(now.Sub(last)).Format("02/Jan/2006:15:04:05 -0700") + line[from+26:])
	}
	return b.String()
}

func TestALogIsCountedAsItArrives(t *testing.T) {
	everywhere(t, func(t *testing.T, w *world) {
		log := logAt(t, start) + "odd line\n"
		path := "/accounts/" + w.a + "/traffic/logs?format=combined&zone=semicomplete.com"
		a := w.took(w.post("writer", path, zipped(t, log), "Content-Type", "text/plain", "Content-Encoding", "gzip",
			"Idempotency-Key", "day-1"), 10_000, 1)
		if a.Result.Refused[0].Index != 10_001 || !strings.Contains(a.Result.Refused[0].Errors[0].Message, "no time") {
			t.Error(a.Text)
		}
		w.took(w.post("writer", path, zipped(t, log), "Content-Type", "text/plain", "Content-Encoding", "gzip",
			"Idempotency-Key", "day-1"), 10_000, 1)
		var total, bad int64
		messages := (a.Result.Counts + 1999) / 2000
		for _, m := range w.sharded(messages) {
			for _, c := range m.Counts {
				total, bad = total+c.Total, bad+c.Bad
			}
		}
		if total != 10_000 || bad != 3 {
			t.Errorf("%d requests, %d bad", total, bad)
		}
		if n := len(w.delivered(event.TopicAuditRejects, 0)); n > 0 {
			t.Errorf("%d lines of a log travelled on", n)
		}
	})
}

func TestALogThatCannotBeTakenSaysWhy(t *testing.T) {
	w := newWorld(t, "", 1)
	path := "/accounts/" + w.a + "/traffic/logs?format="
	line := `1.2.3.4 - - [22/Nov/2026:09:59:00 +0000] "GET / HTTP/1.1" 200 1`
	for _, c := range []struct{ query, body, say string }{
		{"combined", "", "empty"},
		{"combined", line, "names no zone"},
		{"combined&zone=not+a+host", line, "not a hostname"},
		{"combined&zone=z.example", line + ` "-" "-"` + line + line, "--data-binary"}, // without its line breaks
		{"combined&zone=z.example", strings.Replace(line, "2026", "2015", 1), "oldest"},
		{"combined&zone=z.example", strings.Replace(line, "09:59", "10:59", 1), "ahead"},
		{"apache&zone=z.example", line, "format"},
		{"&zone=z.example", line, "format"},
	} {
		if a := w.post("writer", path+c.query, c.body, "Content-Type", "text/plain"); a.Status != 400 ||
			!strings.Contains(a.Text, c.say) {
			t.Errorf("%s: %s", c.query, a.Text)
		}
	}
	if a := w.post("writer", path+"combined", line, "Content-Type",
		"text/plain"); a.Errors[0].Source.Pointer != "/1/zone" || a.Result.Refused[0].Errors[0].Source.Pointer != "/zone" {
		t.Errorf("the pointer of a line without a zone: %s", a.Text)
	}
	if a := w.post("writer", path+"combined&zone=z.example", line, "Content-Type",
		"application/x-www-form-urlencoded"); a.Status != 400 || !strings.Contains(a.Text, "--data-binary") {
		t.Errorf("a form: %s", a.Text)
	}
	a := w.took(w.post("writer", path+"logpush",
		`{"EdgeStartTimestamp":`+fmt.Sprint(start.Unix())+`,"EdgeResponseStatus":521,"OriginResponseStatus":0,`+
			`"ZoneName":"shop.example","ClientRequestHost":"www.shop.example"}`), 1, 0)
	got := w.sharded(1)[0]
	if got.Counts[0].Unreachable != 1 || got.Counts[0].Hostname != "www.shop.example" ||
		got.Zone != w.zone(w.a, "shop.example") || a.Result.Counts != 1 {
		t.Errorf("%+v", got)
	}
}

func TestOneAccountDoesNotTakeAllPlacesForUploads(t *testing.T) {
	w := newWorld(t, "", 1)
	line := `1.2.3.4 - - [22/Nov/2026:09:59:00 +0000] "GET / HTTP/1.1" 200 1` + "\n"
	path := "/traffic/logs?format=combined&zone=z.example"
	var under sync.WaitGroup
	var slow []*io.PipeWriter
	for range 4 {
		r, body := io.Pipe()
		slow = append(slow, body)
		under.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), "POST", w.http.URL+"/client/v4/accounts/"+w.a+path, r)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer writer")
			res, err := w.http.Client().Do(req)
			if err != nil {
				t.Error(err)
				return
			}
			res.Body.Close()
			if res.StatusCode != 200 {
				t.Errorf("a slow upload was answered %d", res.StatusCode)
			}
		})
		if _, err := io.WriteString(body, line); err != nil {
			t.Fatal(err)
		}
	}
	for deadline := time.Now().Add(patience); w.f.Uploading(w.a) != 4; time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d uploads are under way, want 4", w.f.Uploading(w.a))
		}
	}
	if a := w.post("writer", "/accounts/"+w.a+path, line, "Content-Type", "text/plain"); a.Status != 503 ||
		a.Header.Get("Retry-After") == "" {
		t.Errorf("a fifth upload at once is answered %d, and Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
	w.took(w.post("other", "/accounts/"+w.b+path, line, "Content-Type", "text/plain"), 1, 0)
	for _, body := range slow {
		body.Close()
	}
	under.Wait()
	w.took(w.post("writer", "/accounts/"+w.a+path, line, "Content-Type", "text/plain"), 1, 0)
}

func TestMetricsSayWhatWasTakenAndRefused(t *testing.T) {
	w := newWorld(t, "", 1)
	w.took(w.counts(count("shop.example", start, 10, 1)+"\n"+count("shop.example", start, 1, 2)), 1, 1)
	w.post("writer", "/accounts/"+w.a+"/traffic/logs?format=combined&zone=shop.example",
		"odd\n"+`1.2.3.4 - - [22/Nov/2026:09:59:00 +0000] "GET / HTTP/1.1" 200 1`)
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.Metric {
			name := f.GetName()
			for _, l := range m.Label {
				name += " " + l.GetValue()
			}
			got[name] = m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{"belfry_traffic_counts_total http": 1,
		"belfry_traffic_requests_total http": 10, "belfry_traffic_requests_total log": 1,
		"belfry_traffic_refused_total out_of_range http": 1, "belfry_traffic_refused_total invalid_value log": 1,
		"belfry_traffic_lines_total combined ok": 1, "belfry_traffic_lines_total combined refused": 1,
		"belfry_traffic_sharded_total": 2, "belfry_traffic_zone_lookups_total ok": 2} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v (%v)", name, got[name], want, got)
		}
	}
}

func TestWholeNumbersMayBeWrittenAsFloats(t *testing.T) {
	w := newWorld(t, "", 1)
	at := start.Unix()
	w.took(w.counts(fmt.Sprintf(
		`{"zone":"shop.example","ts":%d.0,"seconds":1e1,"total":2.0e1,"bad":1.0,"unreachable":0.0}`, at)), 1, 0)
	if got := w.sharded(1)[0].Counts[0]; got.At != at || got.Seconds != 10 || got.Total != 20 || got.Bad != 1 {
		t.Errorf("%+v", got)
	}
	for body, say := range map[string]string{
		fmt.Sprintf(`{"zone":"shop.example","ts":%d.25,"total":1}`,
			at): "ts must be a whole number below 2^53, not a fraction",
		fmt.Sprintf(`{"zone":"shop.example","ts":%d,"total":1.5}`,
			at): "total must be a whole number below 2^53, not a fraction",
		fmt.Sprintf(`{"zone":"shop.example","ts":%d,"total":1,"bad":1e400}`,
			at): "bad must be a whole number below 2^53, not a fraction",
		fmt.Sprintf(`{"zone":"shop.example","ts":"%d","total":1}`, at):          "ts must be a whole number, not a string",
		count("shop.example", start, 1, 0) + count("shop.example", start, 1, 0): "--data-binary",
	} {
		if a := w.counts(body); a.Status != 400 || !strings.Contains(a.Text, say) {
			t.Errorf("%s: %s, want %q", body, a.Text, say)
		}
	}
	w.took(w.counts("\ufeff"+count("shop.example", start, 1, 0)), 1, 0)
}

// The account's directory bounds how many zones traffic brings; what is counted
// for another zone instead is said.
func TestRequestsWithoutAZoneOfTheirOwnAreSaid(t *testing.T) {
	w := newWorld(t, "", 1)
	zones := func(ctx context.Context, accountID, ref string) (string, string, error) {
		if strings.HasSuffix(ref, ".random.example") {
			id, _, err := w.dir.EnsureZone(ctx, accountID, "other.example")
			return id, "other", err
		}
		return w.dir.EnsureZone(ctx, accountID, ref)
	}
	w.f.SetZones(zones)
	var log strings.Builder
	for i := range 30 {
		fmt.Fprintf(&log, `{"time_iso8601":"2026-11-22T09:59:00Z","host":"h%d.random.example","status":200}`+"\n", i)
	}
	log.WriteString(`{"time_iso8601":"2026-11-22T09:59:00Z","host":"shop.example","status":200}`)
	a := w.took(w.post("writer", "/accounts/"+w.a+"/traffic/logs?format=nginx-json",
		log.String(), "Content-Type", "text/plain"), 31, 0)
	if a.Result.OtherRequests != 30 || len(a.Result.OtherZones) != 10 || a.Result.OtherZones[0] != "h0.random.example" {
		t.Errorf("a log: %+v", a.Result)
	}
	a = w.took(w.counts(count("x.random.example", start, 7, 1)+"\n"+count("shop.example", start, 5, 1)), 2, 0)
	if a.Result.OtherRequests != 7 || len(a.Result.OtherZones) != 1 {
		t.Errorf("counts: %+v", a.Result)
	}
	families, err := w.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "belfry_traffic_other_requests_total" {
			for _, m := range f.Metric {
				got[m.Label[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	if got["log"] != 30 || got["http"] != 7 || len(got) != 5 {
		t.Errorf("the metric: %v", got)
	}
}

func TestALogOfAProxyShowsItsOddLinesWithTheirNumbers(t *testing.T) {
	w := newWorld(t, "", 16)
	line := func(rest string) string { return "[" + start.Format(time.RFC3339) + `] "GET / HTTP/1.1" ` + rest }
	log := line(`200 - 0 1 2 - "-" "-" "-" "shop.example" "10.0.0.1:80"`) + "\n" +
		"odd line of ana@example.com from 192.0.2.7\n" +
		line(`503 UH 0 1 2 - "-" "-" "-" "shop.example" "-"`) + "\n"
	send := func() answer {
		return w.post("writer", "/accounts/"+w.a+"/traffic/logs?format=envoy", log, "Content-Type", "text/plain",
			"Idempotency-Key", "envoy-1")
	}
	a := w.took(send(), 2, 1)
	if len(a.Result.Refused) != 1 || a.Result.Refused[0].Index != 2 ||
		a.Result.Refused[0].Line != "odd line of … from …" {
		t.Errorf("%+v", a.Result.Refused)
	}
	// The text of a line is not stored with the answer.
	again := w.took(send(), 2, 1)
	if again.Header.Get("Idempotency-Replayed") == "" || again.Result.Refused[0].Line != "" {
		t.Errorf("%s", again.Text)
	}
	got := w.sharded(1)[0]
	if len(got.Counts) != 2 || got.Counts[0].Origin != "10.0.0.1:80" || got.Counts[1].Unreachable != 1 {
		t.Errorf("%+v", got.Counts)
	}
	if a := w.post("writer", "/accounts/"+w.a+"/traffic/logs?format=haproxy&timezone=Mars", log, "Content-Type",
		"text/plain"); a.Status != 400 || a.Errors[0].Source.Pointer != "timezone" {
		t.Errorf("%s", a.Text)
	}
}
