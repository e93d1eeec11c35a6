package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"os"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/feature"
)

// The flags of all commands that call a server.
const (
	addressUsage = "server's `address`, with or without /client/v4 (or BELFRY_URL)"
	tokenUsage   = " (better in BELFRY_TOKEN: arguments are visible to others on the machine)"
)

// newClient reads the address and token from the flags or, where they are empty,
// from BELFRY_URL and BELFRY_TOKEN. It warns when others on the network can read the
// token.
func newClient(address, token string, stderr io.Writer) (*client.Client, error) {
	if address == "" {
		address = os.Getenv("BELFRY_URL")
	}
	if token == "" {
		token = os.Getenv("BELFRY_TOKEN")
	}
	if address == "" || token == "" {
		return nil, errors.New("the server's address and a token are required: --url and BELFRY_TOKEN, or BELFRY_URL " +
			"and BELFRY_TOKEN")
	}
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return nil, fmt.Errorf("the server's address must be like https://belfry.example, not %q", address)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		printf(stderr, "belfry: warning: %s is not https: the token can be read on the way there\n", u.Host)
	}
	c := client.New(address, token)
	c.Agent = feature.CommandAgent + "/" + buildVersion() // the audit log shows CLI
	return c, nil
}

// loopback reports whether a host name stays on this machine.
func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}
