package slo

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// AlsoBurning is another objective of the account that began to burn at about the same time.
type AlsoBurning struct {
	ObjectiveID string `json:"objective_id"`
	Name        string `json:"name"`
	Zone        string `json:"zone"`
	Began       int64  `json:"began"` // Unix seconds
}

// Bounds of what an alert says about other objectives.
const (
	maxAlso      = 5
	sameTime     = 300 // seconds between the beginnings of two burns
	maxAlsoLooks = 100 // accounts whose objectives are looked up for one batch
	maxFirings   = 1000
)

// setAlso adds the other objectives of the account that burn since about the same time to the starts that are sent. The
// states of the pairs have been written.
func setAlso(ctx context.Context, tx *db.Tx, list []Transition) error {
	known := map[string][]AlsoBurning{}
	for i := range list {
		t := &list[i]
		if t.Event != Start || !t.alert {
			continue
		}
		firings, ok := known[t.Objective.account]
		if !ok && len(known) == maxAlsoLooks {
			continue
		}
		if !ok {
			var err error
			if firings, err = readFirings(ctx, tx, t.Objective.account); err != nil {
				return err
			}
			known[t.Objective.account] = firings
		}
		seen := map[string]bool{t.Objective.ID: true}
		for _, other := range firings {
			if seen[other.ObjectiveID] || other.Began < t.Began-sameTime || other.Began > t.Began+sameTime {
				continue
			}
			seen[other.ObjectiveID] = true
			if len(t.Also) == maxAlso {
				t.AlsoMore = true
				break
			}
			t.Also = append(t.Also, other)
		}
	}
	return nil
}

// readFirings lists the pairs of an account that fire, with the beginning of the burn, the earliest first.
func readFirings(ctx context.Context, tx *db.Tx, accountID string) (list []AlsoBurning, err error) {
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var a AlsoBurning
		err := rows.Scan(&a.ObjectiveID, &a.Name, &a.Zone, &a.Began)
		list = append(list, a)
		return err
	}, `SELECT o.id, o.name, o.zone_id, s.began FROM objective o JOIN standing s ON s.objective_id = o.id
		WHERE o.account_id = $1 AND s.state = $2 ORDER BY s.began, o.id, s.pair LIMIT $3`,
		accountID, int64(firing), maxFirings)
	return list, err
}

// alsoText is the sentence on other objectives that burn since about the same time; "" when there are none.
func (t *Transition) alsoText() string {
	n := len(t.Also)
	if n == 0 {
		return ""
	}
	names := t.Also[0].Name
	for i, other := range t.Also[1:] {
		if i == n-2 && !t.AlsoMore {
			names += " and " + other.Name
		} else {
			names += ", " + other.Name
		}
	}
	verb := "burns"
	if n > 1 {
		verb = "burn"
	}
	if t.AlsoMore {
		names += " and more"
	}
	since := "about the same time"
	if t.Also[0].Began/60 == t.Began/60 && t.Also[n-1].Began/60 == t.Began/60 {
		since = "the same minute"
	}
	return fmt.Sprintf(" %s %s since %s.", names, verb, since)
}
