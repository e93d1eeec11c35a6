package audit

import (
	"encoding/hex"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/audit/verify"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// proofPage is the proof of one event, as a page shows it.
type proofPage struct {
	Leaf, LeafShort string
	Covered         bool
	Size            int64
	SignedAt        time.Time
	Origin          string
	VKey, KeyShort  string
	Verify          string // URL that verifies
	Bundle          string // URL of the file
	Command         string
	Steps           []proofStep
	OK              bool
	Took            time.Duration
}

// proofStep is one part of a verification and how it ended; an empty Tone is one
// that was not reached.
type proofStep struct {
	Name, Text string
	Tone       ui.Tone
}

// proofOf gathers the facts and, when the URL asks for it, verifies the event
// through the very file that a customer downloads.
func (p *pages) proofOf(v visit, rec *record.Record) (*proofPage, error) {
	head, err := p.reader.SignedHead(v.Context(), v.Account)
	if err != nil {
		return nil, err
	}
	key := p.signer.Keys()[0]
	leaf := rec.Leaf()
	id := url.PathEscape(rec.Event.ID)
	data := &proofPage{
		Leaf:    hex.EncodeToString(leaf[:]),
		Origin:  p.signer.Origin(v.Account),
		VKey:    key.VKey,
		Verify:  ui.With(v.Request.URL, "verify", "1"),
		Bundle:  v.api() + "/audit/events/" + id + "/bundle",
		Command: "belfry verify --bundle event-" + rec.Event.ID + ".json --key '" + key.VKey + "'",
	}
	data.LeafShort = data.Leaf[:12] + "…" + data.Leaf[len(data.Leaf)-6:]
	data.KeyShort = key.Name + "+" + key.ID
	if v.Query("verify") != "" {
		started := time.Now()
		bundle, err := p.Bundle(v.Context(), rec)
		if err != nil {
			return nil, err
		}
		data.Steps, data.OK = verifySteps(bundle, key.VKey)
		data.Took = time.Since(started)
		if data.OK {
			p.proved(v.Context(), v.Account)
		}
		// The bundle's proof has signed a checkpoint when none covered the event.
		if head, err = p.reader.SignedHead(v.Context(), v.Account); err != nil {
			return nil, err
		}
	}
	data.Covered = rec.Seq < head.Size
	data.Size = head.Size
	data.SignedAt = head.At
	return data, nil
}

// verifySteps runs VerifyBundle and reports which of its steps succeeded. It never
// verifies anything by itself: on a failure it finds out how far VerifyBundle
// must have come.
func verifySteps(data []byte, vkey string) (steps []proofStep, ok bool) {
	steps = []proofStep{
		{Name: "event", Text: "what is shown is what was recorded, field by field"},
		{Name: "signature", Text: "the checkpoint is signed by the key"},
		{Name: "inclusion", Text: "the leaf is in the tree that was signed"},
	}
	report, err := verify.Bundle(data, vkey)
	if err == nil {
		for i := range steps {
			steps[i].Tone = ui.Good
		}
		steps[1].Text += " " + upTo(report.VKey, "+")
		steps[2].Text = "leaf no. " + grouped(report.Seq) + " is in the signed tree of " + eventCount(report.Size)
		if report.Erased > 0 {
			steps[0].Text += "; " + strconv.Itoa(report.Erased) + " erased, their commitments hold"
		}
		return steps, true
	}
	failed := 0
	if text, found := strings.CutPrefix(err.Error(), "proof: "); found {
		failed = 1
		if verify.SignatureHolds(data, vkey) {
			failed = 2
		}
		err = &stepError{text}
	}
	for i := range failed {
		steps[i].Tone = ui.Good
	}
	steps[failed].Tone = ui.Bad
	steps[failed].Text = visible(err.Error())
	return steps, false
}

// grouped is 1,372.
func grouped(n uint64) string {
	s, _ := ui.Num(n) // an integer is a number
	return s
}

type stepError struct{ text string }

func (e *stepError) Error() string { return e.text }
