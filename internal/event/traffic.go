package event

import "time"

// Traffic counts the requests of one zone over one or more intervals: the value of [TopicTrafficSharded]. It is made
// from the counts of products, with account and zone resolved.
type Traffic struct {
	Account string  `json:"account_id"`
	Zone    string  `json:"zone_id"`
	ID      string  `json:"id"` // of the batch: a repeat after a crash has the same one
	Counts  []Count `json:"counts"`
}

// Count counts the requests of one interval: [At, At+Seconds).
type Count struct {
	At          int64  `json:"ts"`                    // Unix seconds
	Seconds     int64  `json:"seconds"`               // width of the interval
	Origin      string `json:"origin,omitempty"`      // host[:port] that answered
	Hostname    string `json:"hostname,omitempty"`    // that was asked for
	PathClass   string `json:"path_class,omitempty"`  // the product's own grouping of paths
	SLI         string `json:"sli,omitempty"`         // empty = availability
	Total       int64  `json:"total"`                 // requests
	Bad         int64  `json:"bad"`                   // of these, failed (5xx; for another SLI, not good)
	Unreachable int64  `json:"unreachable,omitempty"` // of the bad ones, the origin was not reached (521)
}

// LatencySLI is the SLI of requests that are good when they take at most the threshold: "latency:300ms".
func LatencySLI(threshold time.Duration) string { return "latency:" + threshold.String() }
