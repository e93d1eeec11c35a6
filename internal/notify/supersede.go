package notify

import (
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// supersede applies the order of START and END to a lane, which holds the
// messages of one correlation id to one destination:
//
//	END before START was attempted       both are superseded
//	START attempted, without success     START is superseded, END is sent
//	START in flight                      END waits for it
//	START failed for good                END is not sent
//
// It is the engine's Order.
func supersede(lane []*delivery.Item, failed *delivery.Item) (closed []delivery.Closing) {
	if failed != nil {
		return cancelEnd(lane, failed)
	}
	var gone []*delivery.Item
	for i, end := range lane {
		if outgoingOf(end).Event != event.AlertEnd || end.ReplayOf != "" {
			continue
		}
		j := slices.IndexFunc(lane[:i], func(start *delivery.Item) bool {
			return endsStart(start, end) && !start.InFlight() && !slices.Contains(gone, start)
		})
		if j < 0 {
			continue
		}
		start := lane[j]
		gone = append(gone, start)
		if start.Attempted() {
			closed = append(closed, delivery.Closing{
				Item:  start,
				State: delivery.StateSuperseded,
				Why:   "it ended before the start arrived; the end was sent instead",
			})
			continue
		}
		gone = append(gone, end)
		closed = append(closed,
			delivery.Closing{
				Item:  start,
				State: delivery.StateSuperseded,
				Why:   "it ended before the first message was sent",
			},
			delivery.Closing{
				Item:  end,
				State: delivery.StateSuperseded,
				Why:   "it ended before a message about its start was sent",
			})
	}
	return closed
}

// endsStart reports whether start is the message whose end is end.
func endsStart(start, end *delivery.Item) bool {
	s := outgoingOf(start)
	e := outgoingOf(end)
	return s.Event == event.AlertStart && start.ReplayOf == "" && start.Subject == end.Subject && s.PolicyID == e.PolicyID
}

const whyNoStart = "its start did not arrive, so there is nothing to end"

// cancelEnd closes the END of a START that failed for good.
func cancelEnd(lane []*delivery.Item, start *delivery.Item) (closed []delivery.Closing) {
	for _, end := range lane {
		if outgoingOf(end).Event == event.AlertEnd && end.ReplayOf == "" && endsStart(start, end) {
			closed = append(closed, delivery.Closing{Item: end, State: delivery.StateNotSent, Why: whyNoStart})
		}
	}
	return closed
}
