package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// Copy loads rows by PostgreSQL's COPY protocol inside the transaction: one of
// the few places where the engines must differ (SQLite has no such thing; its
// prepared inserts cost no round trip).
func (t *Tx) Copy(ctx context.Context, table string, columns []string, rows [][]any) error {
	if t.Engine != Postgres {
		return fmt.Errorf("copy into %s: not an operation of %s", table, t.Engine)
	}
	return t.conn.Raw(func(driver any) error {
		_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
		return err
	})
}
