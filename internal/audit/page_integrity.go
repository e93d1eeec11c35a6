package audit

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/audit/verify"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// integrityPage is what the record can prove about itself, and how a customer
// checks it without this server.
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
	Stopped      string // why nothing is signed any more
	Steps        []step // from the checkpoint before to this one
	OlderSize    int64
	OlderAt      time.Time
	Kept         string // a checkpoint that the visitor has kept
	KeptSteps    []step
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

func (p *Dashboard) integrity(w http.ResponseWriter, r *http.Request) error {
	v := p.visit(r)
	shell := p.Shell(r, v.who, v.account, "integrity")
	page := &integrityPage{
		Back:       v.base(),
		Action:     v.base() + "/integrity",
		Tabs:       p.tabs(v, "Integrity"),
		Framed:     shell.Framed,
		Key:        p.signer.Keys()[0],
		Origin:     p.signer.Origin(v.account),
		MayExport:  v.mayExport(),
		Checkpoint: v.api() + "/audit/log/checkpoint",
		KeyURL:     keysPath,
	}
	var err error
	if page.Size, err = p.reader.Size(v.ctx, v.account); err != nil {
		return err
	}
	if page.Size == 0 {
		page.Lesson = p.lesson(v)
	} else if err := p.fillIntegrity(page, v); err != nil {
		return err
	}
	shell.Title = "Integrity"
	return p.set.Render(w, r, shell, "integrity", page)
}

const keysPath = "/client/v4/audit/keys"

func (p *Dashboard) fillIntegrity(page *integrityPage, v visit) error {
	older, err := p.reader.SignedHead(v.ctx, v.account)
	if err != nil {
		return err
	}
	// Asking signs what is not signed yet, so that the page never says "later".
	text, err := p.signer.Covering(v.ctx, v.account, uint64(page.Size))
	switch {
	case errs.Is(err, errs.CodeSigningStopped):
		page.Stopped = errs.All(err)[0].Message
		page.Head = older
	case err != nil:
		return err
	default:
		if page.Head, err = p.reader.SignedHead(v.ctx, v.account); err != nil {
			return err
		}
		page.Head.Note = string(text)
	}
	page.Note = page.Head.Note
	cp, err := verify.OpenCheckpoint([]byte(page.Note), page.Key.VKey, v.account)
	if err != nil {
		page.Stopped = cmp.Or(page.Stopped, "the checkpoint does not open with the key: "+err.Error())
		return nil
	}
	page.Size = max(page.Size, int64(cp.Size)) // an event may have come meanwhile
	page.Head.Size = int64(cp.Size)
	page.Root = hex.EncodeToString(cp.Root[:])
	if older.Size > 0 && older.Note != "" {
		page.OlderSize = older.Size
		page.OlderAt = older.At
		page.Steps = p.consistent(v, []byte(older.Note), cp)
	}
	if kept := v.url.Query().Get("old"); kept != "" {
		page.Kept = kept[:min(len(kept), maxKept)]
		page.KeptSteps = p.consistent(v, []byte(pasted(page.Kept)), cp)
	}
	name := "audit-" + v.account[:min(8, len(v.account))]
	page.Export = v.api() + "/audit/export?format=ndjson"
	page.Commands = []command{
		{"1. The checkpoint: what was signed", p.curl(page.Checkpoint, "-o "+name+".checkpoint")},
		{"2. The record, up to the size that the checkpoint signs",
			fmt.Sprintf(`curl -H "Authorization: Bearer $BELFRY_TOKEN" -o %s.ndjson "%s%s&size=$(sed -n 2p %s.checkpoint)"`,
				name, p.URL, page.Export, name)},
		{"3. The check, offline", "belfry verify --export " + name + ".ndjson --checkpoint " + name + ".checkpoint --key '" +
			page.Key.VKey + "'"},
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
func (p *Dashboard) consistent(v visit, older []byte, now merkle.Checkpoint) []step {
	steps := []step{
		{Name: "signature", Text: "the older checkpoint is signed by the key, for this account"},
		{Name: "consistency", Text: "the log of today begins with the log of then"},
	}
	fail := func(i int, format string, args ...any) []step {
		steps[i].Tone = ui.Bad
		steps[i].Text = visible(fmt.Sprintf(format, args...))
		return steps
	}
	then, err := verify.OpenCheckpoint(older, p.signer.Keys()[0].VKey, v.account)
	if err != nil {
		return fail(0, "this is not a checkpoint of this account that the key has signed: %v", err)
	}
	steps[0].Tone = ui.Good
	steps[0].Text = "the checkpoint of " + counted(then.Size) + " is signed by the key, for this account"
	if then.Size > now.Size {
		return fail(1, "it signs %s, and the log has %s: some are missing", counted(then.Size), counted(now.Size))
	}
	proof, err := p.reader.Consistency(v.ctx, v.account, then.Size, now.Size)
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
		steps[1].Text = "the " + counted(now.Size) + " of today begin with these, unchanged: " + n + " it"
	}
	return steps
}

// counted is "1,427 events".
func counted[N uint64 | int64](n N) string {
	s, _ := ui.Plural(n, "event", "events") // an integer is a number
	return s
}
