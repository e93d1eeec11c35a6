package shop

import _ "embed" // the catalogue

// Catalogue is the file that the shop's team applies, for programs that set an
// installation up.
//
//go:embed belfry.yaml
var Catalogue []byte
