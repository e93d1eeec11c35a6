package page

import "github.com/belfryhq/belfry/internal/platform/ui"

// Form handles the POST of a form. T holds the input, and whatever Do finds that
// Then or Render needs.
type Form[T any] struct {
	// Parse reads the input; nil leaves the zero value. An error has a page of its
	// own: use it for a path that names nothing.
	Parse func(v *Visit) (T, error)
	// Do acts on the input. Its error is sorted by Fields.
	Do func(v *Visit, in *T) error
	// Fields are the names of the fields that can have a fault; other faults are
	// those of the whole form.
	Fields []string
	// Render shows the form again with the input and its faults.
	Render func(v *Visit, in *T, faults ui.Faults) error
	// Then answers after success, as a rule with [Visit.Redirect].
	Then func(v *Visit, in *T) error
}

// Handle is the [Handler] of the form. An error of Do that the user cannot
// correct in the form has a page of its own.
func (f Form[T]) Handle(v *Visit) error {
	var in T
	if f.Parse != nil {
		var err error
		if in, err = f.Parse(v); err != nil {
			return err
		}
	}
	err := f.Do(v, &in)
	if err == nil {
		return f.Then(v, &in)
	}
	faults, ok := ui.FaultsOf(err, f.Fields...)
	if !ok {
		return err
	}
	ui.RetryAfter(v.Writer, err)
	return f.Render(v, &in, faults)
}
