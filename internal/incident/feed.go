package incident

import (
	"cmp"
	"context"
	"encoding/xml"
	"fmt"
	"html"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/db"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// latest reads the incidents of a kind ("" = both) that began last, with their updates.
func (f *Feature) latest(ctx context.Context, kind Kind) (list []*Incident, err error) {
	list, err = f.Incidents(ctx, Query{Kind: kind}, web.Keyset{}, feedMost)
	if err != nil {
		return nil, err
	}
	err = f.db.View(ctx, func(tx *db.Tx) error { return loadUpdates(ctx, tx, list) })
	return list, err
}

// feedID identifies an incident in feeds, whatever the address of the server is (RFC 4122 names; RFC 4287, 4.2.6).
func feedID(incidentID string) string { return "urn:belfry:incident:" + incidentID }

// changedOn is the time of the newest update, or of its correction.
func (i *Incident) changedOn() time.Time {
	newest := i.CreatedOn.Time
	for _, u := range i.Updates {
		for _, at := range []time.Time{u.At.Time, u.ModifiedOn.Time} {
			if at.After(newest) {
				newest = at
			}
		}
	}
	return newest
}

// updatesHTML are the updates of an incident as the content of a feed.
func updatesHTML(i *Incident) string {
	var b strings.Builder
	if i.Kind == KindMaintenance {
		fmt.Fprintf(&b, "<p>Schedule: %s</p>", html.EscapeString(scheduleWords(i)))
	}
	for _, u := range i.Updates {
		text := strings.ReplaceAll(html.EscapeString(u.Message), "\n", "<br>")
		fmt.Fprintf(&b, "<p><small>%s</small><br><strong>%s</strong>: %s</p>",
			u.At.UTC().Format("2 January 2006, 15:04 UTC"), html.EscapeString(u.State.Words()), text)
	}
	return b.String()
}

// atomFeed is a feed of RFC 4287.
type atomFeed struct {
	XMLName xml.Name    `xml:"http://www.w3.org/2005/Atom feed"`
	ID      string      `xml:"id"`
	Title   string      `xml:"title"`
	Updated string      `xml:"updated"`
	Author  string      `xml:"author>name"`
	Links   []atomLink  `xml:"link"`
	Entries []atomEntry `xml:"entry"`
}

type atomLink struct {
	Rel  string `xml:"rel,attr,omitempty"`
	Type string `xml:"type,attr,omitempty"`
	Href string `xml:"href,attr"`
}

type atomEntry struct {
	ID        string      `xml:"id"`
	Title     string      `xml:"title"`
	Published string      `xml:"published"`
	Updated   string      `xml:"updated"`
	Link      atomLink    `xml:"link"`
	Content   atomContent `xml:"content"`
}

type atomContent struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

func (f *Feature) atom(b *board, list []*Incident) ([]byte, error) {
	feed := atomFeed{
		ID:     "urn:belfry:status:" + f.pageID(),
		Title:  b.Page.Title,
		Author: b.Page.Title,
		Links: []atomLink{
			{Href: f.cfg.URL + StatusPath, Type: "text/html"},
			{Rel: "self", Href: f.cfg.URL + atomPath, Type: "application/atom+xml"},
		},
	}
	newest := time.Unix(0, 0)
	for _, i := range list {
		changed := i.changedOn()
		if changed.After(newest) {
			newest = changed
		}
		feed.Entries = append(feed.Entries, atomEntry{
			ID:        feedID(i.ID),
			Title:     i.Name,
			Published: i.CreatedOn.UTC().Format(time.RFC3339),
			Updated:   changed.UTC().Format(time.RFC3339),
			Link:      atomLink{Rel: "alternate", Href: f.cfg.URL + incidentPath(i.ID), Type: "text/html"},
			Content:   atomContent{"html", updatesHTML(i)},
		})
	}
	feed.Updated = newest.UTC().Format(time.RFC3339)
	return encodeXML(feed)
}

// rssFeed is a feed of RSS 2.0.
type rssFeed struct {
	XMLName xml.Name   `xml:"rss"`
	Version string     `xml:"version,attr"`
	Channel rssChannel `xml:"channel"`
}

type rssChannel struct {
	Title       string    `xml:"title"`
	Link        string    `xml:"link"`
	Description string    `xml:"description"`
	Built       string    `xml:"lastBuildDate,omitempty"`
	Items       []rssItem `xml:"item"`
}

type rssItem struct {
	Title       string  `xml:"title"`
	Link        string  `xml:"link"`
	GUID        rssGUID `xml:"guid"`
	Published   string  `xml:"pubDate"`
	Description string  `xml:"description"`
}

type rssGUID struct {
	Permalink bool   `xml:"isPermaLink,attr"`
	ID        string `xml:",chardata"`
}

func (f *Feature) rss(b *board, list []*Incident) ([]byte, error) {
	feed := rssFeed{Version: "2.0", Channel: rssChannel{
		Title:       b.Page.Title,
		Link:        f.cfg.URL + StatusPath,
		Description: cmp.Or(b.Page.Description, "Incidents and maintenance"),
	}}
	for _, i := range list {
		feed.Channel.Items = append(feed.Channel.Items, rssItem{
			Title:       i.Name,
			Link:        f.cfg.URL + incidentPath(i.ID),
			GUID:        rssGUID{false, feedID(i.ID)},
			Published:   i.changedOn().UTC().Format(time.RFC1123Z),
			Description: updatesHTML(i),
		})
	}
	return encodeXML(feed)
}

func encodeXML(feed any) ([]byte, error) {
	text, err := xml.MarshalIndent(feed, "", " ")
	return append([]byte(xml.Header), append(text, '\n')...), err
}
