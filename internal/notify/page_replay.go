package notify

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/belfryhq/belfry/internal/platform/delivery"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/jobs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
	"github.com/belfryhq/belfry/internal/platform/web"
)

// replayForm chooses the deliveries of a webhook that are sent again.
type replayForm struct {
	Hook          shownWebhook
	Since, Before string
	States        string // "failed", or "" for all that have ended
	Rate          string
	Counted       bool
	Matched       int
	Takes         string // at the chosen rate
	Faults        ui.Faults

	start bool // the count was shown, and the visitor started the replay
	job   jobs.Info
}

// replayStates are the choices of the form.
var replayStates = [][2]string{
	{"failed", "failed or not sent"},
	{"", "all that have ended"},
}

// ReplayStates are the choices of the form.
func (replayForm) ReplayStates() [][2]string { return replayStates }

var errNoJobs = errs.New(errs.CodeUnavailable, "this process runs no jobs")

// fieldTime is the format of a native time field.
const fieldTime = "2006-01-02T15:04:05"

func (p *pages) showReplay(v *page.Visit) error {
	f, err := p.replayFormOf(v)
	if err != nil {
		return err
	}
	f.Since = p.Now().UTC().Add(-24 * time.Hour).Format(fieldTime)
	if since, err := time.Parse(fieldTime, v.Query("since")); err == nil {
		f.Since = since.Format(fieldTime)
	}
	f.Before = p.Now().UTC().Add(time.Second).Format(fieldTime) // the field has no fractions of a second
	f.States = replayStates[0][0]
	f.Rate = strconv.Itoa(defaultReplayRate)
	return p.renderReplay(v, &f, ui.Faults{})
}

func (p *pages) replayFormOf(v *page.Visit) (replayForm, error) {
	h, err := p.webhook(v)
	return replayForm{Hook: h}, err
}

func (p *pages) parseReplay(v *page.Visit) (replayForm, error) {
	f, err := p.replayFormOf(v)
	f.Since = v.Field("since", 40)
	f.Before = v.Field("before", 40)
	f.States = v.Field("states", 20)
	f.Rate = v.Field("rate", 20)
	f.start = v.Field("do", 8) == "start"
	return f, err
}

// replay reads the form.
func (f *replayForm) replay() (r WebhookReplay, faults errs.List) {
	read := func(field, text string) web.Time {
		if text == "" {
			return web.Time{}
		}
		for _, layout := range []string{fieldTime, "2006-01-02T15:04", time.RFC3339, "2006-01-02 15:04", "2006-01-02"} {
			if t, err := time.Parse(layout, text); err == nil {
				return moment(t)
			}
		}
		faults = append(faults, errs.At(errs.CodeInvalid, "/"+field, "this is not a time such as 2026-11-28 14:05"))
		return web.Time{}
	}
	r.Since = read("since", f.Since)
	r.Before = read("before", f.Before)
	r.OnlyFailed = f.States == "failed"
	if f.Rate != "" {
		rate, err := strconv.Atoi(f.Rate)
		if err != nil || rate < 1 {
			faults = append(faults, rateFault())
		}
		r.Rate = rate
	}
	return r, faults
}

// replayWebhook counts the deliveries, and starts the job once the count was shown.
func (p *pages) replayWebhook(v *page.Visit, f *replayForm) (err error) {
	r, faults := f.replay()
	if len(faults) > 0 {
		return faults.Or()
	}
	if err := p.completeReplay(&r); err != nil {
		return err
	}
	if f.start && p.Jobs == nil {
		return errNoJobs
	}
	if f.start {
		f.job, err = p.startReplay(v.Context(), p.Jobs, v.Account, f.Hook.ID, r)
		return err
	}
	in := replayInput{DestinationID: f.Hook.ID, Replay: r}
	f.Matched, err = p.queue.Count(v.Context(), in.filter(v.Account))
	f.Counted = true
	f.Takes = durationWords(time.Duration(f.Matched) * time.Second / time.Duration(r.Rate))
	f.Before = r.Before.UTC().Format(fieldTime) // messages made after the count are left out
	return err
}

func (p *pages) renderReplay(v *page.Visit, f *replayForm, faults ui.Faults) error {
	f.Faults = faults
	return v.Show(page.View{
		Section:  "notifications",
		Title:    "Replay to " + f.Hook.Name,
		Template: "webhook-replay",
		Status:   faults.Status,
		Data:     *f,
	})
}

func (p *pages) webhookReplayed(v *page.Visit, f *replayForm) error {
	if !f.start {
		return p.renderReplay(v, f, ui.Faults{})
	}
	return v.Redirect(f.Hook.Href+"/replay/"+f.job.ID, "")
}

// replayJobPage is the data of the template "webhook-replaying".
type replayJobPage struct {
	Hook     shownWebhook
	Job      jobs.Info
	Self     string // URL of the live part; "" when the job has ended
	Percent  float64
	Sentence string
	Tone     ui.Tone
	Sent     string // the deliveries that the job has made
}

func (p *pages) showReplayJob(v *page.Visit) error {
	f, err := p.replayFormOf(v)
	if err != nil {
		return err
	}
	if p.Jobs == nil {
		return errNoJobs
	}
	job, err := p.Jobs.Get(v.Context(), v.Account, v.PathValue("job_id"))
	if err == nil && job.Kind != jobReplay {
		err = errs.New(errs.CodeNotFound, "there is no such replay")
	}
	if err != nil {
		return err
	}
	out := replayJobPage{
		Hook:    f.Hook,
		Job:     job,
		Percent: 100 * job.Progress,
		Sent:    deliveriesPath(v.Account) + "?webhook=" + f.Hook.ID,
	}
	switch job.State {
	case jobs.Queued, jobs.Running:
		out.Self = f.Hook.Href + "/replay/" + job.ID
		out.Sentence = "Messages are being sent again."
		out.Tone = ui.Info
	case jobs.Done:
		var result ReplayResult
		if err := json.Unmarshal(job.Result, &result); err != nil {
			return err
		}
		out.Percent = 100
		out.Sentence = plural(result.Replayed, "message was", "messages were") + " queued again, each with a new id."
		out.Tone = ui.Good
	default:
		out.Sentence = "The replay " + job.State + "."
		if job.State == jobs.Cancelled {
			out.Sentence = "The replay was cancelled."
		}
		out.Tone = ui.Bad
	}
	return v.Show(page.View{
		Section:  "notifications",
		Title:    "Replay to " + f.Hook.Name,
		Template: "webhook-replaying",
		Data:     out,
	})
}

// confirmReplayAlert names who would get the messages again.
func (p *pages) confirmReplayAlert(v *page.Visit) (page.Confirm, error) {
	d, err := p.Decision(v.Context(), v.Account, v.PathValue("alert_id"))
	if err != nil {
		return page.Confirm{}, err
	}
	var to []string
	count := 0
	for _, one := range d.Deliveries {
		if one.ReplayOf != "" || one.State == delivery.StateWaiting {
			continue
		}
		count++
		if !slices.Contains(to, one.Mechanism) {
			to = append(to, one.Mechanism)
		}
	}
	back := alertPath(v.Account, d.ID)
	if count == 0 {
		return page.Confirm{}, errs.New(errs.CodeStateConflict,
			"no message of this alert can be sent again: none was made, or all are still pending")
	}
	return page.Confirm{
		Section: "alerts",
		Title:   "Send again?",
		Text:    plural(count, "message goes", "messages go") + " out again at once, to " + strings.Join(to, ", ") + ".",
		Label:   "Send again",
		Back:    back,
	}, nil
}

func (p *pages) replayAlert(v *page.Visit) error {
	alertID := v.PathValue("alert_id")
	if _, err := p.ReplayAlert(v.Context(), v.Who, v.Account, alertID); err != nil {
		return err
	}
	return v.Redirect(alertPath(v.Account, alertID), "replayed")
}
