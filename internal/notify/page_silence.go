package notify

import (
	"cmp"
	"net/url"
	"slices"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

func (p *pages) addSilences() {
	const base = "/accounts/{account_id}/notifications/silences"
	p.Get(base, account.NotificationsRead, p.showSilences)
	p.Get(base+"/new", account.NotificationsWrite, p.showNewSilence)
	p.Post(base, account.NotificationsWrite, page.Form[silenceForm]{
		Parse:  p.parseSilence,
		Do:     p.createSilence,
		Fields: []string{"what", "alert_type", "zones", "severity", "policy", "lasts", "reason"},
		Render: p.renderSilence,
		Then: func(v *page.Visit, _ *silenceForm) error {
			return v.Redirect(silencesPath(v.Account), "silence-created")
		},
	}.Handle)
	p.Confirm(base+"/{silence_id}/end", account.NotificationsWrite, p.confirmEndSilence, p.endSilence)
}

func silencesPath(accountID string) string { return NotificationsPath(accountID) + "/silences" }

// silencesPage is the data of the template "silences".
type silencesPage struct {
	Path string
	Back string
	May  bool
	Rows []shownSilence
	Next string
}

// shownSilence is a silence with names.
type shownSilence struct {
	Silence
	What   string
	Status ui.Status
	End    string // page that asks before its end; "" = it has ended, or without the permission
}

// silencesAtOnce is how many silences a part of the list has.
const silencesAtOnce = 50

func (p *pages) showSilences(v *page.Visit) error {
	list, err := p.Silences(v.Context(), v.Account)
	if err != nil {
		return err
	}
	part, err := page.SortedList(v, silencesAtOnce, list, func(s Silence) (key, id string) {
		return page.NewestFirst(s.EndTime.Time), s.ID
	})
	if err != nil {
		return err
	}
	titles, err := p.typeTitles(v.Context())
	if err != nil {
		return err
	}
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	out := silencesPage{
		Path: silencesPath(v.Account),
		Back: NotificationsPath(v.Account),
		May:  v.Can(account.NotificationsWrite),
		Next: part.Next,
	}
	for _, s := range part.Items {
		if err := p.resolveZones(v.Context(), &s.match); err != nil {
			return err
		}
		row := shownSilence{Silence: s, What: s.words(titles, policies), Status: ui.Status{Label: s.State}}
		if s.State == silenceActive {
			row.Status.Tone = ui.Warn
		}
		if out.May && s.State != silenceEnded {
			row.End = out.Path + "/" + s.ID + "/end"
		}
		out.Rows = append(out.Rows, row)
	}
	return v.Show(page.View{Section: "notifications", Title: "Silences", Template: "silences", Data: out})
}

// words say which alerts a silence silences.
func (s *Silence) words(titles typeTitles, policies []Policy) string {
	what := "All alerts"
	if s.AlertType != "" {
		what = titles.of(s.AlertType)
	}
	for _, key := range sortedKeys(s.Filters) {
		if len(s.Filters[key]) == 0 {
			continue
		}
		base, not := key, " is "
		if n := len(key) - len(notSuffix); n > 0 && key[n:] == notSuffix {
			base, not = key[:n], " is not "
		}
		name := base
		if base == zonesKey {
			name = "property"
		}
		what += ", " + name + not + few(s.match.spoken(base, s.Filters[key]))
	}
	if s.PolicyID != "" {
		i := slices.IndexFunc(policies, func(p Policy) bool { return p.ID == s.PolicyID })
		name := "a deleted policy"
		if i >= 0 {
			name = policies[i].Name
		}
		what += ", policy " + name
	}
	return what
}

// silenceForm is the input for a silence, and the data of the template "silence-new".
type silenceForm struct {
	Action   string
	Back     string
	Type     ui.Picker
	Zones    ui.Picker
	Severity ui.Picker
	Policy   ui.Picker
	Lasts    string
	Lengths  [][2]string
	Until    string
	Reason   string
	Faults   ui.Faults

	kind       string
	zones      []ui.Choice
	severities []ui.Choice
	policy     string
}

// silenceLengths are how long a silence of the form lasts.
var silenceLengths = [][2]string{
	{"30m", "30 minutes"},
	{"2h", "2 hours"},
	{"8h", "8 hours"},
	{"24h", "1 day"},
	{"7d", "7 days"},
	{"30d", "30 days"},
}

// showNewSilence shows the form; the query names the type, property, severity or policy of an alert.
func (p *pages) showNewSilence(v *page.Visit) error {
	f := silenceForm{
		Lasts:  "2h",
		kind:   page.Cut(v.Query("type"), 255),
		policy: page.Cut(v.Query("policy"), 64),
	}
	if zone := page.Cut(v.Query("zone"), 255); zone != "" {
		f.zones = []ui.Choice{{Value: zone}}
	}
	if severity := page.Cut(v.Query("severity"), 64); severity != "" {
		f.severities = []ui.Choice{{Value: severity}}
	}
	return p.renderSilence(v, &f, ui.Faults{})
}

func (p *pages) parseSilence(v *page.Visit) (silenceForm, error) {
	return silenceForm{
		Lasts:      v.Field("lasts", 8),
		Reason:     v.Field("reason", 4*maxReason),
		kind:       v.Field("alert_type", 255),
		zones:      v.Choices("zones", 255),
		severities: v.Choices("severity", 64),
		policy:     v.Field("policy", 64),
	}, nil
}

func (f *silenceForm) silence(now time.Time) Silence {
	s := Silence{AlertType: f.kind, PolicyID: f.policy, Reason: f.Reason, StartTime: moment(now)}
	if lasts, err := parseInterval(f.Lasts); err == nil {
		s.EndTime = moment(now.Add(lasts))
	}
	s.Filters = map[string][]string{}
	for key, choices := range map[string][]ui.Choice{zonesKey: f.zones, severityKey: f.severities} {
		for _, c := range choices {
			s.Filters[key] = append(s.Filters[key], c.Value)
		}
	}
	return s
}

func (p *pages) createSilence(v *page.Visit, f *silenceForm) error {
	if f.kind == "" && f.policy == "" && len(f.zones) == 0 && len(f.severities) == 0 {
		return errs.At(errs.CodeMissingField, "/what", "Choose a type of alert, a property, a severity or a policy.")
	}
	_, err := p.CreateSilences(v.Context(), v.Who, v.Account, []Silence{f.silence(p.Now())})
	return byField(err, map[string]string{
		"/0/filters":    "what",
		"/0/alert_type": "alert_type",
		"/0/policy_id":  "policy",
		"/0/end_time":   "lasts",
		"/0/reason":     "reason",

		"/0/filters/zones":    "zones",
		"/0/filters/severity": "severity",
	})
}

// byField assigns an error's faults to the fields of a form.
func byField(err error, fields map[string]string) error {
	if kind := errs.KindOf(err); err == nil || kind != errs.Invalid && kind != errs.Conflict {
		return err
	}
	var list errs.List
	for _, e := range errs.All(err) {
		at := *e
		at.Pointer = "/" + fields[e.Pointer]
		list = append(list, &at)
	}
	return list.Or()
}

func (p *pages) renderSilence(v *page.Visit, f *silenceForm, faults ui.Faults) error {
	f.Faults = faults
	f.Action = silencesPath(v.Account)
	f.Back = f.Action
	f.Lengths = silenceLengths
	types, err := p.AlertTypes(v.Context())
	if err != nil {
		return err
	}
	policies, err := p.Feature.Policies(v.Context(), v.Account)
	if err != nil {
		return err
	}
	f.Type = ui.Picker{
		Name:        "alert_type",
		Label:       "Type of alert",
		Placeholder: "All types",
		Error:       faults.Of("alert_type"),
	}
	var severities []string
	for _, t := range types {
		f.Type.Options = append(f.Type.Options, ui.Choice{Value: t.Type, Label: t.Title, Detail: t.Category, Icon: "siren"})
		if f.kind == "" || f.kind == t.Type {
			severities = append(severities, t.Severities...)
		}
	}
	if f.kind != "" {
		f.Type.Selected = labelled([]ui.Choice{{Value: f.kind}}, f.Type.Options)
	}
	f.Severity = ui.Picker{
		Name:        "severity",
		Label:       "Severity",
		Placeholder: "Any",
		Multiple:    true,
		Error:       faults.Of("severity"),
		Selected:    f.severities,
	}
	slices.Sort(severities)
	for _, name := range slices.Compact(severities) {
		f.Severity.Options = append(f.Severity.Options, ui.Choice{Value: name})
	}
	f.Policy = ui.Picker{Name: "policy", Label: "Policy", Placeholder: "All policies", Error: faults.Of("policy")}
	for _, one := range policies {
		f.Policy.Options = append(f.Policy.Options, ui.Choice{Value: one.ID, Label: one.Name, Icon: "bell"})
	}
	if f.policy != "" {
		f.Policy.Selected = labelled([]ui.Choice{{Value: f.policy}}, f.Policy.Options)
	}
	f.Zones = ui.Picker{
		Name:        "zones",
		Label:       "Properties",
		Placeholder: "All properties",
		Kind:        "zone",
		Source:      account.AccountPath(v.Account) + "/find",
		Multiple:    true,
		AllowOther:  true,
		Error:       faults.Of("zones"),
	}
	if f.Zones.Selected, f.Zones.Hint, err = p.namedZones(v, f.zones); err != nil {
		return err
	}
	return v.Show(page.View{
		Section:  "notifications",
		Title:    "Silence alerts",
		Template: "silence-new",
		Status:   faults.Status,
		Data:     *f,
	})
}

func (p *pages) confirmEndSilence(v *page.Visit) (page.Confirm, error) {
	s, err := p.Silence(v.Context(), v.Account, v.PathValue("silence_id"))
	return page.Confirm{
		Section: "notifications",
		Title:   "End this silence?",
		Text: cmp.Or(ui.FullSentence(s.Reason), "Alerts are sent again.") +
			" Alerts that it silenced and that still fire are sent at once.",
		Label: "End the silence",
		Back:  silencesPath(v.Account),
	}, err
}

func (p *pages) endSilence(v *page.Visit) error {
	if err := p.EndSilence(v.Context(), v.Who, v.Account, v.PathValue("silence_id")); err != nil {
		return err
	}
	return v.Redirect(silencesPath(v.Account), "silence-ended")
}

// silenceHref is the form of a silence of alerts such as this one.
func (d *Decision) silenceHref() string {
	q := url.Values{"type": {d.Type}}
	if d.Zone != nil {
		q.Set("zone", cmp.Or(d.Zone.ID, d.Zone.Name))
	}
	return silencesPath(d.account) + "/new?" + q.Encode()
}
