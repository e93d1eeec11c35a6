package bus

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/belfryhq/belfry/internal/platform/db"
)

// ErrFenced means that another owner has claimed the partition, or its position was
// moved, since the batch was read. The caller rolls back and must store nothing of
// the batch.
var ErrFenced = errors.New("the partition has another owner now")

// Position is the stored position of a group in a partition.
type Position struct {
	Group     string
	Topic     string
	Partition int32
	Next      int64 // offset of the first record that is not stored yet
	Epoch     int64
	At        time.Time // of the last claim or commit
	crc       sql.NullInt64
}

const selectPositions = `SELECT grp, topic, partition, next, epoch, crc, updated_at FROM bus_offset
ORDER BY grp, topic, partition`

// Positions lists every position that the database keeps.
func Positions(ctx context.Context, d *db.DB) (list []Position, err error) {
	err = d.View(ctx, func(tx *db.Tx) error {
		list, err = db.Collect(ctx, tx, scanPosition, selectPositions)
		return err
	})
	return list, err
}

func scanPosition(row db.Row) (Position, error) {
	var p Position
	var at int64
	err := row.Scan(&p.Group, &p.Topic, &p.Partition, &p.Next, &p.Epoch, &p.crc, &at)
	p.At = time.UnixMicro(at).UTC()
	return p, err
}

// raise claims a partition: every owner before is fenced from here on.
const raise = `INSERT INTO bus_offset (grp, topic, partition, next, epoch, updated_at) VALUES ($1, $2, $3, 0, 1, $4)
ON CONFLICT (grp, topic, partition) DO UPDATE SET epoch = bus_offset.epoch + 1, updated_at = excluded.updated_at
RETURNING next, epoch, crc`

func claim(ctx context.Context, d *db.DB, p *Position) error {
	return d.Tx(ctx, func(tx *db.Tx) error {
		return tx.QueryRow(ctx, raise, p.Group, p.Topic, p.Partition, time.Now().UnixMicro()).Scan(&p.Next, &p.Epoch, &p.crc)
	})
}

// restart moves a position to the start of the log, and fences owners that have the
// old one.
func restart(ctx context.Context, d *db.DB, p *Position, next int64) error {
	err := d.Tx(ctx, func(tx *db.Tx) error { return move(ctx, tx, p, next) })
	if err == nil {
		p.Next, p.crc = next, sql.NullInt64{}
		p.Epoch++
	}
	return err
}

// move sets a position without a batch, and fences every owner that has the old one.
func move(ctx context.Context, tx *db.Tx, p *Position, next int64) error {
	n, err := tx.Exec(ctx, `UPDATE bus_offset SET next = $1, crc = NULL, epoch = epoch + 1, updated_at = $2
		WHERE grp = $3 AND topic = $4 AND partition = $5 AND next = $6 AND epoch = $7`,
		next, time.Now().UnixMicro(), p.Group, p.Topic, p.Partition, p.Next, p.Epoch)
	if err == nil && n == 0 {
		err = ErrFenced
	}
	return err
}

// advance is the fence: it changes a row only for the present owner, at the
// position from which the batch was read.
const advance = `UPDATE bus_offset SET next = $1, crc = $2, updated_at = $3
WHERE grp = $4 AND topic = $5 AND partition = $6 AND next = $7 AND epoch = $8`

// crcTable is Castagnoli's polynomial, the one of Kafka's own batches.
var crcTable = crc32.MakeTable(crc32.Castagnoli)

// checksum identifies a record by its time, key and value. It is stored with the
// offset after the record, and shows whether the log is still the same.
func checksum(r *kgo.Record) int64 {
	var head [16]byte
	binary.BigEndian.PutUint64(head[:8], uint64(r.Timestamp.UnixMilli()))
	binary.BigEndian.PutUint64(head[8:], uint64(len(r.Key)))
	sum := crc32.Update(0, crcTable, head[:])
	sum = crc32.Update(sum, crcTable, r.Key)
	return int64(crc32.Update(sum, crcTable, r.Value))
}
