package tally

// furtherTable has the sums of the series whose objectives have several periods, for the periods past the first.
type furtherTable struct {
	rows map[uint32][]furtherSum
}

type furtherSum struct {
	period Window
	sum    Tally
}

// add adds a period to a series.
func (t *furtherTable) add(id uint32, budget Window) {
	if t.rows == nil {
		t.rows = map[uint32][]furtherSum{}
	}
	if t.find(id, budget) == nil {
		t.rows[id] = append(t.rows[id], furtherSum{period: budget})
	}
}

// find is a further sum of a series; nil when it has none for the period.
func (t *furtherTable) find(id uint32, budget Window) *Tally {
	row := t.rows[id]
	for i := range row {
		if row[i].period == budget {
			return &row[i].sum
		}
	}
	return nil
}

// count adds a tally to those of a series' further periods that are in the set of windows.
func (t *furtherTable) count(id uint32, in *windowSet, x Tally) {
	row := t.rows[id]
	for i := range row {
		if in.has(row[i].period) {
			row[i].sum.Add(x)
		}
	}
}

// subtract subtracts a tally from a further period.
func (t *furtherTable) subtract(id uint32, budget Window, x Tally) {
	if sum := t.find(id, budget); sum != nil {
		sum.Subtract(x)
	}
}
