package demo

import (
	"bytes"
	"compress/gzip"
	_ "embed" // the real access log
	"fmt"
	"time"

	"github.com/belfryhq/belfry/internal/traffic"
)

// realLines is the access log of a real web server, 17 to 20 May 2015; its
// origin stands in data/README.md.
//
//go:embed data/apache_combined_2015-05.log.gz
var realLines []byte

// realLog counts the real log's requests, moved as a whole so that its last
// line is now: a site with a hundred requests an hour, and three errors in four
// days.
func realLog(now time.Time) ([]count, error) {
	z, err := gzip.NewReader(bytes.NewReader(realLines))
	if err != nil {
		return nil, fmt.Errorf("the real log: %w", err)
	}
	counts, _, err := traffic.Combined.ReadCounts(z, quiet, "")
	if err != nil {
		return nil, fmt.Errorf("the real log: %w", err)
	}
	last := counts[len(counts)-1]
	shift := (now.Unix() - last.At - last.Seconds) / 10 * 10
	list := make([]count, len(counts))
	for i, c := range counts {
		list[i] = count{Zone: quiet, TS: c.At + shift, Seconds: c.Seconds, Total: c.Total, Bad: c.Bad, Unreachable: c.Unreachable}
	}
	return list, nil
}
