package slo

import (
	"math"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// Texts and colours of pages, as methods that templates call.

// Percent is the target as a text: 99.95 %.
func (o *Objective) Percent() string { return strconv.FormatFloat(o.Target, 'f', -1, 64) + " %" }

// reachedText is the share of good requests, in percent, never rounded up.
func reachedText(good float64) string {
	return strconv.FormatFloat(math.Floor(good*1000)/1000, 'f', 3, 64) + " %"
}

// WindowText is the period of the budget.
func (o *Objective) WindowText() string {
	if o.Window.IsCalendar() {
		return "this " + o.Window.String()
	}
	return strconv.FormatInt(o.Window.Seconds()/86400, 10) + " days rolling"
}

// Part names the part of the zone that the objective applies to; "" is the whole zone.
func (o *Objective) Part() string {
	part := ""
	switch k := o.seriesKey(); k.kind {
	case kindOrigin:
		part = "origin " + k.value
	case kindHostname:
		part = "host " + k.value
	case kindPathClass:
		part = "paths " + k.value
	case kindComposite:
		part = o.Composite.text()
	}
	return strings.TrimSpace(part + " " + o.SLI)
}

// Tone is the colour of the state.
func (s Status) Tone() ui.Tone {
	switch {
	case s.State == Burning:
		return ui.Bad
	case s.State == Recovering, s.State == NoData, s.Rising:
		return ui.Warn
	}
	return ui.Good
}

// Word is the state as a label.
func (s Status) Word() string {
	switch s.State {
	case Burning:
		return "Burning"
	case Recovering:
		return "Recovering"
	case NoData:
		return "No data"
	}
	if s.Rising {
		return "Rising"
	}
	return "On track"
}

// BudgetTone is the colour of the budget: red while it burns or is spent, amber when little is left.
func (s Status) BudgetTone() ui.Tone {
	switch {
	case s.State == Burning, s.Budget.Total > 0 && s.Budget.Left <= 0:
		return ui.Bad
	case s.Budget.Total > 0 && s.Budget.Left < 0.25:
		return ui.Warn
	case s.Budget.Total == 0:
		return ""
	}
	return ui.Good
}

// LeftText is the part of the budget that is left: 91 %, 0 %.
func (b BudgetStatus) LeftText() string {
	if b.Total == 0 {
		return "–"
	}
	if b.Left <= 0 {
		return "0 %"
	}
	return leftText(b.Left)
}

// Bar is the part of the budget that is left, 0 to 100.
func (b BudgetStatus) Bar() int { return int(100 * min(1, max(0, b.Left))) }

// WindowText is the window of a reading: 5 min, 1 h.
func (r Reading) WindowText() string { return span(r.Window.Seconds()) }

// BurnText is the burn rate: 1.4×.
func (r Reading) BurnText() string {
	if r.Total == 0 {
		return "–"
	}
	return times(r.Burn) + "×"
}

func (b BudgetStatus) endText() string {
	switch {
	case b.Total == 0:
		return "–"
	case b.Left <= 0:
		return "spent"
	case b.ExhaustedIn == nil || *b.ExhaustedIn > 90*86400:
		return "not soon"
	}
	return "in " + roughSpan(*b.ExhaustedIn)
}

// BurnNow is the burn rate that pages show: that of the long window of the firing pair, else of the last five minutes,
// else, when these have no request, of the last hour.
func (s Status) BurnNow() Reading { return s.burnNow }

// Chance reports that the burn rate is above 1, but comes from so few failures that it could be chance.
func (s Status) Chance() bool { return s.chance }

// Pace names the rate behind the forecast of the budget's end.
func (s Status) Pace() string { return s.pace }

// burnText is the burn rate with its window: 14× over 1 h.
func (s Status) burnText() string {
	text := s.burnNow.BurnText() + " over " + s.burnNow.WindowText()
	if s.chance {
		text += ", could be chance"
	}
	return text
}

// EndText is the time until the budget ends at the present rate.
func (s Status) EndText() string {
	if s.State == Recovering && s.Budget.Left > 0 {
		return "paused"
	}
	return s.Budget.endText()
}
