package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Export is a range of an account's audit log with everything that proves it.
type Export struct {
	Checkpoint []byte // signed note of the log's size and root
	Key        string // verifier key of the signature

	client *Client
	path   string
}

// Export prepares the export of the events from one seq to another (exclusive; -1
// is the size of the log). It reads the checkpoint first: the hashes of the export
// are made for its size, whatever is appended in between.
func (c *Client) Export(ctx context.Context, account string, from, to int64) (*Export, error) {
	var keys []struct{ VKey string }
	env, err := c.Call(ctx, Request{Method: http.MethodGet, Path: "/audit/keys"})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(env.Result, &keys); err != nil || len(keys) == 0 {
		return nil, errors.Join(errors.New("the server publishes no key"), err)
	}

	base := "/accounts/" + url.PathEscape(account)
	checkpoint := &bytes.Buffer{}
	if err := c.Download(ctx, base+"/audit/log/checkpoint", checkpoint); err != nil {
		return nil, err
	}
	lines := strings.SplitN(checkpoint.String(), "\n", 3) // origin, size, root ...
	if len(lines) < 3 {
		return nil, errors.New("the server's checkpoint has no size")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("the server's checkpoint has no size: %w", err)
	}
	if to < 0 {
		to = size
	}
	return &Export{
		Checkpoint: checkpoint.Bytes(),
		Key:        keys[0].VKey,
		client:     c,
		path:       base + fmt.Sprintf("/audit/export?format=ndjson&from=%d&to=%d&size=%d", from, to, size),
	}, nil
}

// Download copies the events to w, as NDJSON.
func (e *Export) Download(ctx context.Context, w io.Writer) error {
	return e.client.Download(ctx, e.path, w)
}
