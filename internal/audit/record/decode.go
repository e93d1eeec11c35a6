package record

import "github.com/belfryhq/belfry/internal/platform/strict"

// Noun names the payload in decoding errors.
var Noun = strict.Subject{Name: "an event", Hint: "; open data belongs under metadata"}
