package slo

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/slo/tally"
)

// Source reads the counts of one input, in its order, and calls each with them. It returns the first error of each.
type Source func(each func(zone string, c event.Count) error) error

// Simulation is the result of a simulation.
type Simulation struct {
	Status
	Inputs []SimulatedInput
}

// SimulatedInput summarises the counts of one input that the objective applies to.
type SimulatedInput struct {
	Counts   int
	Requests int64 // in these counts
}

// simulatedBatch is the number of samples that are sorted and counted together.
const simulatedBatch = 5000

// Simulate runs the engine over inputs in event time and calls each with every transition. A zone in the match excludes
// counts that name another zone.
func Simulate(
	ctx context.Context,
	spec ObjectiveSpec,
	each func(Simulated) error,
	inputs ...Source,
) (Simulation, error) {
	if spec.Composite != nil {
		return Simulation{}, errNoPreview
	}
	if spec.Match == (Match{}) {
		spec.Match.Zone = "simulated"
	}
	o, err := compile(spec)
	if err != nil {
		return Simulation{}, err
	}
	o.ID = o.Name
	e := newEngine()
	want := o.seriesKey()
	var w *watch
	var samples []sample
	flush := func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := e.process(samples); err != nil {
			return err
		}
		samples = samples[:0]
		for i := range e.transitions {
			if err := each(simulated(&e.transitions[i])); err != nil {
				return err
			}
		}
		e.transitions = e.transitions[:0]
		return nil
	}
	result := Simulation{Inputs: make([]SimulatedInput, len(inputs))}
	for i, read := range inputs {
		err := read(func(zone string, c event.Count) error {
			if zone != "" && want.zone != "simulated" && want.zone != "" && zone != want.zone || !countsFor(want, c) {
				return nil
			}
			result.Inputs[i].Counts++
			result.Inputs[i].Requests += c.Total
			if w == nil {
				w = e.watch(o, e.AddSeries(tally.AlignDown(c.At, Tick)))
			}
			samples = spread(c.At, c.Seconds, Tally{Total: uint64(c.Total), Bad: uint64(c.Bad)}, w.series, samples)
			if len(samples) >= simulatedBatch {
				return flush()
			}
			return nil
		})
		if err != nil {
			return Simulation{}, err
		}
	}
	if err := flush(); err != nil {
		return Simulation{}, err
	}
	r := reading{pairs: make([]pairState, len(o.rules)), clock: e.Clock()}
	if w != nil {
		r.counted = true
		r.first = e.First(w.series)
		r.dataAt = w.dataAt
		r.sums = e.Sums(w.series, o.Window)
		r.pairs = w.states()
	}
	result.Status = o.status(r, time.Unix(e.Clock(), 0))
	return result, nil
}

// countsFor reports whether a count belongs to a series.
func countsFor(k seriesKey, c event.Count) bool {
	sli := c.SLI
	if sli == availability {
		sli = ""
	}
	switch {
	case sli != k.sli:
		return false
	case k.kind == kindOrigin:
		return c.Origin == k.value
	case k.kind == kindHostname:
		return c.Hostname == k.value
	case k.kind == kindPathClass:
		return c.PathClass == k.value
	}
	return true
}

// Simulated is a transition as belfry slo simulate prints it.
type Simulated struct {
	At          string   `json:"at"`
	Objective   string   `json:"objective"`
	Pair        string   `json:"pair"`
	Event       string   `json:"event"`
	Long        Reading  `json:"long"`
	Short       Reading  `json:"short"`
	BudgetLeft  float64  `json:"budget_left"`
	ExhaustedIn *int64   `json:"exhausted_in"` // seconds
	Factor      float64  `json:"factor"`
	Severity    Severity `json:"severity"`
	Began       string   `json:"began_at"`
	Sentence    string   `json:"sentence"`
}

func simulated(t *Transition) Simulated {
	at := func(s int64) string { return time.Unix(s, 0).UTC().Format(time.RFC3339) }
	return Simulated{
		At:          at(t.At),
		Objective:   t.Objective.Name,
		Pair:        t.Pair.String(),
		Event:       t.Event,
		Long:        t.Long,
		Short:       t.Short,
		BudgetLeft:  t.BudgetLeft,
		ExhaustedIn: t.ExhaustedIn,
		Factor:      t.Pair.Factor,
		Severity:    t.Pair.Severity,
		Began:       at(t.Began),
		Sentence:    t.Sentence(),
	}
}

// ParseSpec decodes the JSON of an objective, in the form of the API. Unknown fields are refused.
func ParseSpec(data []byte) (ObjectiveSpec, error) {
	var spec ObjectiveSpec
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&spec); err != nil {
		return ObjectiveSpec{}, errs.New(errs.CodeInvalidJSON, "the objective: %v", err)
	}
	return spec, nil
}
