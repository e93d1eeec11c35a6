package slo

// NewestPast is the place before which every transition lies.
var NewestPast = newestPast
