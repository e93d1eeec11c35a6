package audit

import (
	"net/url"

	"github.com/belfryhq/belfry/internal/platform/page"
)

// headID is the part of the explorer's head that is asked for again, so that its
// numbers keep up with the live tail.
const headID = "audit-size"

// head answers with that part alone.
func (p *pages) head(v visit, data *explorerPage, s state) error {
	if err := p.fillSize(data, s); err != nil {
		return err
	}
	if err := p.fillNew(data, s); err != nil {
		return err
	}
	if s.filtered() && s.text == "" { // to look for a text again and again would cost too much
		if err := p.fillRows(data, s); err != nil {
			return err
		}
	}
	return v.Show(page.View{Section: "audit", Template: "explorer", Data: data})
}

// fillSize reads how long the record is, and how much of it is signed.
func (p *pages) fillSize(data *explorerPage, s state) (err error) {
	if data.Size, err = p.reader.Size(s.Context(), s.Account); err != nil {
		return err
	}
	data.Signed, err = p.reader.SignedHead(s.Context(), s.Account)
	return err
}

// filtered reports whether the list shows less than the record.
func (s state) filtered() bool {
	return len(s.filters) > 0 || s.text != "" || !s.period.Since.IsZero() || !s.period.Before.IsZero()
}

// withoutOpen leaves out of a page's parameters the open event and the place in
// the list.
func withoutOpen(q url.Values) url.Values {
	for _, own := range []string{"event", "tab", "verify", "cursor", seenParameter} {
		q.Del(own)
	}
	return q
}
