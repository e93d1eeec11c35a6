package slo

import (
	"fmt"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// chanceWords says of a budget that a few failures touched that they could be
// chance, as the guard sees it; "" when there are none, or more than that.
func (o *Objective) chanceWords(t Tally) string {
	need := o.thresholds.need(t.Total)
	if t.Bad == 0 || t.Bad >= need {
		return ""
	}
	bad, _ := ui.Num(t.Bad) // whole numbers never fail
	total, _ := ui.Num(t.Total)
	least, _ := ui.Num(need)
	return fmt.Sprintf(" %s of %s requests failed: %s could be chance and send no alert; %s or more could not.",
		bad, total, countWord(t.Bad, "error", "errors"), least)
}
