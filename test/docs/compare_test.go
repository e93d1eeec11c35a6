package docs_test

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// matches reports whether an output is the one that a document shows.
func matches(shown, got string) error {
	var want, have any
	if json.Unmarshal([]byte(shown), &want) == nil {
		if err := json.Unmarshal([]byte(got), &have); err != nil {
			return fmt.Errorf("the document shows JSON: %w", err)
		}
		return sameJSON("", want, have)
	}
	rest := got
	for _, line := range strings.Split(strings.TrimSpace(shown), "\n") {
		for _, part := range strings.Split(strings.TrimSpace(line), "...") {
			_, after, found := strings.Cut(rest, strings.TrimSpace(part))
			if !found {
				return fmt.Errorf("%q is missing", strings.TrimSpace(line))
			}
			rest = after
		}
	}
	return nil
}

// sameJSON compares what is shown with what came; a string may end in "...".
func sameJSON(at string, want, have any) error {
	switch want := want.(type) {
	case map[string]any:
		members, ok := have.(map[string]any)
		if !ok {
			return fmt.Errorf("%s is %v, not an object", at, have)
		}
		for name, value := range want {
			got, ok := members[name]
			if !ok {
				return fmt.Errorf("%s/%s is missing", at, name)
			}
			if err := sameJSON(at+"/"+name, value, got); err != nil {
				return err
			}
		}
		return nil
	case []any:
		list, ok := have.([]any)
		if !ok || len(list) != len(want) {
			return fmt.Errorf("%s is %v, not a list of %d", at, have, len(want))
		}
		for i := range want {
			if err := sameJSON(fmt.Sprintf("%s/%d", at, i), want[i], list[i]); err != nil {
				return err
			}
		}
		return nil
	case string:
		if prefix, some := strings.CutSuffix(want, "..."); some && strings.HasPrefix(fmt.Sprint(have), prefix) {
			return nil
		}
	}
	if !reflect.DeepEqual(want, have) {
		return fmt.Errorf("%s is %v, not %v", at, have, want)
	}
	return nil
}

func TestShownAnswersAreCompared(t *testing.T) {
	for name, one := range map[string]struct {
		shown, got string
		same       bool
	}{
		"text with a gap":          {"accepted ... events\ndone", "accepted 3 events\nin 1 s\ndone\n", true},
		"text that is missing":     {"accepted 4", "accepted 3\n", false},
		"text in another order":    {"b\na", "a\nb\n", false},
		"a part of an object":      {`{"a":{"b":1}}`, `{"a":{"b":1,"c":2},"d":3}`, true},
		"another value":            {`{"a":1}`, `{"a":2}`, false},
		"a missing member":         {`{"a":1}`, `{"b":1}`, false},
		"a string with any ending": {`{"id":"01..."}`, `{"id":"0192f7"}`, true},
		"a list of another length": {`[1,2]`, `[1,2,3]`, false},
		"JSON that is none":        {`{"a":1}`, `curl: (7)`, false},
	} {
		if err := matches(one.shown, one.got); (err == nil) != one.same {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestABlockSaysWhatIsDoneWithIt(t *testing.T) {
	list, err := blocks("```sh\necho a\n```\n\nprints\n\n<!-- answer -->\n```text\na\n```\n<!-- file: main.go " +
		"-->\n```go\npackage main\n```\n<!-- not run: it needs a cluster -->\n```\nx\n```\n")
	if err != nil {
		t.Fatal(err)
	}
	want := []block{
		{command, "sh", "", "echo a\n", 2},
		{answer, "text", "", "a\n", 9},
		{file, "go", "main.go", "package main\n", 13},
		{notRun, "", "it needs a cluster", "x\n", 17},
	}
	if !reflect.DeepEqual(list, want) {
		t.Errorf("%+v", list)
	}
	if _, err := blocks("```go\nx\n```\n"); err == nil {
		t.Error("a block that says nothing is accepted")
	}
	if _, err := blocks("```sh\nx\n"); err == nil {
		t.Error("a block without an end is accepted")
	}
}
