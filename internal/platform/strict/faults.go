package strict

import (
	"errors"
	"slices"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/platform/errs"
)

// MaxUnknown limits how many unknown members of one value are reported.
const MaxUnknown = 20

// Faults returns the faults of a value whose decoding stopped with err. An
// unknown member does not hide the other faults: it is reported and removed, and
// decode is called again with the rest, until an error of another kind stops
// decoding. decode returns further faults once it can read the whole value.
func (s Subject) Faults(data []byte, err error, decode func(rest []byte) (errs.List, error)) errs.List {
	list := errs.List{s.Fault(err)}
	for errors.Is(err, json.ErrUnknownName) && len(list) < MaxUnknown {
		var at *json.SemanticError
		if !errors.As(err, &at) {
			return list
		}
		rest, cutErr := without(data, slices.Collect(at.JSONPointer.Tokens()))
		if cutErr != nil {
			return list
		}
		data = rest
		var more errs.List
		if more, err = decode(data); err != nil {
			list = append(list, s.Fault(err))
			continue
		}
		list = append(list, more...)
	}
	return list
}

var errNoMember = errors.New("the path does not lead to a member")

// without returns a JSON value without the member at a path.
func without(v jsontext.Value, path []string) (jsontext.Value, error) {
	if len(path) == 0 {
		return nil, errNoMember
	}
	if v.Kind() == '[' {
		var items []jsontext.Value
		if err := json.Unmarshal(v, &items); err != nil {
			return nil, err
		}
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(items) || len(path) == 1 {
			return nil, errNoMember
		}
		if items[i], err = without(items[i], path[1:]); err != nil {
			return nil, err
		}
		return json.Marshal(items)
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(v, &members); err != nil {
		return nil, err
	}
	child, ok := members[path[0]]
	if !ok {
		return nil, errNoMember
	}
	if len(path) == 1 {
		delete(members, path[0])
		return json.Marshal(members)
	}
	child, err := without(child, path[1:])
	if err != nil {
		return nil, err
	}
	members[path[0]] = child
	return json.Marshal(members)
}
