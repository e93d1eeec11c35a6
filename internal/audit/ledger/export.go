package ledger

import (
	"bufio"
	"context"
	"io"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/internal/audit/record"
	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

// exportChunk is how many events one read of an export holds in memory.
const exportChunk = 500

// LogRange is the part [From, To) of a log of a size.
type LogRange struct{ From, To, Size uint64 }

// ExportRange writes the provable export of a part of an account's log as NDJSON. The
// size is that of the checkpoint with which it will be verified. progress is called
// with the number of events written; it may be nil.
func (r *Reader) ExportRange(
	ctx context.Context,
	w io.Writer,
	account string,
	part LogRange,
	progress func(uint64),
) error {
	from := part.From
	to := part.To
	size := part.Size // the names of the format
	if from > to || to > size {
		return errs.New(errs.CodeOutOfRange, "from and to must be ascending and at most %d, the log's size", size)
	}
	out := bufio.NewWriterSize(w, 1<<16)
	header := record.ExportHeader{Export: record.ExportRange{
		V:       1,
		Account: account,
		From:    from,
		To:      to,
		Size:    size,
		Left:    []merkle.Hash{},
		Right:   []merkle.Hash{},
	}}
	err := r.db.View(ctx, func(tx *db.Tx) error {
		key, h, err := openLog(ctx, tx, account)
		if err != nil {
			return err
		}
		if size > h.frontier.Size() {
			return errs.New(errs.CodeOutOfRange, "size %d is larger than the log, which has %d events", size, h.frontier.Size())
		}
		tr, err := merkle.NewTileReader(size, tileFetch(ctx, tx, key))
		if err != nil {
			return err
		}
		if left, err := merkle.LeftHashes(from, tr.Hash); err != nil {
			return err
		} else if left != nil {
			header.Export.Left = left
		}
		right, err := merkle.RightHashes(to, size, tr.Hash)
		if right != nil {
			header.Export.Right = right
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := json.MarshalWrite(out, header); err != nil {
		return err
	}
	out.WriteByte('\n')
	for seq := from; seq < to; {
		list, err := r.Range(ctx, account, int64(seq), int64(to), exportChunk)
		if err != nil {
			return err
		}
		if len(list) == 0 || uint64(list[0].Seq) != seq {
			return errs.New(errs.CodeUnavailable, "event %d is not in the tables; the retention period may have dropped it", seq)
		}
		for _, rec := range list {
			line, err := rec.ExportLine()
			if err != nil {
				return err
			}
			out.Write(line)
			if err := out.WriteByte('\n'); err != nil {
				return err
			}
			seq++
		}
		if progress != nil {
			progress(seq - from)
		}
	}
	return out.Flush()
}
