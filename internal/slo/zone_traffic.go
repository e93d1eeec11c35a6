package slo

import (
	"context"
	"database/sql"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// The length of a zone's traffic, and the seconds of its intervals.
const (
	trafficHours = 24
	trafficStep  = 600
)

// ZoneTraffic is the requests of a zone by hour, in event time: the present hour and the 23 before it.
type ZoneTraffic struct {
	Total  uint64        `json:"total" doc:"Requests in all hours"`
	Bad    uint64        `json:"bad" doc:"Failed requests in all hours"`
	LastAt web.Time      `json:"last_at,omitzero" doc:"End of the newest interval with requests in these hours"`
	Hours  []TrafficHour `json:"hours" doc:"The oldest first; hours without requests are included"`

	Intervals []TrafficHour `json:"intervals" doc:"The same time in steps of ten minutes. Counts that are stored in longer steps are spread over them"`
}

// TrafficHour is the requests of one hour, or of a part of it.
type TrafficHour struct {
	Start web.Time `json:"start"`
	Total uint64   `json:"total"`
	Bad   uint64   `json:"bad"`
}

// ZoneTraffic reads the requests of a zone in the last 24 hours.
func (f *Feature) ZoneTraffic(ctx context.Context, accountID, zoneID string) (ZoneTraffic, error) {
	const hour = 3600
	begin := tally.AlignDown(f.now().Unix(), hour) - (trafficHours-1)*hour
	out := ZoneTraffic{
		Hours:     make([]TrafficHour, trafficHours),
		Intervals: make([]TrafficHour, trafficHours*hour/trafficStep),
	}
	for i := range out.Hours {
		out.Hours[i].Start = timeOf(begin + int64(i)*hour)
	}
	for i := range out.Intervals {
		out.Intervals[i].Start = timeOf(begin + int64(i)*trafficStep)
	}
	err := f.db.View(ctx, func(tx *db.Tx) error {
		series, err := seriesOfZone(ctx, tx, accountID, zoneID)
		if err != nil {
			return err
		}
		var last int64
		for _, s := range series {
			history := map[uint32][]bucket{s.id: nil}
			if err := readHistory(ctx, tx, s.shard, begin, history); err != nil {
				return err
			}
			for _, b := range history[s.id] {
				i := (b.Start - begin) / hour
				if i >= trafficHours {
					continue // from a producer whose clock is ahead
				}
				out.Hours[i].Total += b.Total
				out.Hours[i].Bad += b.Bad
				out.Total += b.Total
				out.Bad += b.Bad
				out.spread(b, begin)
				last = max(last, b.End)
			}
		}
		out.LastAt = timeOf(last)
		return nil
	})
	return out, err
}

// spread adds a bucket to the intervals that it covers. The first gets what cannot be divided.
func (z *ZoneTraffic) spread(b bucket, begin int64) {
	n := uint64(max(1, (b.End-b.Start)/trafficStep))
	total := b.Total/n + b.Total%n
	bad := b.Bad/n + b.Bad%n
	for k := range int64(n) {
		i := (b.Start-begin)/trafficStep + k
		if b.Start >= begin && i < int64(len(z.Intervals)) {
			z.Intervals[i].Total += total
			z.Intervals[i].Bad += bad
		}
		total = b.Total / n
		bad = b.Bad / n
	}
}

// storedSeries names a series.
type storedSeries struct {
	shard int64
	id    uint32
}

// seriesOfZone finds the series of all requests of a zone: one in each shard that has counted the zone.
func seriesOfZone(ctx context.Context, tx *db.Tx, accountID, zoneID string) (list []storedSeries, err error) {
	err = eachRow(ctx, tx, func(rows *sql.Rows) error {
		var s storedSeries
		if err := rows.Scan(&s.shard, &s.id); err != nil {
			return err
		}
		list = append(list, s)
		return nil
	}, `SELECT shard, id FROM line
		WHERE account_id = $1 AND zone_id = $2 AND kind = $3 AND value = '' AND sli = ''`, accountID, zoneID, kindZone)
	return list, err
}

type zoneTrafficIn struct {
	ZoneID string `path:"zone_id" maxLength:"255" doc:"Its id, name or alias"`
}

func (f *Feature) registerZoneTraffic(api *web.API) {
	web.Get(api, web.Op{
		Path:        "/accounts/{account_id}/zones/{zone_id}/traffic",
		ID:          "get-zone-traffic",
		Tag:         "Zones",
		Summary:     "Read the requests of a zone by hour",
		Description: "The requests and failures of the present hour and the 23 before it, in event time.",
		Permission:  account.SLORead,
	}, func(ctx context.Context, in *zoneTrafficIn) (ZoneTraffic, error) {
		accountID := web.Account(ctx).ID
		zoneID, err := f.zoneOf(ctx, accountID, in.ZoneID)
		if err != nil {
			return ZoneTraffic{}, err
		}
		return f.ZoneTraffic(ctx, accountID, zoneID)
	})
	web.Get(api, web.Op{
		Path:    "/accounts/{account_id}/zones/{zone_id}/unreachable_origins",
		ID:      "list-unreachable-origins",
		Tag:     "Zones",
		Summary: "List the origins of a zone that cannot be reached",
		Description: "Origins that answered in the last 24 hours, of which no request was answered for five minutes, and " +
			"whose requests are more than 10 % of the zone's. At most 100, by their names.",
		Permission: account.SLORead,
	}, func(ctx context.Context, in *zoneTrafficIn) ([]DownOrigin, error) {
		accountID := web.Account(ctx).ID
		zoneID, err := f.zoneOf(ctx, accountID, in.ZoneID)
		if err != nil {
			return nil, err
		}
		return f.DownOrigins(ctx, accountID, zoneID)
	})
}

// zoneOf is the id of one of the account's zones.
func (f *Feature) zoneOf(ctx context.Context, accountID, ref string) (string, error) {
	zoneID, _, err := f.cfg.Zone(ctx, accountID, ref)
	if err == nil && zoneID == "" {
		err = errs.New(errs.CodeNotFound, "no property of the account has this id, name or alias")
	}
	return zoneID, err
}
