package app

import (
	"runtime/debug"
	"strconv"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/bus"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// systemPage is the data of the template "system".
type systemPage struct {
	*system
	Path      string
	Built     time.Time // of the revision; zero = not known
	Metrics   []ui.Metric
	Retention []retentionRow
	Partial   bool // several processes: others have consumers of their own
}

// retentionRow says for how long data are kept.
type retentionRow struct{ What, Kept string }

func (p *pages) showSystem(v *page.Visit) error {
	s, err := p.app.readSystem(v.Context(), p.version)
	if err != nil {
		return err
	}
	return v.Show(page.View{Section: "system", Title: "System", Template: "system", Data: systemPage{
		system:    s,
		Path:      systemPath,
		Built:     builtAt(),
		Metrics:   s.metrics(),
		Retention: retentions(),
		Partial:   len(p.app.Config.KafkaBrokers) > 0,
	}})
}

// builtAt is the time of the revision that the program was built from.
func builtAt() (at time.Time) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return at
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			at, _ = time.Parse(time.RFC3339, s.Value) // zero when it cannot be read
		}
	}
	return at
}

// metrics are the numbers that decide whether the installation is well.
func (s *system) metrics() []ui.Metric {
	lag := ui.Metric{
		Label: "Waiting records", Icon: "layers", Value: number(s.Lag), Note: "of the bus, in all consumers",
		Href: systemPath + "#consumers",
	}
	waiting := ui.Metric{
		Label: "Oldest undelivered message", Icon: "clock", Value: "None", Href: systemPath + "#queues",
		Note: number(s.Queue.Depth) + " deliveries in the queue",
	}
	if oldest := max(s.Oldest, s.Queue.Oldest); oldest > 0 {
		waiting.Value = ui.Words(oldest)
		waiting.Tone = ui.Warn
		if oldest <= lateAfter {
			waiting.Tone = ui.Neutral
		}
	}
	disk := ui.Metric{
		Label: "Free disk", Icon: "database", Value: "–", Href: systemPath + "#databases",
		Note: ui.Bytes(s.Stored) + " in databases",
	}
	if s.Disk.Total > 0 {
		disk.Value = ui.Bytes(s.Disk.Free)
		disk.Unit = strconv.Itoa(s.Disk.Percent()) + " %"
		if s.Disk.Percent() < lowDisk {
			disk.Tone = ui.Bad
		}
	}
	memory := ui.Metric{
		Label: "Memory", Icon: "server", Value: ui.Bytes(s.Process.Memory), Href: systemPath + "#process",
		Note: number(int64(s.Process.Goroutines)) + " goroutines",
	}
	for _, c := range s.Consumers {
		if c.State == bus.Stalled || c.State == bus.NoMembers {
			lag.Tone = ui.Bad
		}
	}
	return []ui.Metric{lag, waiting, disk, memory}
}

func number(n int64) string {
	text, _ := ui.Num(n) // an integer is a number
	return text
}

// Words is the state of a consumer with its tone.
func (c consumerState) Words() ui.Status {
	switch c.State {
	case bus.Lagging:
		return ui.Status{Label: "Behind", Tone: ui.Warn}
	case bus.Stalled:
		return ui.Status{Label: "Does not move", Tone: ui.Bad}
	case bus.NoMembers:
		return ui.Status{Label: "Not consumed", Tone: ui.Bad}
	case bus.AheadOf:
		return ui.Status{Label: "Ahead of the log", Tone: ui.Warn}
	}
	return ui.Status{Label: "Up to date", Tone: ui.Good}
}

// Last is the newest migration.
func (d databaseState) Last() string {
	if len(d.Migrations) == 0 {
		return "none"
	}
	return d.Migrations[len(d.Migrations)-1].Name
}

// retentions says for how long the installation keeps what.
func retentions() []retentionRow {
	days := func(d time.Duration) string {
		text, _ := ui.Plural(int(d/(24*time.Hour)), "day", "days") // an integer is a number
		return text
	}
	list := []retentionRow{{"Audit log", "for ever; personal fields until they are erased"}}
	for _, t := range event.Topics {
		if !t.Internal && !t.Compacted {
			list = append(list, retentionRow{"Topic " + t.Name, days(t.Retention)})
		}
	}
	return append(list, retentionRow{"Files of exports", "24 hours"}, retentionRow{"Jobs", "7 days"})
}
