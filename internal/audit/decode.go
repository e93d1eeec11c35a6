package audit

import "github.com/belfryhq/belfry/internal/platform/strict"

// anEvent is what the JSON of the on-ramps is about, in its faults.
var anEvent = strict.Subject{Name: "an event", Hint: "; open data belongs under metadata"}
