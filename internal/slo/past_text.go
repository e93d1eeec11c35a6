package slo

import "fmt"

// PastSentence is the transition for people who read of it afterwards. Sentence
// is the text of the alert, which was written at the time.
func (p *Past) PastSentence() string {
	if p.Event == End {
		if p.Short.Total == 0 {
			return p.name + " stopped burning its budget too fast."
		}
		return fmt.Sprintf("%s stopped burning its budget too fast: %s of it was left.", p.name, leftText(p.BudgetLeft))
	}
	s := fmt.Sprintf("%s burned its budget %s times too fast.", p.name, times(p.Long.Burn))
	switch {
	case p.BudgetLeft <= 0:
		s += " The budget was spent."
	case p.ExhaustedIn != nil && *p.ExhaustedIn < 90*86400:
		s += " At that rate it would have been gone in " + roughSpan(*p.ExhaustedIn) + "."
	}
	return s
}
