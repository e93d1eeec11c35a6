package record

import (
	"strings"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// allFaults returns the faults of an event at which decoding stopped. An unknown
// member does not hide the other faults.
func allFaults(data []byte, err error, now time.Time) errs.List {
	list := Noun.Faults(data, err, func(rest []byte) (errs.List, error) {
		e := &Event{}
		if err := json.Unmarshal(rest, e, publishedEvent); err != nil {
			return nil, err
		}
		var o outline
		if json.Unmarshal(rest, &o) != nil {
			return nil, nil
		}
		e.tidy()
		return e.check(&o, now), nil
	})
	if strings.Contains(list[0].Message, "after top-level value") {
		list[0].Message += "; send one event a line (curl -d strips line breaks, --data-binary keeps them)"
	}
	return list
}
