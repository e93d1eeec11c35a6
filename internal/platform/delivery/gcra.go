package delivery

import "time"

// Rate permits Burst at once and then one per Every. The zero Rate is unlimited.
type Rate struct {
	Every time.Duration
	Burst int // 0 = 1
}

// take is the generic cell rate algorithm (ITU-T I.371, annex A). tat is the
// theoretical arrival time so far. wait is 0 when one is permitted now; then the
// result is the new theoretical arrival time.
func (r Rate) take(tat, now time.Time) (next time.Time, wait time.Duration) {
	if r.Every <= 0 {
		return tat, 0
	}
	start := tat
	if now.After(tat) {
		start = now
	}
	tolerance := r.Every * time.Duration(max(0, r.Burst-1))
	if wait = start.Add(-tolerance).Sub(now); wait > 0 {
		return tat, wait
	}
	return start.Add(r.Every), 0
}
