package producer

import (
	"cmp"
	"context"
	"slices"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// Alert is a declared type of alerts, ready for ingestion. It never changes.
type Alert struct {
	AlertType
	Product  string // that declares it
	Category string
	Team     string // id of the owning team; empty for Belfry's own

	data *schema
}

// Check compares an alert's data (a JSON object) with the declared schema
// (CodeSchemaMismatch). Pointers begin with /data.
func (a *Alert) Check(data []byte) errs.List { return a.data.check("/data", data, maxAlertSteps, nil) }

// AlertType finds a declared type of alerts, or nil when no catalogue has the
// name. It answers from memory, as Lookup does.
func (r *Registry) AlertType(ctx context.Context, name string) (*Alert, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	return s.alerts[name], nil
}

// AlertTypes are all declared types, by product and then by name.
func (r *Registry) AlertTypes(ctx context.Context) ([]*Alert, error) {
	s, err := r.snapshot(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]*Alert, 0, len(s.alerts))
	for _, a := range s.alerts {
		list = append(list, a)
	}
	slices.SortFunc(list, func(a, b *Alert) int {
		return cmp.Or(cmp.Compare(a.Product, b.Product), cmp.Compare(a.Type, b.Type))
	})
	return list, nil
}
