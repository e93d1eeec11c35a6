package notify

import (
	"cmp"
	"context"

	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// pagerDutyURL accepts events of services in PagerDuty's first region.
const pagerDutyURL = "https://events.pagerduty.com/v2/enqueue"

// PagerDutyService is a service of PagerDuty to which policies send.
type PagerDutyService struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	URL         string   `json:"url" doc:"Where events are sent: another region, or a compatible receiver"`
	CreatedAt   web.Time `json:"created_at"`
	LastSuccess web.Time `json:"last_success,omitzero"`
	LastFailure web.Time `json:"last_failure,omitzero"`
	State       string   `json:"state" enum:"ok,broken,disabled"`
	StateReason string   `json:"state_reason,omitempty"`
}

func pagerDutyOf(d *Destination) PagerDutyService {
	return PagerDutyService{
		ID:          d.ID,
		Name:        d.Name,
		URL:         d.URL,
		CreatedAt:   d.CreatedAt,
		LastSuccess: d.LastSuccess,
		LastFailure: d.LastFailure,
		State:       d.State,
		StateReason: d.StateReason,
	}
}

// CreatePagerDuty stores a service after a change event reached it. Its routing key is
// never changed: the end of an alert must arrive under the key of its start.
func (n *Feature) CreatePagerDuty(
	ctx context.Context, by *web.Principal, account string, spec PagerDutyCreate,
) (PagerDutyService, error) {
	channel := n.channels[KindPagerDuty]
	if channel == nil {
		return PagerDutyService{}, errs.New(errs.CodeUnavailable, "this installation has no PagerDuty channel")
	}
	now := n.Now()
	d := Destination{
		ID:        n.ids.next(now),
		Kind:      KindPagerDuty,
		Type:      KindPagerDuty,
		Name:      spec.Name,
		URL:       cmp.Or(spec.URL, pagerDutyURL),
		State:     delivery.DestinationOK,
		account:   account,
		secrets:   secrets{Shared: spec.RoutingKey},
		settings:  destinationSettings{Connect: spec.ConnectID},
		CreatedAt: moment(now),
		Modified:  moment(now),
		StateAt:   moment(now),
	}
	var list errs.List
	fault := func(pointer, text string) {
		if text != "" {
			list = append(list, errs.At(errs.CodeInvalid, pointer, "%s", text))
		}
	}
	fault("/name", nameFault(d.Name))
	fault("/url", checkURL(d.URL))
	fault(channel.Traits().Check(Settings{URL: d.URL, Secret: spec.RoutingKey}))
	if err := list.Or(); err != nil {
		return PagerDutyService{}, err
	}
	if err := n.mustReach(ctx, &d); err != nil {
		return PagerDutyService{}, err
	}
	d.LastSuccess = moment(n.Now())
	return pagerDutyOf(&d), n.storeNew(ctx, by, &d)
}

// PagerDutyServices are all of an account, in the order in which they were made.
func (n *Feature) PagerDutyServices(ctx context.Context, account string) ([]PagerDutyService, error) {
	list, err := n.destinations(ctx, account, KindPagerDuty)
	out := make([]PagerDutyService, len(list))
	for i := range list {
		out[i] = pagerDutyOf(&list[i])
	}
	return out, err
}

// connectedPagerDuty are the services that were connected under an id.
func (n *Feature) connectedPagerDuty(ctx context.Context, account, connectID string) ([]PagerDutyService, error) {
	list, err := n.destinations(ctx, account, KindPagerDuty)
	out := []PagerDutyService{}
	for i := range list {
		if connectID != "" && list[i].settings.Connect == connectID {
			out = append(out, pagerDutyOf(&list[i]))
		}
	}
	return out, err
}

// pagerDutyFormPath is the page with the form of a service.
func pagerDutyFormPath(accountID, connectID string) string {
	return NotificationsPath(accountID) + "/pagerduty/new?connect=" + pathEscape(connectID)
}

// DeletePagerDuty removes a service that neither a policy nor another destination
// names.
func (n *Feature) DeletePagerDuty(ctx context.Context, by *web.Principal, account, destinationID string) error {
	return n.deleteDestination(ctx, by, account, KindPagerDuty, destinationID)
}

// DeleteAllPagerDuty removes all services of an account; none when one is in use.
func (n *Feature) DeleteAllPagerDuty(ctx context.Context, by *web.Principal, account string) error {
	list, err := n.destinations(ctx, account, KindPagerDuty)
	if err != nil {
		return err
	}
	for i := range list {
		if err := n.checkUnused(ctx, &list[i]); err != nil {
			return err
		}
	}
	for _, d := range list {
		if err := n.DeletePagerDuty(ctx, by, account, d.ID); err != nil {
			return err
		}
	}
	return nil
}
