package db

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// Join runs one statement for many rows of values, which text reads as the table input:
//
//	tx.Join(ctx, []string{"id", "state"}, rows, `UPDATE delivery SET state = input.state
//		FROM input WHERE delivery.id = input.id RETURNING delivery.id`, visit)
//
// A column holds values of one type: string, int, int64, bool or []byte. visit gets the
// rows of the result, in no particular order; without RETURNING or SELECT it is not
// called. On PostgreSQL the values are arrays, so that one round trip and one prepared
// text serve any number of rows. On SQLite the rows go in a few statements, so text
// must not depend on seeing all of them.
func (t *Tx) Join(
	ctx context.Context, columns []string, rows [][]any, text string, visit func(Row) error,
) error {
	if len(rows) == 0 {
		return nil
	}
	if t.Engine == Postgres {
		input, args, err := arrays(columns, rows)
		if err != nil {
			return err
		}
		return Each(ctx, t, visit, input+text, args...)
	}
	args := make([]any, 0, min(len(rows), chunks[0])*len(columns))
	for _, n := range chunks {
		if len(rows) < n {
			continue
		}
		input := "WITH input (" + strings.Join(columns, ", ") + ") AS (VALUES " + placeholders(len(columns), n) + ") "
		for ; len(rows) >= n; rows = rows[n:] {
			args = args[:0]
			for _, r := range rows[:n] {
				args = append(args, r...)
			}
			if err := Each(ctx, t, visit, input+text, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// placeholders are the rows of VALUES for SQLite; see insertText.
func placeholders(columns, rows int) string {
	row := "(" + strings.Repeat("?, ", columns-1) + "?)"
	return strings.Repeat(row+", ", rows-1) + row
}

// arrays returns the table input for PostgreSQL, and an array for each of its columns.
func arrays(columns []string, rows [][]any) (input string, args []any, err error) {
	names := make([]string, len(columns))
	for j := range columns {
		list, sqlType, err := arrayOf(rows, j)
		if err != nil {
			return "", nil, fmt.Errorf("column %s: %w", columns[j], err)
		}
		args = append(args, list)
		names[j] = "$" + strconv.Itoa(j+1) + "::" + sqlType + "[]"
	}
	return "WITH input AS (SELECT * FROM unnest(" + strings.Join(names, ", ") + ") AS r (" +
		strings.Join(columns, ", ") + ")) ", args, nil
}

func arrayOf(rows [][]any, j int) (list any, sqlType string, err error) {
	switch rows[0][j].(type) {
	case string:
		return columnOf[string](rows, j), "text", nil
	case int:
		return columnOf[int](rows, j), "bigint", nil
	case int64:
		return columnOf[int64](rows, j), "bigint", nil
	case bool:
		return columnOf[bool](rows, j), "boolean", nil
	case []byte:
		return columnOf[[]byte](rows, j), "bytea", nil
	}
	return nil, "", fmt.Errorf("values of type %T cannot be joined", rows[0][j])
}

func columnOf[T any](rows [][]any, j int) []T {
	list := make([]T, len(rows))
	for i, r := range rows {
		list[i] = r[j].(T)
	}
	return list
}
