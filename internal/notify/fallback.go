package notify

import (
	"context"
	"time"

	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// fallback is the destination of a delivery that failed.
type fallback struct {
	to    *Destination
	after time.Duration // 0 = when it is given up
}

// fallbackOf returns the fallback of a delivery's destination; nil when there is none
// that accepts messages. A fallback has no fallback.
func (n *Feature) fallbackOf(ctx context.Context, it *delivery.Item, d *Destination) (*fallback, error) {
	f := d.settings.Fallback
	if f == nil || it.FallbackOf != "" {
		return nil, nil
	}
	to, err := n.settings(ctx, it.Tenant, f.DestinationID)
	if errs.Is(err, errs.CodeNotFound) {
		return nil, nil
	}
	if err != nil || to.State == delivery.DestinationDisabled {
		return nil, err
	}
	out := &fallback{to: to}
	if f.After != "" {
		if out.after, err = parseInterval(f.After); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// redirect gives a delivery that failed, or has been tried for long enough, to the
// fallback.
func (n *Feature) redirect(it *delivery.Item, f *fallback, v delivery.Verdict) delivery.Verdict {
	if f == nil || v.State == delivery.StateDelivered {
		return v
	}
	age := n.Now().Sub(it.Created)
	if v.State == delivery.StateWaiting && f.after > 0 {
		if age < f.after {
			v.Wait = min(v.Wait, f.after-age)
			return v
		}
		v.State = delivery.StateFailed
		v.Why += "; given up after " + durationWords(f.after)
	}
	if v.State != delivery.StateFailed {
		return v
	}
	data := &outgoing{labels: outgoingOf(it).labels}
	data.Mechanism = f.to.Name
	data.Type = f.to.Type
	data.HeldFor = ""
	v.Why += "; it goes to the fallback " + f.to.Name
	v.Fallback = &delivery.Item{Destination: f.to.ID, Kind: f.to.Kind, Labels: data.encode(), Data: data}
	return v
}
