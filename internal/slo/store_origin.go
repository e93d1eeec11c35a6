package slo

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// OriginAlertType is the type of the alerts of passive monitoring, as belfry.yaml declares it.
const OriginAlertType = "real_origin_monitoring"

// addOrigin adds the answers of a count's origin to passive monitoring. zone is the series of its
// zone. counted reports that the origin has a series of its own, because an objective applies to it.
func (s *shardState) addOrigin(t *event.Traffic, c *event.Count, zone uint32, counted bool) {
	key := s.keyOf(&seriesKey{t.Account, t.Zone, kindOrigin, c.Origin, ""})
	name := originName{t.Account, t.Zone, c.Origin}
	if c.Total > c.Bad && !counted && s.answers.note(key, name, c.At) {
		s.refusals["origins"]++
	}
	if c.Unreachable == 0 && !s.tracked[key] && s.origins.outages[key] == nil {
		return
	}
	s.tracked[key] = true
	for _, p := range spread(c.At, c.Seconds, Tally{Total: uint64(c.Total), Bad: uint64(c.Unreachable)}, 0, nil) {
		s.origins.pending = append(s.origins.pending, originSample{p.At, key, zone, name, p.Tally})
	}
}

// originAnswered reports whether an origin gave an answer other than a failure in the last 24 hours: as a series of its
// own, or as the answers of those that have none.
func (s *shardState) originAnswered(key tally.Key) bool {
	if series, ok := s.series.Get(key); ok {
		if day := s.Sums(series, D28)[D1]; day.Total > day.Bad {
			return true
		}
	}
	return s.answers.within(key, s.Clock())
}

// originKey is the key of an origin's series.
func (s *shardState) originKey(n originName) tally.Key {
	return s.keyOf(&seriesKey{n.account, n.zone, kindOrigin, n.origin, ""})
}

// readOrigins reads the state of passive monitoring.
func (s *shardState) readOrigins(ctx context.Context, tx *db.Tx) error {
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var n originName
		var at int64
		if err := rows.Scan(&n.account, &n.zone, &n.origin, &at); err != nil {
			return err
		}
		s.answers.ticks.Set(s.originKey(n), uint32(at/Tick))
		s.answers.perAccount[n.account]++
		return nil
	}, `SELECT account_id, zone_id, origin, at FROM origin_answer WHERE shard = $1`, s.id)
	if err != nil {
		return err
	}
	return eachRow(ctx, tx, func(rows *sql.Rows) error {
		o := &outage{}
		var text string
		if err := rows.Scan(&o.name.account, &o.name.zone, &o.name.origin, &text); err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(text), o); err != nil {
			return fmt.Errorf("outage of the origin %s: %w", o.name.origin, err)
		}
		zone, ok := s.series.Get(s.keyOf(&seriesKey{o.name.account, o.name.zone, kindZone, "", ""}))
		if ok {
			o.zone = zone
			s.origins.outages[s.originKey(o.name)] = o
		}
		return nil
	}, `SELECT account_id, zone_id, origin, detail FROM origin_outage WHERE shard = $1`, s.id)
}

// maxExpired is the number of old answers that a batch removes.
const maxExpired = 1000

// writeOrigins writes what changed in passive monitoring, and enqueues its alerts.
func (s *shardState) writeOrigins(ctx context.Context, tx *db.Tx) error {
	var rows [][]any
	for _, n := range slices.SortedFunc(maps.Keys(s.answers.changed), originName.compare) {
		rows = append(rows, []any{
			s.id,
			n.account,
			n.zone,
			n.origin,
			s.answers.changed[n],
		})
	}
	err := tx.Insert(ctx, "origin_answer", []string{"shard", "account_id", "zone_id", "origin", "at"},
		`ON CONFLICT (shard, account_id, zone_id, origin) DO UPDATE SET at = excluded.at`, rows)
	if err != nil {
		return err
	}
	for _, n := range s.origins.dropped {
		_, err := tx.Exec(ctx, `DELETE FROM origin_outage
			WHERE shard = $1 AND account_id = $2 AND zone_id = $3 AND origin = $4`, s.id, n.account, n.zone, n.origin)
		if err != nil {
			return err
		}
	}
	if err := s.writeOutages(ctx, tx); err != nil {
		return err
	}
	var alerts []bus.Message
	for i := range s.origins.events {
		e := &s.origins.events[i]
		if !e.told {
			continue
		}
		value, err := json.Marshal(e.alert())
		if err != nil {
			return err
		}
		alerts = append(alerts, bus.Message{Topic: event.TopicAlerts, Key: []byte(e.name.account), Value: value})
	}
	if err := bus.Enqueue(ctx, tx, alerts...); err != nil {
		return err
	}
	return s.expireAnswers(ctx, tx)
}

func (s *shardState) writeOutages(ctx context.Context, tx *db.Tx) error {
	var changed []*outage
	for _, o := range s.origins.outages {
		if o.changed {
			changed = append(changed, o)
		}
	}
	slices.SortFunc(changed, func(a, b *outage) int { return a.name.compare(b.name) })
	var rows [][]any
	for _, o := range changed {
		text, err := json.Marshal(o)
		if err != nil {
			return err
		}
		rows = append(rows, []any{
			s.id,
			o.name.account,
			o.name.zone,
			o.name.origin,
			string(text),
		})
	}
	return tx.Insert(ctx, "origin_outage", []string{"shard", "account_id", "zone_id", "origin", "detail"},
		`ON CONFLICT (shard, account_id, zone_id, origin) DO UPDATE SET detail = excluded.detail`, rows)
}

// expireAnswers removes answers that are too old to matter: their origins no longer count towards the limit.
func (s *shardState) expireAnswers(ctx context.Context, tx *db.Tx) error {
	old := s.Clock() - answeredWithin - 3600
	s.expired = s.expired[:0]
	err := eachRow(ctx, tx, func(rows *sql.Rows) error {
		var n originName
		err := rows.Scan(&n.account, &n.zone, &n.origin)
		s.expired = append(s.expired, n)
		return err
	}, `SELECT account_id, zone_id, origin FROM origin_answer WHERE shard = $1 AND at < $2
		ORDER BY at, account_id, zone_id, origin LIMIT $3`, s.id, old, maxExpired)
	for _, n := range s.expired {
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM origin_answer
			WHERE shard = $1 AND account_id = $2 AND zone_id = $3 AND origin = $4`, s.id, n.account, n.zone, n.origin)
	}
	return err
}

// originsStored follows the commit of a batch.
func (s *shardState) originsStored() {
	for _, n := range s.expired {
		s.answers.ticks.Remove(s.originKey(n))
		if s.answers.perAccount[n.account]--; s.answers.perAccount[n.account] == 0 {
			delete(s.answers.perAccount, n.account)
		}
	}
	s.expired = s.expired[:0]
	for _, o := range s.origins.outages {
		o.changed = false
	}
	clear(s.answers.changed)
	clear(s.tracked)
	s.origins.dropped = s.origins.dropped[:0]
	s.origins.events = s.origins.events[:0]
}

// id is the id of the event's alert, so that a repeat after a crash has the same one.
func (e *originEvent) id(kind string) string {
	parts := []string{"belfry origin", e.name.account, e.name.zone, e.name.origin, strconv.FormatInt(e.started, 10), kind}
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// originData is the data of an alert about an origin.
type originData struct {
	Origin string  `json:"origin"`
	Failed uint64  `json:"unreachable"`    // requests in the last five minutes
	Total  uint64  `json:"zone_requests"`  // in the last five minutes
	Share  float64 `json:"share"`          // the first of the second
	Since  int64   `json:"since,omitzero"` // Unix seconds: since then, each answer was "unreachable"
}

func (e *originEvent) alert() event.Alert {
	data := originData{Origin: e.name.origin, Failed: e.failed, Total: e.total, Since: e.since}
	if e.total > 0 {
		data.Share = min(1, float64(e.failed)/float64(e.total))
	}
	text, err := json.Marshal(data)
	if err != nil {
		panic(err) // numbers and names always encode
	}
	a := event.Alert{
		Account:     e.name.account,
		ID:          e.id(e.event),
		Type:        OriginAlertType,
		Event:       event.AlertEvent(e.event),
		Correlation: e.id(Start),
		Severity:    "critical",
		OccurredAt:  stamp(e.at),
		Summary:     fmt.Sprintf("The origin %s answers again.", e.name.origin),
		Zone:        e.name.zone,
		Resource:    &event.AlertResource{Product: event.Product, Type: "origin", ID: e.name.origin, Name: e.name.origin},
		Data:        text,
		URL:         "/accounts/" + e.name.account + "/properties/" + e.name.zone,
	}
	if e.event == Start {
		a.BeganAt = stamp(e.since)
		a.Summary = fmt.Sprintf("The origin %s cannot be reached: none of its requests of the last 5 minutes was answered, "+
			"%s of the property's requests.", e.name.origin, percentText(data.Share))
	}
	return a
}

// DownOrigin is an origin that cannot be reached.
type DownOrigin struct {
	Origin  string   `json:"origin"`
	Since   web.Time `json:"since" doc:"Since then, none of its requests was answered; in the time of the counts"`
	FoundOn web.Time `json:"found_on" doc:"When the conditions were met"`
	Alerted bool     `json:"alerted" doc:"An alert was sent: at most one in eight hours, and three in one issue"`
}

// maxDown is the number of origins of a zone that are listed.
const maxDown = 100

// DownOrigins lists the origins of a zone that cannot be reached, by their names; at most 100.
func (f *Feature) DownOrigins(ctx context.Context, accountID, zoneID string) (list []DownOrigin, err error) {
	list = []DownOrigin{}
	err = f.db.View(ctx, func(tx *db.Tx) error {
		return eachRow(ctx, tx, func(rows *sql.Rows) error {
			var name, text string
			var o outage
			if err := rows.Scan(&name, &text); err != nil {
				return err
			}
			if err := json.Unmarshal([]byte(text), &o); err != nil {
				return err
			}
			if o.Down != 0 {
				list = append(list, DownOrigin{name, timeOf(o.Since), timeOf(o.Down), o.Open && o.Told})
			}
			return nil
		}, `SELECT origin, detail FROM origin_outage WHERE account_id = $1 AND zone_id = $2 AND detail LIKE '%"down":%'
			ORDER BY origin LIMIT $3`, accountID, zoneID, maxDown)
	})
	return list, err
}
