package ledger

import (
	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Status is the result of an event.
type Status string

// The four answers. Each is final.
const (
	Accepted  Status = "accepted"  // stored now
	Duplicate Status = "duplicate" // the same event was stored before
	Conflict  Status = "conflict"  // another event was stored under this id
	Rejected  Status = "rejected"  // it can never be stored as it is
)

// Pending is an event on its way into the record: decoded, checked and sealed,
// then answered by [Ledger.Append].
type Pending struct {
	Account string // 32 hex digits
	Event   *record.Event
	By      record.Submitter
	Owner   string // id of the team that declared the event's product; empty = no team has

	WantReceipt bool

	// The answer, valid when Append returned nil.
	Status     Status
	Seq        int64 // of the stored event; with Conflict, of the event that has the id
	RecordedAt int64 // Unix microseconds
	Faults     errs.List
	Leaf       merkle.Hash
	Receipt    *Receipt // of an accepted or duplicate event, with WantReceipt

	sealed *record.Sealed
	keys   record.Keys
}

// Seal builds the envelope that will be hashed, and the keys by which the event is
// found. committed are the pointers that become commitments besides those of every
// envelope (see [Protect]).
func (p *Pending) Seal(committed []string, seed [32]byte) (err error) {
	p.keys = record.FacetKeys(p.Event)
	p.sealed, err = record.Seal(p.Account, p.By, p.Event, committed, seed)
	return err
}

// Envelope is the sealed event, the bytes whose hash becomes the leaf.
func (p *Pending) Envelope() []byte { return p.sealed.Envelope }

// answerStored answers an event whose id is in the record already: a duplicate when
// the stored event says the same, else a conflict.
func (p *Pending) answerStored(
	stored *record.Sealed,
	seq, recordedAt int64,
	leaf merkle.Hash,
	zoneKey func(string) string,
) {
	p.Seq = seq
	p.RecordedAt = recordedAt
	p.Leaf = leaf
	p.Faults = nil
	if stored.SameAs(p.Account, p.Event, zoneKey) {
		p.Status = Duplicate
		return
	}
	p.Status = Conflict
	p.Faults = errs.List{errs.At(errs.CodeEventConflict, "/id",
		"the id %s belongs to another event, stored as seq %d; that one stays as it is", p.Event.ID, seq)}
}
