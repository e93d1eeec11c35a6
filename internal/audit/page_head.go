package audit

import (
	"net/http"
	"net/url"
	"strings"
)

// headID is the part of the explorer's head that is asked for again, so that its
// numbers keep up with the live tail.
const headID = "audit-size"

// head answers with that part alone.
func (p *Dashboard) head(w http.ResponseWriter, v visit, page *explorerPage, s state) error {
	if err := p.fillSize(page, s); err != nil {
		return err
	}
	if err := p.fillNew(page, s); err != nil {
		return err
	}
	if s.filtered() && s.text == "" { // to look for a text again and again would cost too much
		if err := p.fillRows(page, s); err != nil {
			return err
		}
	}
	return p.set.Render(w, v.r, p.Shell(v.r, v.who, v.account, "audit"), "explorer", page)
}

// fillSize reads how long the record is, and how much of it is signed.
func (p *Dashboard) fillSize(page *explorerPage, s state) (err error) {
	if page.Size, err = p.reader.Size(s.ctx, s.account); err != nil {
		return err
	}
	page.Signed, err = p.reader.SignedHead(s.ctx, s.account)
	return err
}

// filtered reports whether the list shows less than the record.
func (s state) filtered() bool {
	return len(s.conds) > 0 || s.text != "" || !s.period.Since.IsZero() || !s.period.Before.IsZero()
}

// withoutOpen leaves out of a page's parameters what is open beside the list and
// where in the list one is.
func withoutOpen(q url.Values) url.Values {
	for _, own := range []string{"event", "tab", "verify", "cursor", seenParameter} {
		q.Del(own)
	}
	return q
}

// exported names the events of an export as the filters and their number do.
func (page *explorerPage) exported(s state) string {
	switch {
	case s.text != "": // files have filters, and no search for words
		return "Events of the filters"
	case !s.filtered():
		return "All " + grouped(uint64(page.Size)) + " events"
	case page.Hidden == 0 && page.Matched != "" && !strings.HasSuffix(page.Matched, "+"):
		return "The " + page.Matched + " that match"
	}
	return "Events that match"
}
