package notify

import (
	"context"
	"slices"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/delivery"
)

// supersede applies the order of START and END to a lane, which holds the
// messages of one correlation id to one destination. A person or a pager that has
// not learned of a START need not learn of its END:
//
//	END before START was attempted       both are superseded
//	START attempted, without success     START is superseded, END is sent
//	START in flight                      END waits for it
//
// A program that counts incidents (see Traits.Program) gets both in order, each
// until it is delivered or its schedule ends. Only a START that its policy holds
// back ends with its END for programs too: the policy asks for fewer messages.
//
// What follows from a START that failed is decided when its END is composed (see
// endAfter). It is the engine's Order.
func (n *Feature) supersede(lane []*delivery.Item) (closed []delivery.Closing) {
	program := n.program(lane[0])
	var gone []*delivery.Item
	for i, end := range lane {
		if outgoingOf(end).Event != event.AlertEnd || end.ReplayOf != "" {
			continue
		}
		j := slices.IndexFunc(lane[:i], func(start *delivery.Item) bool {
			return endsStart(start, end) && !start.InFlight() && !slices.Contains(gone, start)
		})
		if j < 0 || program && (lane[j].Attempted() || !lane[j].HoldUntil.After(n.Now())) {
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

// program reports whether the receiver of a delivery is a program.
func (n *Feature) program(it *delivery.Item) bool {
	c := n.channelOf(it.Kind, outgoingOf(it).Type)
	return c != nil && c.Traits().Program
}

// endsStart reports whether start is the message whose end is end.
func endsStart(start, end *delivery.Item) bool {
	s := outgoingOf(start)
	e := outgoingOf(end)
	return s.Event == event.AlertStart && start.ReplayOf == "" && start.Subject == end.Subject && s.PolicyID == e.PolicyID
}

const whyNoStart = "its start did not arrive, so there is nothing to end"

// endAfter decides on an END whose START was not delivered yet when the END was
// stored, and has ended since: where the START went to a fallback, the END follows
// it; where a person or a pager did not get the START, the END is not sent. nil =
// the END is sent.
func (n *Feature) endAfter(ctx context.Context, it *delivery.Item) (*delivery.Verdict, error) {
	o := outgoingOf(it)
	settled := o.alert != nil && !o.unsettled // of one that was read from the database it is not known
	if settled || o.Event != event.AlertEnd || it.ReplayOf != "" || it.Attempts > 0 {
		return nil, nil
	}
	var list []delivery.Stored
	err := n.DB.View(ctx, func(tx *db.Tx) (err error) {
		list, err = delivery.Select(ctx, tx, "WHERE "+delivery.OfSubject+` AND d.replay_of = ''
			AND (d.destination = $2 OR d.fallback_of <> '') ORDER BY d.id`, it.Subject, it.Destination)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := loadLabels(&list[i].Item); err != nil {
			return nil, err
		}
	}
	start := slices.IndexFunc(list, func(s delivery.Stored) bool {
		return s.Destination == it.Destination && s.Lane == it.Lane && endsStart(&s.Item, it)
	})
	if start < 0 || list[start].State != delivery.StateFailed && list[start].State != delivery.StateNotSent {
		return nil, nil
	}
	replaced := slices.IndexFunc(list, func(s delivery.Stored) bool { return s.FallbackOf == list[start].ID })
	switch {
	case replaced >= 0:
		to := &list[replaced]
		data := &outgoing{labels: outgoingOf(&to.Item).labels}
		data.Event = event.AlertEnd
		return &delivery.Verdict{
			State: delivery.StateNotSent,
			Why:   whyFollowed,
			Fallback: &delivery.Item{
				ID:          n.ids.after(to.ID, n.Now()),
				Destination: to.Destination,
				Kind:        to.Kind,
				Labels:      data.encode(),
				Data:        data,
			},
		}, nil
	case n.program(it):
		return nil, nil
	}
	return notSent(whyNoStart), nil
}

const whyFollowed = "its start went to the fallback, and so does the end"
