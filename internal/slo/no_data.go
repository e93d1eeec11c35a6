package slo

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// An objective has no data when its requests have stopped: nothing was counted for a time that the objective sets. The
// clock of the machine decides, because a shard without counts has no time of its own: a partition that stalls, and a
// reader that died, look the same as silence. The alert is sent by [Feature.Run].

// NoDataAlertType is the type of the alerts, as belfry.yaml declares it.
const NoDataAlertType = "belfry_no_data"

// The bounds of the silence that an objective sets, and the setting without alerts.
const (
	minSilence     = 5 * time.Minute
	maxSilence     = 24 * time.Hour
	defaultSilence = 15 * time.Minute

	noDataOff = "off"
)

// noData reads the setting of an objective.
func (c *checker) noData(o *Objective, given string) {
	given = strings.TrimSpace(given)
	if given == noDataOff {
		o.NoData = noDataOff
		return
	}
	d := defaultSilence
	if given != "" {
		var err error
		if d, err = time.ParseDuration(given); err != nil || d < minSilence || d > maxSilence || d%time.Minute != 0 {
			c.fault(errs.CodeInvalid, "/no_data",
				"no_data must be off, or a duration of 5m to 24h in whole minutes, such as 15m, not %q", clip(given, 40))
			return
		}
	}
	o.NoData = strings.TrimSuffix(strings.TrimSuffix(d.String(), "0s"), "h0m")
	if d%time.Hour == 0 {
		o.NoData = strconv.Itoa(int(d/time.Hour)) + "h"
	}
}

// silence is the time without a request after which the objective has no data.
func (o *Objective) silence() time.Duration {
	d, err := time.ParseDuration(o.NoData)
	if err != nil {
		return defaultSilence // off: the state changes, and no alert is sent
	}
	return d
}

// silentAt is the time from which on silence is reported if no request follows those of a reading; 0 = it is not. With
// little traffic silence is normal: even at a tenth of the rate of the last day, it must be less likely than the
// guard's alpha.
func (o *Objective) silentAt(dataAt int64, day Tally) int64 {
	after := int64(o.silence() / time.Second)
	expected := float64(day.Total) / float64(D1.Seconds()) * float64(after) / 10
	if o.NoData == noDataOff || dataAt == 0 || expected < -math.Log(o.Guard.Alpha) {
		return 0
	}
	return dataAt + after
}

// silentObjective is an objective that has no data, or has data again.
type silentObjective struct {
	account, objective string
	dataAt             int64
	told               bool
}

// maxSilent is the number of objectives that one pass begins or ends.
const maxSilent = 1000

// reportSilence begins and ends the alerts about objectives without data.
func (f *Feature) reportSilence(ctx context.Context) error {
	now := f.now().Unix()
	var ended, begun []silentObjective
	err := f.db.View(ctx, func(tx *db.Tx) (err error) {
		ended, err = silentOnes(ctx, tx, `SELECT n.account_id, n.objective_id, r.data_at, n.told FROM no_data n
			JOIN reading r ON r.objective_id = n.objective_id WHERE r.data_at > n.data_at
			ORDER BY n.objective_id LIMIT $1`, maxSilent)
		if err != nil {
			return err
		}
		begun, err = silentOnes(ctx, tx, `SELECT o.account_id, o.id, r.data_at, FALSE FROM reading r
			JOIN objective o ON o.id = r.objective_id
			WHERE r.silent_at > $1 AND r.silent_at <= $2
			AND NOT EXISTS (SELECT 1 FROM no_data n WHERE n.objective_id = r.objective_id)
			ORDER BY r.silent_at, o.id LIMIT $3`, now-86_400, now, maxSilent)
		return err
	})
	if err != nil || len(ended)+len(begun) == 0 {
		return err
	}
	return f.cfg.Change(ctx, func(tx *db.Tx) error {
		for _, one := range ended {
			if err := endSilence(ctx, tx, one.account, one.objective, one.dataAt); err != nil {
				return err
			}
		}
		for _, one := range begun {
			if err := beginSilence(ctx, tx, one, now); err != nil {
				return err
			}
		}
		return nil
	})
}

func silentOnes(ctx context.Context, tx *db.Tx, query string, args ...any) (list []silentObjective, err error) {
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var one silentObjective
		err := rows.Scan(&one.account, &one.objective, &one.dataAt, &one.told)
		list = append(list, one)
		return err
	}, query, args...)
	return list, err
}

// beginSilence marks an objective as one without data, and enqueues the alert. Silence in a time that is corrected is
// expected. Silence that began more than an hour before is history: it is marked, and no alert is sent.
func beginSilence(ctx context.Context, tx *db.Tx, one silentObjective, now int64) error {
	o, err := findObjective(ctx, tx, one.account, one.objective)
	if err != nil {
		return err
	}
	r, err := readingOf(ctx, tx, o) // of a shard that is behind, the stored one may be old
	if err != nil {
		return err
	}
	at := o.silentAt(r.dataAt, r.sums[D1])
	if at == 0 || at > now {
		return nil
	}
	for _, x := range r.exclusions {
		if x.covers(now) {
			return nil
		}
		if x.to <= now {
			at = max(at, x.to)
		}
	}
	told := now-at <= alertFor
	n, err := tx.Exec(ctx, `INSERT INTO no_data (objective_id, account_id, data_at, told) VALUES ($1, $2, $3, $4)
		ON CONFLICT (objective_id) DO NOTHING`, o.ID, o.account, r.dataAt, told)
	if err != nil || n == 0 || !told {
		return err
	}
	return enqueueSilence(ctx, tx, o, Start, r.dataAt, at)
}

// endSilence ends the alert about an objective without data, if there is one. at is the time of its newest data.
func endSilence(ctx context.Context, tx *db.Tx, accountID, objectiveID string, at int64) error {
	list, err := silentOnes(ctx, tx, `SELECT account_id, objective_id, data_at, told FROM no_data
		WHERE account_id = $1 AND objective_id = $2`, accountID, objectiveID)
	if err != nil || len(list) == 0 {
		return err
	}
	n, err := tx.Exec(ctx, `DELETE FROM no_data WHERE objective_id = $1`, objectiveID)
	if err != nil || n == 0 || !list[0].told {
		return err
	}
	o, err := findObjective(ctx, tx, accountID, objectiveID)
	if err != nil {
		return err
	}
	return enqueueSilence(ctx, tx, o, End, list[0].dataAt, at)
}

// silenceData is the data of an alert about an objective without data.
type silenceData struct {
	Objective struct {
		ID   string `json:"id"`
		Name string `json:"name"`
	} `json:"objective"`
	DataAt int64 `json:"data_at"`
	After  int64 `json:"after_seconds"`
}

func enqueueSilence(ctx context.Context, tx *db.Tx, o *Objective, kind string, dataAt, at int64) error {
	id := func(kind string) string {
		parts := []string{"belfry no data", o.ID, strconv.FormatInt(dataAt, 10), kind}
		sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
		return hex.EncodeToString(sum[:16])
	}
	data := silenceData{DataAt: dataAt, After: int64(o.silence() / time.Second)}
	data.Objective.ID = o.ID
	data.Objective.Name = o.Name
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	a := event.Alert{
		Account:     o.account,
		ID:          id(kind),
		Type:        NoDataAlertType,
		Event:       event.AlertEvent(kind),
		Correlation: id(Start),
		Severity:    "warning",
		OccurredAt:  stamp(at),
		Summary:     o.Name + " has data again.",
		Zone:        o.Match.Zone,
		Resource:    &event.AlertResource{Product: event.Product, Type: "objective", ID: o.ID, Name: o.Name},
		Filters:     map[string][]string{"zones": {o.Match.Zone}, "objectives": {o.ID}},
		Data:        text,
		URL:         objectivePath(o.account, o.ID),
	}
	if kind == Start {
		a.BeganAt = stamp(dataAt)
		a.Summary = fmt.Sprintf("%s has no data: no request was counted since %s. It is not known whether it works.",
			o.Name, time.Unix(dataAt, 0).UTC().Format("15:04 UTC"))
	}
	value, err := json.Marshal(a)
	if err != nil {
		return err
	}
	return bus.Enqueue(ctx, tx, bus.Message{Topic: event.TopicAlerts, Key: []byte(o.account), Value: value})
}
