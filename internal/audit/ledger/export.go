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

// ExportRange writes the provable export [from, to) of an account as NDJSON,
// for the log at this size (the checkpoint's). progress is told how many
// events are written; it may be nil.
func (r *Reader) ExportRange(
	ctx context.Context,
	w io.Writer,
	account string,
	from, to, size uint64,
	progress func(uint64),
) error {
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
		tr, err := merkle.NewTileReader(size, tiles(ctx, tx, key))
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
