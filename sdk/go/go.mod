module github.com/belfryhq/belfry/sdk/go

go 1.25
