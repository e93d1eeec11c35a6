package record

import "github.com/belfryhq/belfry/internal/platform/strict"

// Noun is what the JSON of the on-ramps is about, in its faults.
var Noun = strict.Subject{Name: "an event", Hint: "; open data belongs under metadata"}
