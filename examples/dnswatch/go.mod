module github.com/belfryhq/belfry/examples/dnswatch

go 1.26.0

require (
	github.com/belfryhq/belfry/sdk/go v0.0.0
	golang.org/x/net v0.60.0
)

replace github.com/belfryhq/belfry/sdk/go => ../../sdk/go
