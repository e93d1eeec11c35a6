package account

import (
	"fmt"
	"net/url"
	"time"

	"github.com/belfryhq/belfry/internal/feature"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// The page of a property shows objects of other features. The app passes functions that read them in [Config].

// ZoneObjective is an objective on the page of its zone.
type ZoneObjective struct {
	Zone     string // id
	Name     string
	Href     string
	State    string // of the objective, for people
	Tone     ui.Tone
	Sentence string
	Left     string // of the budget: "91 %"
	Bar      float64
	Counted  bool // it has counted requests
	Burn     string
	Rank     int // position among the account's objectives, the worst first
}

// order is the key of a list that begins with the worst objective.
func (o ZoneObjective) order() string { return fmt.Sprintf("%06d", o.Rank) }

// ZoneAlert is an alert on the page of its zone.
type ZoneAlert struct {
	Title    string
	Href     string
	Firing   bool
	Notice   bool // a message without an end
	Severity string
	At       time.Time
	EndedAt  time.Time
	AckedBy  string
}

// Lasted is the length of an alert that has ended.
func (a ZoneAlert) Lasted() time.Duration { return a.EndedAt.Sub(a.At) }

// ZoneTraffic is the requests of a zone in the last 24 hours.
type ZoneTraffic struct {
	Total  uint64
	Bad    uint64
	LastAt time.Time // of the newest requests; zero = none
	Down   []string  // origins that cannot be reached

	Intervals []ZoneInterval // of the same length, the oldest first
	Limited   []ZoneLimit    // names that the account has too many of
}

// ZoneLimit says that the account's traffic had more names of a kind than it may have.
type ZoneLimit struct {
	Noun     string // origins
	Limit    int
	Requests int64 // counted under the name other
	Example  string
	Since    time.Time
	Last     time.Time
}

// shownOrigins is the number of unreachable origins that the page of a property names.
const shownOrigins = 5

// ZoneInterval is the requests of a short time.
type ZoneInterval struct {
	Start time.Time
	Total uint64
	Bad   uint64
}

// propertyPage is the data of the template "property". A section that the visitor may not read is nil.
type propertyPage struct {
	Hub        ui.Hub
	Zone       Zone
	Path       string
	Metrics    []ui.Metric
	Objectives []ZoneObjective
	MoreOfThem int // objectives that are not listed
	Watched    bool
	NewOne     string // form of an objective; "" = the visitor may not create one
	AllOfThem  string
	Alerts     []ZoneAlert
	Alerted    bool
	AllAlerts  string
	Traffic    *ZoneTraffic
	Rate       ui.Chart // requests a second
	Failures   ui.Chart // share of the requests
	Activity   *ui.Activity
	CanWrite   bool
}

// Parts of the page that ask for themselves.
const (
	hubHeadPart  = "hub-head"
	hubSidePart  = "hub-side"
	activityPart = "activity"
	trafficPart  = "traffic"
	nowPart      = "now" // all other sections
)

func (p *pages) showProperty(v *page.Visit) error {
	z, err := p.property(v)
	if err != nil {
		return err
	}
	data := propertyPage{Zone: z, Path: propertyPath(v.Account, z.ID), CanWrite: v.Can(AccountsWrite)}
	part := ""
	if ui.Fragment(v.Request) {
		part = ui.Target(v.Request)
	}
	if part != activityPart {
		if err := p.readProperty(v, &data); err != nil {
			return err
		}
	}
	if part == "" || part == trafficPart {
		if err := p.drawTraffic(v, &data); err != nil {
			return err
		}
	}
	if part == "" || part == activityPart {
		if data.Activity, err = p.activity(v, feature.About{Zone: z.ID}); err != nil {
			return err
		}
		if data.Activity != nil {
			data.Activity.Title = "Changes"
			data.Activity.Note = "events about this property"
			data.Activity.Empty = "No event names this property yet."
			data.Activity.Live = data.Path
		}
	}
	data.setHub(v)
	return v.Show(page.View{Section: "properties", Title: z.Name, Template: "property", Data: data})
}

// readProperty reads the sections of other features.
func (p *pages) readProperty(v *page.Visit, data *propertyPage) error {
	ctx := v.Context()
	all, err := p.objectivesByZone(v)
	if err != nil {
		return err
	}
	if all != nil {
		data.Watched = true
		list := all[data.Zone.ID]
		data.Objectives = list[:min(len(list), hubRows)]
		data.MoreOfThem = len(list) - len(data.Objectives)
		data.AllOfThem = AccountPath(v.Account) + "/objectives"
		if v.Can(SLOWrite) {
			data.NewOne = data.AllOfThem + "/new?" + url.Values{"zone": {data.Zone.ID}}.Encode()
		}
	}
	if p.cfg.Alerts != nil && v.Can(NotificationsRead) {
		data.Alerted = true
		data.AllAlerts = AccountPath(v.Account) + "/alerts"
		if data.Alerts, err = p.cfg.Alerts(ctx, v.Account, data.Zone.ID, hubRows); err != nil {
			return err
		}
	}
	if p.cfg.Traffic != nil && v.Can(SLORead) {
		traffic, err := p.cfg.Traffic(ctx, v.Account, data.Zone.ID)
		if err != nil {
			return err
		}
		data.Traffic = &traffic
	}
	data.setMetrics()
	return nil
}

// marksOfChanges is how many changes are flags on the charts.
const marksOfChanges = 8

// drawTraffic draws the requests and the failures of the last day, with the changes of the property as flags.
func (p *pages) drawTraffic(v *page.Visit, d *propertyPage) error {
	const empty = "No requests in the last 24 hours"
	d.Rate = ui.Chart{Label: "Requests", Unit: "/s", Empty: empty, Min: new(float64)}
	d.Failures = ui.Chart{Label: "Failed requests", Unit: "%", Empty: empty, Min: new(float64), Small: true}
	if d.Traffic == nil || d.Traffic.Total == 0 || len(d.Traffic.Intervals) < 2 {
		return nil
	}
	list := d.Traffic.Intervals
	step := list[1].Start.Sub(list[0].Start)
	rate := ui.ChartSeries{Name: "Requests", Fill: true}
	failed := ui.ChartSeries{Name: "Failed", Tone: ui.Bad, Fill: true}
	now := p.now()
	for _, one := range list {
		// The present interval is not over; its first seconds say too little.
		lasted := min(step, now.Sub(one.Start))
		if lasted < time.Minute {
			break
		}
		d.Rate.X = append(d.Rate.X, one.Start.Unix())
		perSecond := float64(one.Total) / lasted.Seconds()
		rate.Y = append(rate.Y, &perSecond)
		var share *float64
		if one.Total > 0 {
			share = new(100 * float64(one.Bad) / float64(one.Total))
		}
		failed.Y = append(failed.Y, share)
	}
	d.Failures.X = d.Rate.X
	d.Rate.Series = []ui.ChartSeries{rate}
	d.Failures.Series = []ui.ChartSeries{failed}
	audit := auditLink(v, "zone", d.Zone.ID)
	if audit == "" {
		return nil
	}
	d.Rate.AuditHref = audit + "&since={from}&before={to}" // the script replaces these
	d.Failures.AuditHref = d.Rate.AuditHref
	if p.cfg.Changes == nil {
		return nil
	}
	var err error
	d.Rate.Marks, err = p.cfg.Changes(v.Context(), v.Account, d.Zone.ID, list[0].Start, now, marksOfChanges)
	if err != nil {
		p.cfg.Log.WarnContext(v.Context(), "a chart has no flags of changes", "error", err)
	}
	return nil
}

// objectivesByZone reads the account's objectives by zone, the worst first; nil where the visitor may not see them.
func (p *pages) objectivesByZone(v *page.Visit) (map[string][]ZoneObjective, error) {
	if p.cfg.Objectives == nil || !v.Can(SLORead) {
		return nil, nil
	}
	list, err := p.cfg.Objectives(v.Context(), v.Account)
	byZone := map[string][]ZoneObjective{}
	for i, o := range list {
		o.Rank = i
		byZone[o.Zone] = append(byZone[o.Zone], o)
	}
	return byZone, err
}

func numText(n uint64) string {
	text, err := ui.Num(n)
	if err != nil {
		return fmt.Sprint(n) // unreachable: it is a number
	}
	return text
}

// Firing is the number of listed alerts that fire.
func (d *propertyPage) Firing() (n int) {
	for _, a := range d.Alerts {
		if a.Firing {
			n++
		}
	}
	return n
}

func (d *propertyPage) setMetrics() {
	if t := d.Traffic; t != nil {
		failed := ui.Metric{Label: "Failed", Value: numText(t.Bad), Icon: "circle-x", Note: "in the last 24 hours"}
		if t.Total > 0 {
			failed.Note = fmt.Sprintf("%.3g %% of the requests", 100*float64(t.Bad)/float64(t.Total))
		}
		d.Metrics = append(d.Metrics,
			ui.Metric{Label: "Requests", Value: numText(t.Total), Icon: "activity", Note: "in the last 24 hours"}, failed)
	}
	if d.Alerted {
		m := ui.Metric{Label: "Alerts firing", Value: fmt.Sprint(d.Firing()), Icon: "siren", Note: "none fires"}
		if n := d.Firing(); n > 0 {
			m.Tone = ui.Bad
			m.Note = "see below"
		}
		d.Metrics = append(d.Metrics, m)
	}
	if len(d.Objectives) > 0 && d.Objectives[0].Counted {
		worst := d.Objectives[0]
		for _, o := range d.Objectives {
			if o.Counted && o.Bar < worst.Bar {
				worst = o
			}
		}
		d.Metrics = append(d.Metrics, ui.Metric{
			Label:    "Lowest error budget",
			Value:    worst.Left,
			Unit:     "left",
			Icon:     "target",
			Href:     worst.Href,
			Tone:     worst.Tone,
			Progress: worst.Bar,
			Note:     worst.Name,
		})
	}
}

// setHub sets the head and the properties.
func (d *propertyPage) setHub(v *page.Visit) {
	z := d.Zone
	d.Hub = ui.Hub{
		Back:       ui.Link{Label: "Properties", Href: PropertiesPath(v.Account)},
		Icon:       "globe",
		Title:      z.Name,
		Properties: []ui.PropertyGroup{d.properties(v)},
		Live:       d.Path,
	}
	switch n := d.Firing(); {
	case n > 0:
		d.Hub.Status = ui.Status{Label: counted(n, "alert fires", "alerts fire"), Tone: ui.Bad}
	case !z.Verified:
		d.Hub.Status = ui.Status{Label: "Seen in traffic only", Tone: ui.Info}
	}
	if d.NewOne != "" {
		d.Hub.Actions = append(d.Hub.Actions, ui.Link{
			Label: "Create an objective", Icon: "target", Href: d.NewOne, Key: "o", Primary: len(d.Objectives) == 0,
		})
	}
	if d.CanWrite {
		d.Hub.Actions = append(d.Hub.Actions, ui.Link{Label: "Edit", Icon: "pencil", Href: d.Path + "/edit", Key: "e"})
	}
	if href := auditLink(v, "zone", z.ID); href != "" {
		d.Hub.More = append(d.Hub.More, ui.Link{Label: "Audit log of this property", Icon: "scroll-text", Href: href})
	}
	if d.CanWrite {
		d.Hub.More = append(d.Hub.More, ui.Link{Label: "Delete", Icon: "trash-2", Href: d.Path + "/delete", Danger: true})
	}
}

func (d *propertyPage) properties(v *page.Visit) ui.PropertyGroup {
	z := d.Zone
	environment := ui.Property{Label: "Environment", Links: []ui.Link{{
		Label: string(z.Environment),
		Href:  PropertiesPath(v.Account) + "?environment=" + string(z.Environment),
	}}}
	if z.Environment == Test {
		environment.Note = "No alert is sent unless a policy names this property."
	}
	aliases := ui.Property{Label: "Also known as"}
	for _, alias := range z.Aliases {
		aliases.Links = append(aliases.Links, ui.Link{Label: alias})
	}
	first := ui.Property{Label: "First seen", At: z.CreatedOn.Time, Note: "added by a person"}
	if !z.Verified {
		first.Note = "created by traffic"
	}
	g := ui.PropertyGroup{Properties: []ui.Property{environment, aliases, first}}
	if d.CanWrite {
		g.Title = "Properties"
		g.Action = ui.Link{Label: "Edit", Href: d.Path + "/edit"}
	}
	if t := d.Traffic; t != nil {
		last := ui.Property{Label: "Last requests", At: t.LastAt, Ago: true}
		if t.LastAt.IsZero() {
			last.Text = "none in the last 24 hours"
		}
		g.Properties = append(g.Properties, last)
		if len(t.Down) > 0 {
			down := ui.Property{Label: "Unreachable origins"}
			for _, address := range t.Down[:min(len(t.Down), shownOrigins)] {
				down.Links = append(down.Links, ui.Link{Label: address})
			}
			if more := len(t.Down) - shownOrigins; more > 0 {
				down.Note = fmt.Sprintf("and %d more", more)
			}
			g.Properties = append(g.Properties, down)
		}
	}
	g.Properties = append(g.Properties,
		ui.Property{Label: "Changed", At: z.ModifiedOn.Time},
		ui.Property{Label: "Id", Copy: z.ID, Text: z.ID[:8] + "…"})
	return g
}
