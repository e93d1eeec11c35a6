package db

import (
	"context"
)

// Row is one row of a result, of *sql.Row and *sql.Rows alike: a scan function
// over it reads single rows and lists.
type Row interface{ Scan(dest ...any) error }

// Collect runs a query and scans its rows into a list, which is empty and not
// nil when there is none.
func Collect[T any](
	ctx context.Context, tx *Tx, scan func(Row) (T, error), query string, args ...any,
) ([]T, error) {
	list := []T{}
	err := Each(ctx, tx, func(row Row) error {
		one, err := scan(row)
		list = append(list, one)
		return err
	}, query, args...)
	if err != nil {
		return nil, err
	}
	return list, nil
}

// Each runs a query and calls visit for each row, until one of them fails.
func Each(ctx context.Context, tx *Tx, visit func(Row) error, query string, args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// ScanText scans a row of one text column, for [Collect].
func ScanText(row Row) (s string, err error) {
	err = row.Scan(&s)
	return s, err
}
