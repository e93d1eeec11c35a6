package db

import (
	"strconv"
	"strings"
)

// Parameters appends values to the arguments of a statement and returns their
// placeholders, for a list such as IN ($3, $4).
func Parameters[T any](args *[]any, values []T) string {
	numbers := make([]string, len(values))
	for i, v := range values {
		*args = append(*args, v)
		numbers[i] = "$" + strconv.Itoa(len(*args))
	}
	return strings.Join(numbers, ", ")
}
