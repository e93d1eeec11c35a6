package slo

import (
	"fmt"
	"math"
	"strconv"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// Times is a burn rate as people say it: 14 times, 2.3 times.
func times(burn float64) string {
	switch {
	case burn >= 10:
		s, _ := ui.Num(int64(burn)) // a whole number never fails
		return s
	default:
		return strconv.FormatFloat(math.Floor(burn*10)/10, 'f', -1, 64)
	}
}

// span is a duration with its two largest units: 2 d 4 h, 3 h 20 min, 4 min.
func span(seconds int64) string {
	d, h, m := seconds/86400, seconds/3600%24, seconds/60%60
	two := func(a int64, unit string, b int64, smaller string) string {
		if b == 0 {
			return fmt.Sprintf("%d %s", a, unit)
		}
		return fmt.Sprintf("%d %s %d %s", a, unit, b, smaller)
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

// roughSpan is a span for a forecast: whole minutes from ten minutes on.
func roughSpan(seconds int64) string {
	if seconds >= 600 {
		seconds -= seconds % 60
	}
	return span(seconds)
}

// clockSpan is minutes and seconds as a countdown shows them: 4:56, 1:02:03.
func clockSpan(seconds float64) string {
	s := int64(math.Ceil(seconds))
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

var numbers = [...]string{"no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}

func countText(n uint64, one, many string) string {
	word := many
	if n == 1 {
		word = one
	}
	if n < uint64(len(numbers)) {
		return numbers[n] + " " + word
	}
	s, _ := ui.Num(n)
	return s + " " + word
}

// Sentence is the transition for people, as the alert carries it.
func (t *Transition) Sentence() string {
	name := t.Objective.Name
	if t.Event == End {
		if t.Short.Total == 0 {
			return name + " no longer burns its budget too fast."
		}
		return fmt.Sprintf("%s no longer burns its budget too fast: %s of it is left.", name, leftText(t.BudgetLeft))
	}
	s := fmt.Sprintf("%s is burning its budget %s times too fast.", name, times(t.Long.Burn))
	return s + exhaustionText(t.BudgetLeft, t.ExhaustedIn, t.Short.Window)
}

// exhaustedWords ends a sentence about a burn: when the budget is gone, at the
// rate of a window.
func exhaustionText(left float64, in *int64, pace Window) string {
	switch {
	case left <= 0:
		return " The budget is spent."
	case in != nil && *in < 90*86400:
		return " At the rate of the last " + span(pace.Seconds()) + " it is gone in " + roughSpan(*in) + "."
	}
	return ""
}

// leftWords is what is left of a budget: 91 %, 0.4 %, nothing.
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

// shareWords is a share of the requests: 29 %, 0.05 %, 0.001 %.
func percentText(ratio float64) string {
	p := 100 * ratio
	if p >= 10 {
		return strconv.FormatInt(int64(p), 10) + " %"
	}
	return strconv.FormatFloat(p, 'g', 2, 64) + " %"
}

// heldWords says why the guard keeps a pair from firing.
func heldText(long Tally, need uint64, minTotal int64) string {
	bad, _ := ui.Num(long.Bad)
	total, _ := ui.Num(long.Total)
	if long.Bad >= need {
		most, _ := ui.Num(minTotal)
		return fmt.Sprintf("%s of %s requests failed; the objective asks for %s requests before it fires.", bad, total, most)
	}
	needed, _ := ui.Num(need)
	return fmt.Sprintf("%s of %s requests failed; at this traffic %s would be needed: %s could be chance.", bad, total, needed, countText(long.Bad, "error", "errors"))
}

// chanceWords says of a budget that a few failures touched that they could be
// chance, as the guard sees it; "" when there are none, or more than that.
func (o *Objective) chanceText(t Tally) string {
	need := o.thresholds.need(t.Total)
	if t.Bad == 0 || t.Bad >= need {
		return ""
	}
	bad, _ := ui.Num(t.Bad) // whole numbers never fail
	total, _ := ui.Num(t.Total)
	least, _ := ui.Num(need)
	return fmt.Sprintf(" %s of %s requests failed: %s could be chance and send no alert; %s or more could not.",
		bad, total, countText(t.Bad, "error", "errors"), least)
}
