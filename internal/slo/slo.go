// Package slo turns the counts of requests into error budgets, and tells when
// one burns too fast.
//
//	topic of counts -> Consumer -> engine -> columns, states, transitions, outbox of alerts
//	objectives (API, pages) -> revision of the shards -> engine
//	columns -> Reader -> status, series, pages
package slo
