package telemetry

import "github.com/prometheus/client_golang/prometheus"

// StartAtZero makes the series of every combination of the labels' values. A
// series that begins with its first event has no rate() for it, and a dashboard
// shows "no data" where nothing has gone wrong. It gives the counter back.
func StartAtZero(counter *prometheus.CounterVec, values ...[]string) *prometheus.CounterVec {
	combinations := [][]string{nil}
	for _, of := range values {
		var longer [][]string
		for _, one := range combinations {
			for _, v := range of {
				longer = append(longer, append(one[:len(one):len(one)], v))
			}
		}
		combinations = longer
	}
	for _, one := range combinations {
		counter.WithLabelValues(one...)
	}
	return counter
}
