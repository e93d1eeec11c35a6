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

// proofPage is what a page says about the proof of one event.
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
	Steps           []step
	OK              bool
	Took            time.Duration
}

// step is one part of a verification and how it ended; an empty Tone is one
// that was not reached.
type step struct {
	Name, Text string
	Tone       ui.Tone
}

// proofOf gathers the facts and, when the URL asks for it, verifies the event
// through the very file that a customer downloads.
func (p *Dashboard) proofOf(v visit, rec *record.Record) (*proofPage, error) {
	head, err := p.reader.SignedHead(v.ctx, v.account)
	if err != nil {
		return nil, err
	}
	key := p.signer.Keys()[0]
	leaf := rec.Leaf()
	id := url.PathEscape(rec.Event.ID)
	page := &proofPage{Leaf: hex.EncodeToString(leaf[:]), Origin: p.signer.Origin(v.account), VKey: key.VKey,
		Verify: ui.With(v.url, "verify", "1"), Bundle: v.api() + "/audit/events/" + id + "/bundle",
		Command: "belfry verify --bundle event-" + rec.Event.ID + ".json --key '" + key.VKey + "'"}
	page.LeafShort = page.Leaf[:12] + "…" + page.Leaf[len(page.Leaf)-6:]
	page.KeyShort = key.Name + "+" + key.ID
	if v.url.Query().Get("verify") != "" {
		started := time.Now()
		data, err := p.Bundle(v.ctx, rec)
		if err != nil {
			return nil, err
		}
		page.Steps, page.OK = verifySteps(data, key.VKey)
		page.Took = time.Since(started)
		// The bundle's proof has signed a checkpoint when none covered the event.
		if head, err = p.reader.SignedHead(v.ctx, v.account); err != nil {
			return nil, err
		}
	}
	page.Covered = rec.Seq < head.Size
	page.Size = head.Size
	page.SignedAt = head.At
	return page, nil
}

// verifySteps runs VerifyBundle and says which of its steps held. It never
// verifies anything by itself: on a failure it finds out how far VerifyBundle
// must have come.
func verifySteps(data []byte, vkey string) (steps []step, ok bool) {
	steps = []step{
		{Name: "event", Text: "what is shown is what was recorded, field by field"},
		{Name: "signature", Text: "the checkpoint is signed by the key"},
		{Name: "inclusion", Text: "the leaf is in the tree that was signed"},
	}
	report, err := verify.Bundle(data, vkey)
	if err == nil {
		for i := range steps {
			steps[i].Tone = ui.Good
		}
		steps[1].Text += " " + before(report.VKey, "+")
		steps[2].Text = "leaf no. " + grouped(report.Seq) + " is in the signed tree of " + counted(report.Size)
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
