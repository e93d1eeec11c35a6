package slo

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Texts of the core: alerts, statuses and pages share them, so that they never contradict each other.

// times is a burn rate for people: "14" times, "2.3" times.
func times(burn float64) string {
	if burn >= 10 {
		return grouped(uint64(burn))
	}
	return strconv.FormatFloat(math.Floor(burn*10)/10, 'f', -1, 64)
}

// grouped writes a whole number with separators, as pages do: 12,480.
func grouped(n uint64) string {
	if n < 1000 {
		return strconv.FormatUint(n, 10)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

// span is a duration in its two largest units: 2 d 4 h, 3 h 20 min, 4 min.
func span(seconds int64) string {
	d := seconds / 86400
	h := seconds / 3600 % 24
	m := seconds / 60 % 60
	two := func(large int64, unit string, small int64, smallUnit string) string {
		if small == 0 {
			return fmt.Sprintf("%d %s", large, unit)
		}
		return fmt.Sprintf("%d %s %d %s", large, unit, small, smallUnit)
	}
	switch {
	case d > 0:
		return two(d, "d", h, "h")
	case h > 0:
		return two(h, "h", m, "min")
	case m > 0:
		return two(m, "min", seconds%60, "s")
	}
	return fmt.Sprintf("%d s", seconds)
}

// roughSpan is a span for a forecast: from ten minutes on, whole minutes.
func roughSpan(seconds int64) string {
	if seconds >= 600 {
		seconds -= seconds % 60
	}
	return span(seconds)
}

// clockSpan is a duration as a countdown: 4:56, 1:02:03.
func clockSpan(seconds float64) string {
	s := int64(math.Ceil(seconds))
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

var numbers = [...]string{
	"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
}

// countText is a number with its noun: one error, 13 errors.
func countText(n uint64, one, many string) string {
	noun := many
	if n == 1 {
		noun = one
	}
	if n < uint64(len(numbers)) {
		return numbers[n] + " " + noun
	}
	return grouped(n) + " " + noun
}

// Sentence describes the transition, for the alert.
func (t *Transition) Sentence() string {
	name := t.Objective.Name
	switch {
	case t.Event == Start:
		text := fmt.Sprintf("%s is burning its budget %s times too fast.", name, times(t.Long.Burn))
		return text + exhaustionText(t.BudgetLeft, t.ExhaustedIn, t.Short.Window) + t.alsoText()
	case t.Short.Total == 0:
		return name + " no longer burns its budget too fast."
	}
	return fmt.Sprintf("%s no longer burns its budget too fast: %s of it is left.", name, leftText(t.BudgetLeft))
}

// exhaustionText is the sentence on when the budget is spent, at the rate of a window; "" when that is not soon.
func exhaustionText(left float64, in *int64, pace Window) string {
	switch {
	case left <= 0:
		return " The budget is spent."
	case in != nil && *in < 90*86400:
		return " At the rate of the last " + span(pace.Seconds()) + " it is gone in " + roughSpan(*in) + "."
	}
	return ""
}

// leftText is the part of a budget that is left: 91 %, 0.4 %, nothing.
func leftText(left float64) string {
	switch p := left * 100; {
	case p <= 0:
		return "nothing"
	case p < 1:
		return strconv.FormatFloat(math.Floor(p*10)/10, 'f', 1, 64) + " %"
	default:
		return strconv.FormatInt(int64(p), 10) + " %"
	}
}

// percentText is a share of the requests: 29 %, 0.05 %, 0.001 %.
func percentText(ratio float64) string {
	p := 100 * ratio
	if p >= 10 {
		return strconv.FormatInt(int64(p), 10) + " %"
	}
	return strconv.FormatFloat(p, 'g', 2, 64) + " %"
}

// heldText explains why the guard keeps a pair from firing.
func heldText(long Tally, need uint64, minTotal int64) string {
	failed := fmt.Sprintf("%s of %s requests failed; ", grouped(long.Bad), grouped(long.Total))
	if long.Bad >= need {
		return failed + fmt.Sprintf("the objective asks for %s requests before it fires.", grouped(uint64(minTotal)))
	}
	return failed + fmt.Sprintf("at this traffic %s would be needed: %s could be chance.",
		grouped(need), countText(long.Bad, "error", "errors"))
}

// chanceText says that a budget's few failures could be chance; "" when there are none, or too many for that.
func (o *Objective) chanceText(t Tally) string {
	need := o.thresholds.need(t.Total)
	if t.Bad == 0 || t.Bad >= need {
		return ""
	}
	return fmt.Sprintf(" %s of %s requests failed: %s could be chance and send no alert; %s or more could not.",
		grouped(t.Bad), grouped(t.Total), countText(t.Bad, "error", "errors"), grouped(need))
}

// sentence describes the state of an objective.
func (o *Objective) sentence(s *Status, r reading, first *PairStatus, silent bool) string {
	since := " since " + time.Unix(r.dataAt, 0).UTC().Format("2 Jan, 15:04 UTC")
	if r.dataAt == 0 {
		since = " yet"
	}
	switch {
	case s.State == Recovering:
		text := o.Name + " is recovering. The failures stopped " + clockSpan(float64(s.cleanFor)) + " ago."
		if first.ResolvesIn != nil {
			text += " The alert ends in " + clockSpan(float64(*first.ResolvesIn)) + " if it stays clean."
		}
		return text
	case s.State == Burning:
		text := fmt.Sprintf("%s is burning its budget %s times too fast over the last %s.",
			o.Name, times(first.Long.Burn), span(first.Long.Window.Seconds()))
		if silent {
			return text + " There has been no data" + since + "."
		}
		return text + exhaustionText(s.Budget.Left, s.Budget.ExhaustedIn, first.Short.Window)
	case s.State == NoData:
		return "There is no data" + since + "."
	case s.Budget.Left <= 0:
		return fmt.Sprintf("%s is not burning now, but its budget is spent: %s of the requests failed, and the target "+
			"allows %s.",
			o.Name, percentText(1-s.Budget.Achieved/100), percentText(o.allowed.ratio()))
	}
	return o.calmSentence(s, r)
}

// calmSentence describes an objective that neither burns nor lacks data.
func (o *Objective) calmSentence(s *Status, r reading) string {
	left := leftText(s.Budget.Left) + " of the budget is left."
	if p := o.rising(s, r); p != nil {
		return fmt.Sprintf("%s has burned its budget %s times too fast over the last %s. %s",
			o.Name, times(p.Short.Burn), span(p.Short.Window.Seconds()), left)
	}
	text := o.Name + " is on track: " + left + o.chanceText(r.sums.Budget())
	for _, p := range s.Pairs {
		if p.State == "held" {
			return text + " " + p.Why
		}
	}
	return text
}
