package audit

import (
	"net/url"
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
func (p *Dashboard) fillNew(page *explorerPage, s state) error {
	seen, err := strconv.ParseInt(s.url.Query().Get(seenParameter), 10, 64)
	if err != nil || seen < 0 || seen > page.Size {
		seen = page.Size
	}
	q := withoutOpen(s.url.Query())
	q.Set(seenParameter, strconv.FormatInt(seen, 10))
	page.Poll = s.url.Path + query(url.Values(q))
	page.New, err = p.newSince(s, seen, page.Size)
	return err
}

func (p *Dashboard) newSince(s state, seen, size int64) (n newRows, err error) {
	if seen >= size {
		return n, nil
	}
	m, err := record.Compile(s.conds)
	if err != nil {
		return n, err
	}
	if size-seen > mostNew {
		seen, n.More = size-mostNew, true
	}
	records, err := p.reader.Range(s.ctx, s.account, seen, size, mostNew)
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
