package slo

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/errs"
	"github.com/belfryhq/belfry/internal/platform/page"
	"github.com/belfryhq/belfry/internal/platform/ui"
)

// pairInput is a row of the editor of pairs, as it was typed.
type pairInput struct {
	Long     string
	Short    string
	Factor   string
	Severity string
	Error    string
}

// parsePairRows reads the rows: the fields of each are repeated in the order of the rows.
func parsePairRows(v *page.Visit) []pairInput {
	at := func(name string, i int) string {
		if list := v.Fields(name); i < len(list) {
			return strings.TrimSpace(page.Cut(list[i], 40))
		}
		return ""
	}
	rows := make([]pairInput, min(len(v.Fields("pair.factor")), maxPairs+1))
	for i := range rows {
		rows[i] = pairInput{
			Long:     at("pair.long", i),
			Short:    at("pair.short", i),
			Factor:   at("pair.factor", i),
			Severity: at("pair.severity", i),
		}
	}
	return rows
}

// pairInputs are the rows of pairs.
func pairInputs(pairs []Pair) []pairInput {
	rows := make([]pairInput, len(pairs))
	for i, p := range pairs {
		rows[i] = pairInput{
			Long:     p.Long.String(),
			Short:    p.Short.String(),
			Factor:   strconv.FormatFloat(p.Factor, 'f', -1, 64),
			Severity: string(p.Severity),
		}
	}
	return rows
}

// ownPairs are the pairs of the rows. The faults are those of fields that cannot be read.
func (f *objectiveForm) ownPairs() (list []Pair, faults errs.List) {
	list = []Pair{}
	for i, row := range f.Own {
		p := Pair{Severity: Severity(row.Severity)}
		at := fmt.Sprintf("/pairs/%d", i)
		if err := p.Long.UnmarshalText([]byte(row.Long)); err != nil {
			faults = append(faults, errs.At(errs.CodeInvalid, at+"/long", "choose the long window"))
		}
		if err := p.Short.UnmarshalText([]byte(row.Short)); err != nil {
			faults = append(faults, errs.At(errs.CodeInvalid, at+"/short", "choose the short window"))
		}
		var err error
		if p.Factor, err = parseNumber(row.Factor); err != nil {
			faults = append(faults,
				errs.At(errs.CodeWrongType, at+"/factor", "expected a factor such as 14.4, not %q", row.Factor))
		}
		list = append(list, p)
	}
	return list, faults
}

// pairFault joins the faults of a row.
func pairFault(faults ui.Faults, i int) string {
	var list []string
	for _, part := range []string{"", "/long", "/short", "/factor", "/severity"} {
		if text := faults.Of("pairs/" + strconv.Itoa(i) + part); text != "" {
			list = append(list, text)
		}
	}
	return strings.Join(list, " ")
}

// windowOptions are the windows of a select.
func windowOptions(from, to Window) (list [][2]string) {
	for w := from; w <= to; w++ {
		list = append(list, [2]string{w.String(), span(w.Seconds())})
	}
	return list
}
