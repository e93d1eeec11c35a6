package e2e_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	"go.yaml.in/yaml/v4"
)

var update = flag.Bool("update", false, "write api/openapi.yaml as the server describes itself")

//go:generate go test -count=1 -run ^TestTheCommittedDescriptionIsTheServers$ . -update

const committed = "../../api/openapi.yaml"

// TestTheCommittedDescriptionIsTheServers: api/openapi.yaml is what clients are generated
// from and what reviewers read.
func TestTheCommittedDescriptionIsTheServers(t *testing.T) {
	want := described(t, openapi(t))
	if *update {
		if err := os.MkdirAll("../../api", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(committed, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(committed)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(got, want) {
		return
	}
	line := 0
	wantLines := bytes.Split(want, []byte("\n"))
	gotLines := bytes.Split(got, []byte("\n"))
	for line < min(len(wantLines), len(gotLines)) && bytes.Equal(wantLines[line], gotLines[line]) {
		line++
	}
	at := func(lines [][]byte) []byte {
		if line < len(lines) {
			return lines[line]
		}
		return []byte("(the end)")
	}
	t.Errorf("api/openapi.yaml is not the server's (go test ./test/e2e -run Description -update writes it); first "+
		"in line %d:\n  committed %s\n  served    %s",
		line+1, at(gotLines), at(wantLines))
}

// described writes the server's JSON as YAML, in the order of the server. What differs from
// build to build is replaced: the version and the server's address.
func described(t *testing.T, document []byte) []byte {
	t.Helper()
	var root yaml.Node
	if err := yaml.Unmarshal(document, &root); err != nil { // JSON is YAML
		t.Fatal(err)
	}
	plain(&root)
	for _, place := range [][]string{{"info", "version"}, {"servers"}} {
		if n := yamlNode(root.Content[0], place...); n != nil {
			*n = yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "of the build"}
			if place[0] == "servers" {
				*n = yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
			}
		}
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(&root); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, out.Bytes(), document)
	return out.Bytes()
}

// roundTrip checks that the paths of the YAML say what those of the JSON say.
func roundTrip(t *testing.T, text, document []byte) {
	t.Helper()
	var back, want struct {
		Paths      map[string]any `json:"paths" yaml:"paths"`
		Components map[string]any `json:"components" yaml:"components"`
	}
	if err := yaml.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	encoded, err := json.Marshal(back)
	if err != nil {
		t.Fatal(err)
	}
	clear(back.Paths)
	clear(back.Components)
	if err := json.Unmarshal(encoded, &back); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(document, &want); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(map[string]any{
		"p": back.Paths,
		"c": back.Components,
	}, map[string]any{"p": want.Paths, "c": want.Components}) {
		t.Fatal("the YAML does not say the same as the JSON")
	}
}

// plain takes the JSON style from a document.
func plain(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		plain(child)
	}
}

// yamlNode finds a value by the names that lead to it; nil when there is none.
func yamlNode(n *yaml.Node, names ...string) *yaml.Node {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value != names[0] {
			continue
		}
		if len(names) == 1 {
			return n.Content[i+1]
		}
		return yamlNode(n.Content[i+1], names[1:]...)
	}
	return nil
}
