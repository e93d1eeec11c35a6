package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/test/e2e/live"
)

// reject is a record of belfry.audit.rejects.
type reject struct {
	Producer string `json:"producer_id"`
	Account  string `json:"account_id"`
	Via      string `json:"via"`
	EventID  string `json:"event_id"`
	Errors   []struct {
		Code    int    `json:"code"`
		Pointer string `json:"pointer"`
		Message string `json:"message"`
	} `json:"errors"`
	Source struct {
		Topic     string `json:"topic"`
		Partition int32  `json:"partition"`
		Offset    int64  `json:"offset"`
	} `json:"source"`
}

// busPosition is the position of a record on the bus.
type busPosition struct {
	partition int32
	offset    int64
}

// TestABadEventIsRefusedAloneOnTheBus publishes each bad event between two good ones. The
// bus has acknowledged all three: the good ones must be in the record once, and the topic
// of rejects must say of the bad one what HTTP would have said.
func TestABadEventIsRefusedAloneOnTheBus(t *testing.T) {
	a := newAccount(t)
	named := func(body string) string { // names the account in the event, as the bus wants it
		if strings.HasPrefix(body, `{"`) {
			return `{"account_id":"` + a.ID + `",` + body[1:]
		}
		return body
	}
	rows := badEvents()
	for i := range rows {
		if rows[i].name == "64 KiB" {
			rows[i].text = sized("b.large", 1<<16-len(named("{\"}"))+len("{\"}"))
		}
		rows[i].text = named(rows[i].text)
	}
	rows = append(rows,
		badEvent{"nothing", "", 1101, "", "the record has no value"},
		badEvent{"no account", jsonText(event("b.nobody")), 1103, "/account_id", "account_id is required"},
		badEvent{"an account that does not exist", jsonText(event("b.no-account", "account_id", strings.Repeat("0", 32))),
			12005,
			"/account_id", "existing account"},
		badEvent{"a list of events", "[" + named(jsonText(event("b.listed"))) + "]", 1104, "", "must be an object"},
		badEvent{"an id that another event has",
			named(jsonText(event("bus.0.a", "action", map[string]any{"type": "delete"}))),
			12000, "/id", "belongs to another event"},
	)
	var values, kept []string
	for i, bad := range rows {
		first := fmt.Sprintf("bus.%d.a", i)
		last := fmt.Sprintf("bus.%d.b", i)
		values = append(values, named(jsonText(event(first))), bad.text, named(jsonText(event(last))))
		kept = append(kept, first, last)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	places := produce(ctx, t, a.ID, values)
	said := rejectsOf(ctx, t, places)
	for i, bad := range rows {
		for _, at := range []int{3 * i, 3*i + 2} {
			if r, refused := said[places[at]]; refused {
				t.Errorf("the good event beside %s was refused: %+v", bad.name, r)
			}
		}
		r, ok := said[places[3*i+1]]
		if !ok || len(r.Errors) == 0 {
			t.Errorf("%s: nothing on belfry.audit.rejects", bad.name)
			continue
		}
		if e := r.Errors[0]; r.Via != "kafka" || e.Code != bad.code || e.Pointer != bad.pointer ||
			!strings.Contains(e.Message, bad.message) {
			t.Errorf("%s: %+v, want code %d at %q with %q", bad.name, r, bad.code, bad.pointer, bad.message)
		}
		if id := bad.id(); id != "" && bad.code != 12000 {
			absent(t, a, id)
		}
	}
	holds(t, a, append(kept, stillTakes(t, a, "bus.after")))

	t.Run("the account finds them among its rejects", func(t *testing.T) {
		live.Eventually(t, "the unknown field in the list", func() bool {
			list := belfry.Call(t, a.Token, "GET", a.path("/audit/rejects?limit=1000"), nil)
			return list.Status == http.StatusOK && strings.Contains(string(list.Result), "colour is not a field")
		})
		stranger := newAccount(t)
		list := belfry.Call(t, stranger.Token, "GET", stranger.path("/audit/rejects"), nil)
		if list.Status != http.StatusOK || string(list.Result) != "[]" {
			t.Errorf("another account's rejects: status %d: %.300s", list.Status, list.Result)
		}
	})
}

// produce publishes with acknowledgement by all and says where each record lies. One key
// keeps them in their order.
func produce(ctx context.Context, t *testing.T, key string, values []string) []busPosition {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(belfry.Brokers, ",")...),
		kgo.RequiredAcks(kgo.AllISRAcks()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	records := make([]*kgo.Record, len(values))
	for i, v := range values {
		records[i] = &kgo.Record{Topic: "belfry.audit.events", Key: []byte(key), Value: []byte(v)}
	}
	if err := client.ProduceSync(ctx, records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
	places := make([]busPosition, len(records))
	for i, r := range records {
		places[i] = busPosition{r.Partition, r.Offset}
	}
	return places
}

// rejectsOf reads the topic of rejects from its beginning until one of every second of
// three places was told of. A place that never comes ends with the context.
func rejectsOf(ctx context.Context, t *testing.T, places []busPosition) map[busPosition]reject {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(belfry.Brokers, ",")...),
		kgo.ConsumeTopics("belfry.audit.rejects"),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	waiting := map[busPosition]bool{}
	for i := 1; i < len(places); i += 3 {
		waiting[places[i]] = true
	}
	said := map[busPosition]reject{}
	for len(waiting) > 0 && ctx.Err() == nil {
		for _, r := range client.PollFetches(ctx).Records() {
			var one reject
			if err := json.Unmarshal(r.Value, &one); err != nil {
				t.Errorf("a reject is no JSON: %v: %.300s", err, r.Value)
				continue
			}
			if one.Source.Topic != "belfry.audit.events" {
				continue // of HTTP: told in the answer too
			}
			at := busPosition{one.Source.Partition, one.Source.Offset}
			if _, again := said[at]; again {
				t.Errorf("the record at %v was refused twice", at)
			}
			said[at] = one
			delete(waiting, at)
		}
	}
	return said
}
