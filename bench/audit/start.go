package main

import (
	"context"
	"time"
)

func (b *bench) memoryTable() *table {
	t := b.out.table("Memory of the server", "when", "RSS", "without pages of files")
	t.note("VmRSS and RssAnon of /proc/PID/status. SQLite maps its file for reading: those pages count in RSS and the kernel takes them back when it needs them.")
	return t
}

// startUp measures the start of the server on the data as they are, and its
// memory when it has nothing to do.
func (b *bench) startUp(ctx context.Context, size string) error {
	t := b.out.table("Start of the server", "data", "ready after", "CPU")
	t.note("From the start of the process to the first good answer of /readyz; the first row makes the databases and the key.")
	for _, name := range []string{"first start, " + size, "next start, " + size} {
		s, err := b.start(ctx)
		if err != nil {
			return err
		}
		u := s.usage()
		t.add(name, ms(s.ready), ms(u.server))
		b.say("%s: ready after %s", name, ms(s.ready))
		time.Sleep(3 * time.Second)
		all, own := rss(s.cmd.Process.Pid)
		b.memoryTable().add("idle after the "+name, megabytes(all), megabytes(own))
		if err := s.stop(); err != nil {
			return err
		}
	}
	return nil
}

// atSize repeats start and ingest on the resident events.
func (b *bench) atSize(ctx context.Context) error {
	size := thousands(b.resident + b.spread)
	if err := b.startUp(ctx, size); err != nil {
		return err
	}
	return b.ingest(ctx, size)
}
