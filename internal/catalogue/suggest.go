package catalogue

// Bounds of the search, because a stream of refused events must be cheap.
const (
	maxEdits      = 3  // typing faults up to which a name is suggested
	maxNameLength = 64 // bytes of a name that is compared
)

// Suggest is the declared name that a mistyped one probably means, or "".
func Suggest(name string, declared []string) string {
	best := ""
	distance := min(maxEdits, (len(name)+2)/3) + 1
	for _, d := range declared {
		if n := edits(name, d, distance); n < distance {
			best = d
			distance = n
		}
	}
	return best
}

// edits is the number of inserted, deleted, replaced and swapped bytes between
// a and b (optimal string alignment), or limit when the number is not below it.
func edits(a, b string, limit int) int {
	if len(a) > maxNameLength || len(b) > maxNameLength || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var rows [3][maxNameLength + 1]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := &rows[i%3]
		up := &rows[(i+2)%3]
		upup := &rows[(i+1)%3]
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			substitution := 1
			if fold(a[i-1]) == fold(b[j-1]) {
				substitution = 0
			}
			row[j] = min(up[j]+1, row[j-1]+1, up[j-1]+substitution)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], upup[j-2]+1)
			}
			least = min(least, row[j])
		}
		if least >= limit {
			return limit
		}
	}
	return min(limit, rows[len(a)%3][len(b)])
}

func fold(c byte) byte {
	switch {
	case c >= 'A' && c <= 'Z':
		return c + 'a' - 'A'
	case c == '-' || c == '.' || c == ':':
		return '_'
	}
	return c
}
