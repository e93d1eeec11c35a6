package catalogue

// farthest is the number of typing faults up to which a name is suggested, and
// longest the length up to which one is looked for: a stream of refused events
// must not cost much.
const (
	farthest = 3
	longest  = 64
)

// nearest is the name that was probably meant by a mistyped one, or "".
func Suggest(name string, declared []string) string {
	best, distance := "", min(farthest, (len(name)+2)/3)+1
	for _, d := range declared {
		if n := edits(name, d, distance); n < distance {
			best, distance = d, n
		}
	}
	return best
}

// edits is the number of inserted, deleted, replaced and swapped bytes between
// a and b (optimal string alignment), or limit when it is not smaller.
func edits(a, b string, limit int) int {
	if len(a) > longest || len(b) > longest || len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	var rows [3][longest + 1]int
	for j := range len(b) + 1 {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		row, up, upup := &rows[i%3], &rows[(i+2)%3], &rows[(i+1)%3]
		row[0] = i
		least := i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if fold(a[i-1]) == fold(b[j-1]) {
				cost = 0
			}
			row[j] = min(up[j]+1, row[j-1]+1, up[j-1]+cost)
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
