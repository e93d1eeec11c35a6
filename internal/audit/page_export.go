package audit

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/account"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// The page of exports: which events, how many, and the jobs that write the files. Its URL has the filters of the
// explorer.

// exportJobsID is the part of the page that is asked for again.
const exportJobsID = "export-jobs"

// exportRows bounds the jobs that the page shows.
const exportRows = 20

// exportPath is the page of an account's exports.
func exportPath(accountID string) string { return account.RecordPath(accountID) + "/export" }

func (p *pages) addExport(base string) {
	p.Get(base, account.AuditExport, p.showExport)
	p.Post(base, account.AuditExport, page.Form[exportForm]{
		Parse:  p.parseExport,
		Do:     p.startExportForm,
		Fields: []string{"format", "since", "before"},
		Render: p.renderExport,
		Then:   p.exportStarted,
	}.Handle)
	p.Post(base+"/{job_id}/cancel", account.AuditExport, p.cancelExport)
}

// exportForm is the input for an export; the URL has its filters.
type exportForm struct {
	state  state
	Format string
}

// exportPage is the data of the template "export".
type exportPage struct {
	Path    string
	Back    string
	Filters ui.Filters
	Which   string // "41 events where actor is not bo"
	Whole   bool   // no filter: the NDJSON file is provable
	Format  string
	Formats [][2]string
	Jobs    []exportRow
	Self    string // path that the jobs are asked for again; "" = none is open
	Faults  ui.Faults
}

// exportFormats are the formats of a file, with their names.
var exportFormats = [][2]string{
	{"ndjson", "NDJSON, one event a line"},
	{"csv", "CSV, for a spreadsheet"},
	{"ocsf", "OCSF, for a SIEM"},
}

// exportRow is one export.
type exportRow struct {
	jobs.Info
	What   string
	Events string
	Status ui.Status
	Cancel string // path; "" = it has ended
}

// Percent is the progress.
func (r exportRow) Percent() float64 { return 100 * r.Progress }

// exportable keeps the parameters of the explorer that an export has: its filters and its time.
func exportable(q url.Values) url.Values {
	for _, own := range []string{"q", "views"} {
		q.Del(own)
	}
	return withoutOpen(q)
}

func (p *pages) parseExport(pv *page.Visit) (exportForm, error) {
	v := p.visit(pv)
	v.Request.URL.RawQuery = exportable(v.Request.URL.Query()).Encode()
	s, err := p.state(v)
	return exportForm{state: s, Format: v.Field("format", 16)}, err
}

func (p *pages) showExport(v *page.Visit) error {
	f, err := p.parseExport(v)
	if err != nil {
		return err
	}
	return p.renderExport(v, &f, ui.Faults{})
}

func (p *pages) renderExport(v *page.Visit, f *exportForm, faults ui.Faults) error {
	s := f.state
	self := s.Request.URL.Path + query(s.Request.URL.Query())
	data := exportPage{
		Path:    self,
		Back:    s.base() + query(s.Request.URL.Query()),
		Whole:   !s.filtered(),
		Format:  f.Format,
		Formats: exportFormats,
		Faults:  faults,
	}
	if err := p.fillExports(&data, s); err != nil {
		return err
	}
	if !ui.Fragment(v.Request) || ui.Target(v.Request) != exportJobsID {
		if err := p.fillWhich(&data, s); err != nil {
			return err
		}
	}
	return v.Show(page.View{
		Section:  "audit",
		Title:    "Export",
		Template: "export",
		Status:   faults.Status,
		Data:     data,
	})
}

// fillWhich names the events by filters and number.
func (p *pages) fillWhich(data *exportPage, s state) error {
	list := explorerPage{}
	var err error
	if list.Size, err = p.reader.Size(s.Context(), s.Account); err != nil {
		return err
	}
	if err := p.fillFilters(&list, s); err != nil {
		return err
	}
	data.Filters = list.Filters
	var m *matched
	if s.filtered() {
		counted, err := p.countExport(s)
		if err != nil {
			return err
		}
		m = &counted
	}
	data.Which = list.exported(s, m)
	if m != nil && m.More {
		number := m.String()
		data.Which = strings.ToUpper(number[:1]) + number[1:] + " " + strings.ToLower(data.Which[:1]) + data.Which[1:]
	}
	return nil
}

// countExport counts the events of an export, which has reads too, within the budget of a count.
func (p *pages) countExport(s state) (matched, error) {
	s.views = true
	m, err := p.countMatched(s)
	m.N += m.Hidden
	m.Hidden = 0
	return m, err
}

// fillExports lists the newest exports of the account.
func (p *pages) fillExports(data *exportPage, s state) error {
	list, err := p.cfg.Jobs.List(s.Context(), s.Account, []string{jobExport}, web.Keyset{}, exportRows)
	if err != nil {
		return err
	}
	for _, job := range list {
		row := exportRow{Info: job, What: exportWords(job.Input), Status: exportStatus(job)}
		var result struct{ Events *int64 }
		if json.Unmarshal(job.Result, &result) == nil && result.Events != nil {
			row.Events = grouped(uint64(*result.Events))
		}
		if job.State == jobs.Queued || job.State == jobs.Running {
			row.Cancel = exportPath(s.Account) + "/" + job.ID + "/cancel"
			data.Self = data.Path
		}
		data.Jobs = append(data.Jobs, row)
	}
	return nil
}

func exportStatus(job jobs.Info) ui.Status {
	switch {
	case job.State == jobs.Queued:
		return ui.Status{Label: "Waiting", Tone: ui.Info}
	case job.State == jobs.Running:
		return ui.Status{Label: "Running", Tone: ui.Info}
	case job.State == jobs.Failed:
		return ui.Status{Label: "Failed", Tone: ui.Bad}
	case job.State == jobs.Cancelled:
		return ui.Status{Label: "Cancelled"}
	case job.File == nil:
		return ui.Status{Label: "Expired"}
	}
	return ui.Status{Label: "Ready", Tone: ui.Good}
}

// exportWords are format, filters and time of an export in words.
func exportWords(input []byte) string {
	var in exportJob
	if json.Unmarshal(input, &in) != nil {
		return ""
	}
	words := []string{strings.ToUpper(in.Format)}
	if in.Size > 0 {
		words = append(words, "the whole audit log, provable")
	}
	for _, c := range in.Conds {
		is := " is "
		if c.Not {
			is = " is not "
		}
		words = append(words, strings.ReplaceAll(c.Field, "_", " ")+is+visible(strings.Join(c.Values, " or ")))
	}
	when := func(micros int64) string { return time.UnixMicro(micros).UTC().Format("2 Jan 2006 15:04 UTC") }
	if in.Since > 0 {
		words = append(words, "from "+when(in.Since))
	}
	if in.Before > 0 {
		words = append(words, "to "+when(in.Before))
	}
	return clip(strings.Join(words, ", "))
}

func (p *pages) startExportForm(v *page.Visit, f *exportForm) error {
	s := f.state
	in := AuditExportStart{Format: f.Format, Filters: map[string][]string{}}
	if !slices.ContainsFunc(exportFormats, func(one [2]string) bool { return one[0] == f.Format }) {
		return errs.At(errs.CodeInvalid, "/format", "choose a format")
	}
	for _, c := range s.raw {
		name := c.Field
		if c.Not {
			name += ".not"
		}
		in.Filters[name] = c.Values
	}
	if !s.period.Since.IsZero() {
		in.Since = s.period.Since.UTC().Format(time.RFC3339Nano)
	}
	if !s.period.Before.IsZero() {
		in.Before = s.period.Before.UTC().Format(time.RFC3339Nano)
	}
	var expect int64
	if s.filtered() {
		m, err := p.countExport(s)
		if err != nil {
			return err
		}
		if !m.More {
			expect = int64(m.N)
		}
	}
	_, err := p.startExport(v.Context(), in, expect)
	return err
}

func (p *pages) exportStarted(v *page.Visit, f *exportForm) error {
	return v.Redirect(f.state.Request.URL.Path+query(f.state.Request.URL.Query()), "export-started")
}

// cancelExport cancels an export. Other jobs of the account do not exist for it.
func (p *pages) cancelExport(v *page.Visit) error {
	job, err := p.cfg.Jobs.Get(v.Context(), v.Account, v.PathValue("job_id"))
	if err == nil && job.Kind != jobExport {
		err = errs.New(errs.CodeNotFound, "there is no such export")
	}
	if err != nil {
		return err
	}
	if _, err := p.cfg.Jobs.Cancel(v.Context(), v.Account, job.ID); err != nil {
		return err
	}
	return v.Redirect(exportPath(v.Account), "export-cancelled")
}
