package main

import (
	"errors"
	"os"

	"github.com/belfryhq/belfry/internal/client"
)

// newClient takes the address and token from the flags or, where those are
// empty, from BELFRY_URL and BELFRY_TOKEN.
func newClient(url, token string) (*client.Client, error) {
	if url == "" {
		url = os.Getenv("BELFRY_URL")
	}
	if token == "" {
		token = os.Getenv("BELFRY_TOKEN")
	}
	if url == "" || token == "" {
		return nil, errors.New("the server's address and a token are required: --url and --token, or BELFRY_URL and BELFRY_TOKEN")
	}
	return client.New(url, token), nil
}
