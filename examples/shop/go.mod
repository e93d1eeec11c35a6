module github.com/belfryhq/belfry/examples/shop

go 1.25

require github.com/belfryhq/belfry/sdk/go v0.0.0

replace github.com/belfryhq/belfry/sdk/go => ../../sdk/go
