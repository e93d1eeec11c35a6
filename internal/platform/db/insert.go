package db

import (
	"context"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
)

// chunks are the numbers of rows that one INSERT carries. Few sizes mean few
// prepared texts; a larger one gains nothing measurable on SQLite.
var chunks = [...]int{64, 8, 1}

// Insert writes many rows in the order given. conflict is the clause after VALUES
// ("ON CONFLICT ..."), or empty; without it PostgreSQL uses COPY, one of the few
// places where the engines differ.
func (t *Tx) Insert(ctx context.Context, table string, columns []string, conflict string, rows [][]any) error {
	if len(rows) == 0 {
		return nil
	}
	if t.Engine == Postgres && conflict == "" && len(rows) > 1 {
		t.count.Add(1)
		return t.conn.Raw(func(driver any) error {
			_, err := driver.(*stdlib.Conn).Conn().CopyFrom(ctx, pgx.Identifier{table}, columns, pgx.CopyFromRows(rows))
			return err
		})
	}
	args := make([]any, 0, chunks[0]*len(columns))
	for _, n := range chunks {
		if len(rows) < n {
			continue
		}
		text := insertText(t.Engine, table, columns, conflict, n)
		for ; len(rows) >= n; rows = rows[n:] {
			args = args[:0]
			for _, r := range rows[:n] {
				args = append(args, r...)
			}
			if _, err := t.Exec(ctx, text, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// insertText writes the statement. For SQLite's driver $1 is a name, which it looks up
// in a list for every value: with hundreds of them that took a quarter of the CPU of
// an append. A plain ? has no name.
func insertText(engine Engine, table string, columns []string, conflict string, rows int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES ")
	for i := range rows {
		if i > 0 {
			b.WriteString(", ")
		}
		sep := "("
		for j := range columns {
			b.WriteString(sep)
			if engine == SQLite {
				b.WriteString("?")
			} else {
				b.WriteString("$" + strconv.Itoa(i*len(columns)+j+1))
			}
			sep = ", "
		}
		b.WriteString(")")
	}
	if conflict != "" {
		b.WriteString(" " + conflict)
	}
	return b.String()
}
