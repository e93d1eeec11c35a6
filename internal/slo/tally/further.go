package tally

// furtherTable has the sums of the series whose objectives have several periods, for the periods past the first.
type furtherTable struct {
	rows map[uint32]*furtherRow
}

type furtherRow struct {
	periods windowSet
	sums    [periodCount]Tally // by period - D28
}

// add adds a period to a series.
func (t *furtherTable) add(id uint32, budget Window) {
	if t.rows == nil {
		t.rows = map[uint32]*furtherRow{}
	}
	row := t.rows[id]
	if row == nil {
		row = &furtherRow{}
		t.rows[id] = row
	}
	row.periods |= 1 << budget
}

// count adds a tally to those of a series' further periods that are in the set of windows.
func (t *furtherTable) count(id uint32, in windowSet, x Tally) {
	row := t.rows[id]
	if row == nil {
		return
	}
	for p := range row.sums {
		if (row.periods&in)>>(p+short)&1 != 0 {
			row.sums[p].Add(x)
		}
	}
}

// subtract subtracts a tally from a further period.
func (t *furtherTable) subtract(id uint32, budget Window, x Tally) {
	if row := t.rows[id]; row != nil && row.periods>>budget&1 != 0 {
		row.sums[budget-D28].Subtract(x)
	}
}
