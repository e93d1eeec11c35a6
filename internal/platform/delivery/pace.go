package delivery

import "time"

// pace is the state of one rate key. Lanes that find the rate used up are parked
// here; as it permits, one lane at a time continues, and tenants take turns.
//
// The rate holds for one process. It is exact where all deliveries of a key have
// the same destination, since a destination has one owner.
type pace struct {
	key    string
	rate   Rate
	tat    time.Time // see Rate.take
	parked []*parked // in turn
	alarm  time.Time // of the earliest timer that is set; zero = none
}

// parked is the lanes of one tenant that wait for a rate.
type parked struct {
	tenant *tenant
	lanes  []*lane
}

// admit reports whether the rate permits the first item of a lane now, and parks
// the lane otherwise.
func (q *Queue) admit(l *lane) bool {
	it := l.items[0]
	if q.cfg.Rate == nil || it.admitted {
		return true
	}
	key, rate := q.cfg.Rate(it)
	if rate.Every <= 0 {
		return true
	}
	p := q.paces[key]
	if p == nil {
		p = &pace{key: key}
		q.paces[key] = p
	}
	p.rate = rate
	if len(p.parked) == 0 && q.permitted(p) {
		it.admitted = true
		q.setAlarm(p)
		return true
	}
	p.park(l)
	q.setAlarm(p)
	return false
}

// permitted counts one delivery, if the rate permits it now.
func (q *Queue) permitted(p *pace) bool {
	next, wait := p.rate.take(p.tat, q.cfg.Now())
	if wait > 0 {
		return false
	}
	p.tat = next
	return true
}

func (p *pace) park(l *lane) {
	l.parked = true
	for _, w := range p.parked {
		if w.tenant == l.dest.tenant {
			w.lanes = append(w.lanes, l)
			return
		}
	}
	p.parked = append(p.parked, &parked{tenant: l.dest.tenant, lanes: []*lane{l}})
}

// unpark removes the next lane that has something to send; nil when there is none.
func (p *pace) unpark() *lane {
	for len(p.parked) > 0 {
		w := p.parked[0]
		p.parked = p.parked[1:]
		l := w.lanes[0]
		w.lanes = w.lanes[1:]
		if len(w.lanes) > 0 {
			p.parked = append(p.parked, w)
		}
		l.parked = false
		if len(l.items) > 0 {
			return l
		}
	}
	return nil
}

// setAlarm sets a timer for the next parked lane, or for the moment from which
// an idle key need not be kept.
func (q *Queue) setAlarm(p *pace) {
	at := p.tat
	if len(p.parked) > 0 {
		now := q.cfg.Now()
		_, wait := p.rate.take(p.tat, now)
		at = now.Add(wait)
	}
	if p.alarm.IsZero() || at.Before(p.alarm) {
		p.alarm = at
		q.timers.push(timer{at: at, pace: p})
	}
}

// resumePace lets parked lanes continue as far as the rate permits, and drops a
// key that is idle.
func (q *Queue) resumePace(p *pace) {
	p.alarm = time.Time{}
	for len(p.parked) > 0 {
		if _, wait := p.rate.take(p.tat, q.cfg.Now()); wait > 0 {
			break
		}
		if l := p.unpark(); l != nil {
			q.permitted(p)
			l.items[0].admitted = true
			q.schedule(l)
		}
	}
	if len(p.parked) > 0 || p.tat.After(q.cfg.Now()) {
		q.setAlarm(p)
	} else if q.paces[p.key] == p {
		delete(q.paces, p.key)
	}
}
