package client

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
)

// Ingest calls an ingestion endpoint. An answer with results of the items is a
// success, even when all items are rejected: sending them again would not change it.
func (c *Client) Ingest(ctx context.Context, r Request) (*Envelope, error) {
	env, err := c.Call(ctx, r)
	var p *Problem
	if errors.As(err, &p) && len(p.ResultInfo) > 0 && string(p.ResultInfo) != "null" {
		return &p.Envelope, nil
	}
	return env, err
}

// CountsResult is the answer to counts of requests.
type CountsResult struct {
	Rejected         int    // counts
	RejectedRequests int64  // in these counts
	OtherRequests    int64  // counted for the zone other, because the account had no room for new zones
	Why              string // reason of the first rejection; "" = none
}

// SendCounts sends counts of requests, a JSON array. A repeat with the same key is
// counted once.
func (c *Client) SendCounts(ctx context.Context, account, key string, counts []byte) (CountsResult, error) {
	env, err := c.Ingest(ctx, Request{
		Method:      http.MethodPost,
		Path:        "/accounts/" + url.PathEscape(account) + "/traffic/counts",
		ContentType: "application/json",
		Body:        counts,
		Key:         key,
	})
	if err != nil {
		return CountsResult{}, err
	}

	var info struct{ Rejected int }
	var result struct {
		RejectedRequests int64 `json:"rejected_requests"`
		OtherRequests    int64 `json:"other_requests"`
		Refused          []struct{ Errors []struct{ Message string } }
	}
	if err := errors.Join(json.Unmarshal(env.ResultInfo, &info), json.Unmarshal(env.Result, &result)); err != nil {
		return CountsResult{}, err
	}
	out := CountsResult{
		Rejected:         info.Rejected,
		RejectedRequests: result.RejectedRequests,
		OtherRequests:    result.OtherRequests,
	}
	if len(result.Refused) > 0 && len(result.Refused[0].Errors) > 0 {
		out.Why = result.Refused[0].Errors[0].Message
	}
	return out, nil
}

// CountingRules reads how requests of a zone are counted, into out. known is false when
// the server is of a version that has no such rules.
func (c *Client) CountingRules(ctx context.Context, account, zone string, out any) (known bool, err error) {
	path := "/accounts/" + url.PathEscape(account) + "/traffic/counting"
	if zone != "" {
		path += "?zone=" + url.QueryEscape(zone)
	}
	err = c.JSON(ctx, http.MethodGet, path, nil, out)
	var p *Problem
	if errors.As(err, &p) && p.Status == http.StatusNotFound {
		return false, nil
	}
	return err == nil, err
}

// Temporary reports whether a request that failed may succeed later.
func Temporary(err error) bool {
	var p *Problem
	return !errors.As(err, &p) ||
		p.Status == http.StatusRequestTimeout || p.Status == http.StatusTooManyRequests || p.Status >= 500
}

// RejectsContent reports whether the server rejected the content of one request:
// another may succeed. Other answers (401, 403, 404) concern all requests.
func RejectsContent(err error) bool {
	var p *Problem
	if !errors.As(err, &p) {
		return false
	}
	switch p.Status {
	case http.StatusBadRequest, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return true
	}
	return false
}
