package audit

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/verify"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// integrityPage is the data of the template "integrity": the signed state of the
// record, and commands with which a customer checks it without this server.
type integrityPage struct {
	Back, Action string
	Tabs         []ui.Link
	Framed       bool
	Size         int64
	Head         ledger.SignedHead
	Root         string
	Note         string // the checkpoint's text
	Key          ledger.Key
	KeyURL       string
	Origin       string
	Stopped      string      // why nothing is signed any more
	Steps        []proofStep // from the checkpoint before to this one
	OlderSize    int64
	OlderAt      time.Time
	Kept         string // a checkpoint that the visitor has kept
	KeptSteps    []proofStep
	MayExport    bool
	Checkpoint   string
	Export       string
	Commands     []command
	Lesson       *lesson
}

// command is one line for a terminal.
type command struct{ Label, Text string }

// maxKept bounds a checkpoint that a visitor pastes.
const maxKept = 4096

func (p *pages) integrity(pv *page.Visit) error {
	v := p.visit(pv)
	data := &integrityPage{
		Back:       v.base(),
		Action:     v.base() + "/integrity",
		Tabs:       p.tabs(v, "Integrity"),
		Framed:     v.Framed(),
		Key:        p.signer.Keys()[0],
		Origin:     p.signer.Origin(v.Account),
		MayExport:  v.mayExport(),
		Checkpoint: v.api() + "/audit/log/checkpoint",
		KeyURL:     keysPath,
	}
	var err error
	if data.Size, err = p.reader.Size(v.Context(), v.Account); err != nil {
		return err
	}
	if data.Size == 0 {
		data.Lesson = p.lesson(v)
	} else if err := p.fillIntegrity(data, v); err != nil {
		return err
	}
	return v.Show(page.View{Section: "integrity", Title: "Integrity", Template: "integrity", Data: data})
}

const keysPath = "/client/v4/audit/keys"

func (p *pages) fillIntegrity(data *integrityPage, v visit) error {
	older, err := p.reader.SignedHead(v.Context(), v.Account)
	if err != nil {
		return err
	}
	// Asking signs what is not signed yet, so that the page never says "later".
	text, err := p.signer.Covering(v.Context(), v.Account, uint64(data.Size))
	switch {
	case errs.Is(err, errs.CodeSigningStopped):
		data.Stopped = errs.All(err)[0].Message
		data.Head = older
	case err != nil:
		return err
	default:
		if data.Head, err = p.reader.SignedHead(v.Context(), v.Account); err != nil {
			return err
		}
		data.Head.Note = string(text)
	}
	data.Note = data.Head.Note
	cp, err := verify.OpenCheckpoint([]byte(data.Note), data.Key.VKey, v.Account)
	if err != nil {
		data.Stopped = cmp.Or(data.Stopped, "the checkpoint does not open with the key: "+err.Error())
		return nil
	}
	data.Size = max(data.Size, int64(cp.Size)) // an event may have come meanwhile
	data.Head.Size = int64(cp.Size)
	data.Root = hex.EncodeToString(cp.Root[:])
	if older.Size > 0 && older.Note != "" {
		data.OlderSize = older.Size
		data.OlderAt = older.At
		data.Steps = p.consistent(v, []byte(older.Note), cp)
	}
	if kept := v.Request.URL.Query().Get("old"); kept != "" {
		data.Kept = kept[:min(len(kept), maxKept)]
		data.KeptSteps = p.consistent(v, []byte(pasted(data.Kept)), cp)
	}
	name := "audit-" + v.Account[:min(8, len(v.Account))]
	data.Export = v.api() + "/audit/export?format=ndjson"
	data.Commands = []command{
		{"1. The checkpoint: what was signed", p.curl(data.Checkpoint, "-o "+name+".checkpoint")},
		{"2. The record, up to the size that the checkpoint signs",
			fmt.Sprintf(`curl -H "Authorization: Bearer $BELFRY_TOKEN" -o %s.ndjson "%s%s&size=$(sed -n 2p %s.checkpoint)"`,
				name, p.URL(), data.Export, name)},
		{"3. The check, offline", "belfry verify --export " + name + ".ndjson --checkpoint " + name + ".checkpoint --key '" +
			data.Key.VKey + "'"},
	}
	return nil
}

// pasted repairs what forms and mails do to a note: line ends, spaces around
// it. A note ends with a line feed.
func pasted(s string) string {
	return strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")) + "\n"
}

// consistent verifies, step by step, that the log of a checkpoint still begins
// with what an older one signed.
func (p *pages) consistent(v visit, older []byte, now merkle.Checkpoint) []proofStep {
	steps := []proofStep{
		{Name: "signature", Text: "the older checkpoint is signed by the key, for this account"},
		{Name: "consistency", Text: "the log of today begins with the log of then"},
	}
	fail := func(i int, format string, args ...any) []proofStep {
		steps[i].Tone = ui.Bad
		steps[i].Text = visible(fmt.Sprintf(format, args...))
		return steps
	}
	then, err := verify.OpenCheckpoint(older, p.signer.Keys()[0].VKey, v.Account)
	if err != nil {
		return fail(0, "this is not a checkpoint of this account that the key has signed: %v", err)
	}
	steps[0].Tone = ui.Good
	steps[0].Text = "the checkpoint of " + eventCount(then.Size) + " is signed by the key, for this account"
	if then.Size > now.Size {
		return fail(1, "it signs %s, and the log has %s: some are missing", eventCount(then.Size), eventCount(now.Size))
	}
	proof, err := p.reader.Consistency(v.Context(), v.Account, then.Size, now.Size)
	if err == nil {
		err = merkle.VerifyConsistency(then.Size, now.Size, proof, then.Root, now.Root)
	}
	if err != nil {
		return fail(1, "the log does not begin with what was signed then: %v", err)
	}
	steps[1].Tone = ui.Good
	switch {
	case then.Size == now.Size:
		steps[1].Text = "the log has the same events, by the same root"
	case then.Size == 0:
		steps[1].Text = "it signs the empty log, with which every log begins"
	default:
		n, _ := ui.Plural(len(proof), "hash proves", "hashes prove") // an integer is a number
		steps[1].Text = "the " + eventCount(now.Size) + " of today begin with these, unchanged: " + n + " it"
	}
	return steps
}

// eventCount is "1,427 events".
func eventCount[N uint64 | int64](n N) string {
	s, _ := ui.Plural(n, "event", "events") // an integer is a number
	return s
}
