package ledger

import (
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// Receipt is a signed statement for the producer that the event was committed. The
// leaves of one commit make a small tree whose root is signed once; the receipt is the
// leaf's inclusion proof in it. Origin is NAME/receipts; the checkpoint is a C2SP
// signed note.
type Receipt struct {
	Leaf       merkle.Hash   `json:"leaf" doc:"SHA-256(0x00 || envelope), base64"`
	Index      int           `json:"index" doc:"Of the leaf in the commit's tree"`
	Hashes     []merkle.Hash `json:"hashes" doc:"Inclusion proof (RFC 6962), base64"`
	Checkpoint string        `json:"checkpoint" doc:"Signed note over the commit's tree"`
}

// receiptLog is the last part of the origin of batch trees.
const receiptLog = "receipts"

// giveReceipts makes the receipts that were asked for. It runs after the commit:
// the events are stored whether or not the signature succeeds, and an answer
// without a receipt can be completed by asking for the proof.
func (l *Ledger) giveReceipts(calls []*appendCall) {
	var wanted []int
	var leaves []merkle.Hash
	var events []*Pending
	for _, c := range calls {
		if c.err != nil {
			continue
		}
		for _, p := range c.events {
			// Who lost an answer sends the event again: a duplicate's receipt is for the leaf
			// that is stored. Of an event that retention dropped no leaf is known.
			again := p.Status == Duplicate && p.WantReceipt && p.Leaf != merkle.Hash{}
			if p.Status != Accepted && !again {
				continue
			}
			if p.WantReceipt {
				wanted = append(wanted, len(leaves))
			}
			leaves = append(leaves, p.Leaf)
			events = append(events, p)
		}
	}
	if len(wanted) == 0 || l.sign == nil {
		return
	}
	tree := merkle.NewBatch(leaves)
	checkpoint, err := l.sign(uint64(len(leaves)), tree.Root())
	if err != nil {
		return
	}
	for _, i := range wanted {
		proof, err := tree.AppendProof([]merkle.Hash{}, i)
		if err != nil {
			return
		}
		events[i].Receipt = &Receipt{Leaf: leaves[i], Index: i, Hashes: proof, Checkpoint: string(checkpoint)}
	}
}
