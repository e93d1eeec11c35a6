package audit

import (
	"context"
	"net/http"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// TileInput is the rest of a tile's path (C2SP tlog-tiles).
type TileInput struct {
	Path string `path:"path" doc:"L/N or entries/N, with .p/W for a partial tile"`
}

// ProofInput names the event to prove.
type ProofInput struct {
	EventID string `query:"event_id" required:"true" maxLength:"64"`
}

func (f *Feature) registerProof(api *web.API) {
	web.Get(api, web.Op{
		Path:        "/accounts/{account_id}/audit/log/checkpoint",
		ID:          "get-audit-checkpoint",
		Tag:         "Audit proof",
		Permission:  account.AuditRead,
		Summary:     "Signed checkpoint of the account's log",
		Description: "A C2SP tlog-checkpoint, at most a second old.",
		Content:     "text/plain",
	}, f.checkpoint)
	web.Get(api, web.Op{
		Path:        "/accounts/{account_id}/audit/log/tile/{path...}",
		ID:          "get-audit-tile",
		Tag:         "Audit proof",
		Permission:  account.AuditRead,
		Summary:     "Tile of hashes or of entries",
		Description: "C2SP tlog-tiles: tile/L/N[.p/W] and tile/entries/N[.p/W].",
		Content:     "application/octet-stream",
	}, f.tile)
	web.Get(api, web.Op{
		Path:        "/accounts/{account_id}/audit/log/proof",
		ID:          "get-audit-proof",
		Tag:         "Audit proof",
		Permission:  account.AuditRead,
		Summary:     "Inclusion proof of one event",
		Description: "A C2SP tlog-proof with a checkpoint that covers the event.",
		Content:     "text/plain",
	}, f.proof)
	web.Get(api, web.Op{
		Path:        "/accounts/{account_id}/audit/events/{event_id}/bundle",
		ID:          "get-audit-bundle",
		Tag:         "Audit proof",
		Permission:  account.AuditRead,
		Summary:     "One event with everything that proves it",
		Description: "For `belfry verify --bundle FILE`.",
		Content:     "application/json",
	}, f.bundleFile)
	web.Get(api, web.Op{Path: "/audit/keys", ID: "list-audit-keys", Tag: "Audit proof", Public: true,
		Summary: "Verifier keys of this installation"}, func(context.Context, *struct{}) ([]ledger.Key, error) {
		return f.signer.Keys(), nil
	})
}

func (f *Feature) checkpoint(ctx context.Context, _ *struct{}) (web.Bytes, error) {
	text, err := f.signer.Checkpoint(ctx, web.Account(ctx).ID)
	return web.Bytes{
		ContentType: "text/plain; charset=utf-8",
		Data:        text,
		Header:      http.Header{"Cache-Control": {"private, no-cache"}},
	}, err
}

func (f *Feature) tile(ctx context.Context, in *TileInput) (web.Bytes, error) {
	t, entries, err := merkle.ParseTilePath("tile/" + in.Path)
	if err != nil {
		return web.Bytes{}, errs.At(errs.CodeInvalid, "path", "not a tile's path as C2SP tlog-tiles writes it: %v", err)
	}
	b, err := f.reader.Tile(ctx, web.Account(ctx).ID, t, entries)
	h := http.Header{"Cache-Control": {"private, no-cache"}}
	if t.Full() {
		h.Set("Cache-Control", "private, max-age=31536000, immutable")
	}
	return web.Bytes{ContentType: "application/octet-stream", Data: b, Header: h}, err
}

// prove returns an event's C2SP tlog-proof.
func (f *Feature) prove(ctx context.Context, rec *record.Record) ([]byte, error) {
	text, err := f.signer.Covering(ctx, rec.Account, uint64(rec.Seq)+1)
	if err != nil {
		return nil, err
	}
	cp, err := merkle.UnverifiedCheckpoint(text) // signed here a moment ago
	if err != nil {
		return nil, err
	}
	hashes, err := f.reader.Inclusion(ctx, rec.Account, uint64(rec.Seq), cp.Size)
	if err != nil {
		return nil, err
	}
	return merkle.LogProof{Index: uint64(rec.Seq), Hashes: hashes, Checkpoint: text}.Format()
}

func (f *Feature) proof(ctx context.Context, in *ProofInput) (web.Bytes, error) {
	rec, err := f.reader.Get(ctx, web.Account(ctx).ID, in.EventID)
	if err != nil {
		return web.Bytes{}, err
	}
	text, err := f.prove(ctx, rec)
	return web.Bytes{ContentType: "text/plain; charset=utf-8", Data: text}, err
}

func (f *Feature) bundleFile(ctx context.Context, in *EventInput) (web.Bytes, error) {
	rec, err := f.reader.Get(ctx, web.Account(ctx).ID, in.EventID)
	if err != nil {
		return web.Bytes{}, err
	}
	b, err := f.Bundle(ctx, rec)
	if err == nil {
		f.proved(ctx, web.Account(ctx).ID)
	}
	return web.Bytes{
		ContentType: "application/json",
		Data:        b,
		Header:      http.Header{"Content-Disposition": {`attachment; filename="event-` + rec.Event.ID + `.json"`}},
	}, err
}

// Bundle is one event with everything that proves it offline.
func (f *Feature) Bundle(ctx context.Context, rec *record.Record) ([]byte, error) {
	proof, err := f.prove(ctx, rec)
	if err != nil {
		return nil, err
	}
	return rec.Bundle(proof, f.signer.Keys()[0].VKey)
}
