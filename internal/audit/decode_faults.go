package audit

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/belfryhq/belfry/internal/event"
	"github.com/belfryhq/belfry/internal/platform/errs"
)

// maxUnknown is how many unknown members of one event are named.
const maxUnknown = 20

// allFaults gives what is wrong with an event at which decoding stopped. An
// unknown member does not hide the other faults: decoding goes on without it.
func allFaults(data []byte, err error, now time.Time) errs.List {
	first := anEvent.Fault(err)
	if strings.Contains(first.Message, "after top-level value") {
		first.Message += "; send one event a line (curl -d strips line breaks, --data-binary keeps them)"
	}
	list := errs.List{first}
	for errors.Is(err, json.ErrUnknownName) && len(list) < maxUnknown {
		var at *json.SemanticError
		if !errors.As(err, &at) {
			return list
		}
		rest, cutErr := without(data, event.PointerTokens(string(at.JSONPointer)))
		if cutErr != nil {
			return list
		}
		data = rest
		e := &Event{}
		if err = json.Unmarshal(data, e, published); err != nil {
			list = append(list, anEvent.Fault(err))
			continue
		}
		var o outline
		if json.Unmarshal(data, &o) == nil {
			e.tidy()
			list = append(list, e.check(&o, now)...)
		}
	}
	return list
}

// without takes the member at a path out of a JSON value.
func without(v jsontext.Value, path []string) (jsontext.Value, error) {
	if v.Kind() == '[' {
		var items []jsontext.Value
		if err := json.Unmarshal(v, &items); err != nil {
			return nil, err
		}
		i, err := strconv.Atoi(path[0])
		if err != nil || i < 0 || i >= len(items) || len(path) == 1 {
			return nil, errors.New("the path does not lead to a member")
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
		return nil, errors.New("the path does not lead to a member")
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
