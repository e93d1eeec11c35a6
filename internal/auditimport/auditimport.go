// Package auditimport imports events into the audit log over the public API: the
// history of a git repository, or a file.
//
//	git log, NDJSON, export -> Item (place, event with an id) -> batch -> POST .../audit/events -> Sum
//
// Importing the same source twice stores it once, because the same event has the
// same id. An event that is rejected is named with its place, and the import
// continues.
package auditimport

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strings"

	"github.com/belfryhq/belfry/internal/client"
)

// Item is one event to import, or a fault.
type Item struct {
	place string // its source, for messages
	event []byte
	fault string
	own   bool // an event of Belfry itself, which is left out
}

// Limits of one request.
const (
	eventsPerBatch = 2000
	bytesPerBatch  = 4 << 20
)

// Importer sends events in batches. Make one for each import.
type Importer struct {
	Client   *client.Client
	Account  string                          // id or ext:<external id>
	Rejected func(place, status, why string) // called for each event that is not stored
	Progress func(sent int)                  // called after each request

	sum    Sum
	batch  bytes.Buffer
	places []string // of the events in batch
	sent   int
}

// Sum counts the events of an import.
type Sum struct {
	Accepted, Duplicate, Conflict, Rejected int

	Own int // of Belfry itself, which were left out: they are about another installation
}

// Run imports all events of a source. After an error, Sum counts the events until
// then.
func (im *Importer) Run(ctx context.Context, source iter.Seq2[Item, error]) (Sum, error) {
	err := im.run(ctx, source)
	return im.sum, err
}

func (im *Importer) run(ctx context.Context, source iter.Seq2[Item, error]) error {
	for item, err := range source {
		if err != nil {
			return errors.Join(im.send(ctx), err) // the events before the fault are imported
		}
		if item.own {
			im.sum.Own++
			continue
		}
		if item.fault != "" {
			im.sum.Rejected++
			im.Rejected(item.place, "rejected", item.fault)
			continue
		}
		if len(im.places) == eventsPerBatch || im.batch.Len()+len(item.event) > bytesPerBatch {
			if err := im.send(ctx); err != nil {
				return err
			}
		}
		im.batch.Write(item.event)
		im.batch.WriteByte('\n')
		im.places = append(im.places, item.place)
	}
	return im.send(ctx)
}

// send sends the batch.
func (im *Importer) send(ctx context.Context) error {
	if len(im.places) == 0 {
		return nil
	}
	env, err := im.Client.Ingest(ctx, client.Request{
		Method:      http.MethodPost,
		Path:        "/accounts/" + url.PathEscape(im.Account) + "/audit/events",
		ContentType: "application/x-ndjson",
		Body:        im.batch.Bytes(),
	})
	if err != nil {
		return fmt.Errorf("from %s on: %w", im.places[0], err)
	}
	var part Sum
	var results []struct {
		Index  int
		Status string
		Errors []client.Fault
	}
	if err := errors.Join(json.Unmarshal(env.ResultInfo, &part), json.Unmarshal(env.Result, &results)); err != nil {
		return fmt.Errorf("the server's answer: %w", err)
	}
	im.sum.Accepted += part.Accepted
	im.sum.Duplicate += part.Duplicate
	im.sum.Conflict += part.Conflict
	im.sum.Rejected += part.Rejected
	for _, r := range results {
		if r.Status == "accepted" || r.Status == "duplicate" || r.Index < 0 || r.Index >= len(im.places) {
			continue
		}
		var reasons []string
		for _, e := range r.Errors {
			reasons = append(reasons, strings.TrimSpace(e.Source.Pointer+" "+e.Message))
		}
		if len(reasons) == 0 {
			reasons = []string{"another event has this id"}
		}
		im.Rejected(im.places[r.Index], r.Status, strings.Join(reasons, "; "))
	}
	im.sent += len(im.places)
	im.places = im.places[:0]
	im.batch.Reset()
	im.Progress(im.sent)
	return nil
}
