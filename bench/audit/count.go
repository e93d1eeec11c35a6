package main

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"time"
)

// counter reads the number of events in the record from the server's database.
type counter struct {
	*sql.DB
	heads string // the table
}

func (b *bench) counter() (counter, error) {
	if b.postgres != "" {
		d, err := sql.Open("pgx", b.postgres)
		return counter{d, "audit.head"}, err
	}
	file := filepath.Join(b.dir, "data", "db", "audit.db")
	d, err := sql.Open("sqlite", "file:"+file+"?mode=ro&_pragma=busy_timeout(10000)")
	return counter{d, "head"}, err
}

func (c counter) size(ctx context.Context) (n int64, err error) {
	err = c.QueryRowContext(ctx, `SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM `+c.heads).Scan(&n)
	return n, err
}

// await returns when the record holds so many events.
func (c counter) await(ctx context.Context, want int64) error {
	for {
		if n, err := c.size(ctx); err != nil || n >= want {
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// settle waits until the record does not grow for a second: the events about the accounts' creation are stored.
func (s *measuredServer) settle(ctx context.Context) error {
	count, err := s.b.counter()
	if err != nil {
		return err
	}
	defer count.Close()
	last, err := count.size(ctx)
	if err != nil {
		return err
	}
	for range 120 {
		time.Sleep(time.Second)
		n, err := count.size(ctx)
		if err != nil || n == last {
			return err
		}
		last = n
	}
	return errors.New("the record still grows after two minutes")
}
