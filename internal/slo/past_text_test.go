package slo

import "testing"

func TestPastBurnsAreToldInThePast(t *testing.T) {
	gone := int64(3 * 3600)
	for _, c := range []struct {
		past Past
		want string
	}{
		{
			Past{Event: Start, Long: Reading{Burn: 17.3}, BudgetLeft: 0.4, ExhaustedIn: &gone},
			"checkout burned its budget 17 times too fast. At that rate it would have been gone in 3 h.",
		},
		{
			Past{Event: Start, Long: Reading{Burn: 2.31}, BudgetLeft: -0.1},
			"checkout burned its budget 2.3 times too fast. The budget was spent.",
		},
		{
			Past{Event: End, Short: Reading{Total: 10}, BudgetLeft: 0.62},
			"checkout stopped burning its budget too fast: 62 % of it was left.",
		},
		{Past{Event: End}, "checkout stopped burning its budget too fast."},
	} {
		c.past.name = "checkout"
		if got := c.past.PastSentence(); got != c.want {
			t.Errorf("%q instead of %q", got, c.want)
		}
	}
}
