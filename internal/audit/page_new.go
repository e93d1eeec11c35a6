package audit

import (
	"strconv"

	"github.com/belfryhq/belfry/internal/audit/record"
)

// seenParameter names the size of the log that the shown rows are of. A page
// without Live asks how many events its list would show beside them.
const seenParameter = "seen"

// mostNew bounds how many events are counted as new.
const mostNew = 100

// newRows are the events that a list does not show yet.
type newRows struct {
	Count int
	More  bool // and some that were not counted
}

// fillNew counts the events that the list would show and does not, and says how
// the head asks again.
func (p *pages) fillNew(data *explorerPage, s state) error {
	seen, err := strconv.ParseInt(s.Request.URL.Query().Get(seenParameter), 10, 64)
	if err != nil || seen < 0 || seen > data.Size {
		seen = data.Size
	}
	q := withoutOpen(s.Request.URL.Query())
	q.Set(seenParameter, strconv.FormatInt(seen, 10))
	data.Poll = s.Request.URL.Path + query(q)
	data.New, err = p.newSince(s, seen, data.Size)
	return err
}

func (p *pages) newSince(s state, seen, size int64) (n newRows, err error) {
	if seen >= size {
		return n, nil
	}
	m, err := record.Compile(s.filters)
	if err != nil {
		return n, err
	}
	if size-seen > mostNew {
		seen, n.More = size-mostNew, true
	}
	records, err := p.reader.Range(s.Context(), s.Account, seen, size, mostNew)
	if err != nil {
		return n, err
	}
	keep, _ := p.keep(s)
	within := s.query()
	for _, r := range records {
		at := r.Event.At().UnixMicro()
		if at >= within.Since && (within.Before == 0 || at < within.Before) && m.Matches(r) && keep(r) {
			n.Count++
		}
	}
	return n, nil
}
