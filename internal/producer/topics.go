package producer

import (
	"strings"

	"github.com/belfryhq/belfry/internal/catalogue"
)

// Topic is a topic of the bus as a catalogue file declares it.
type Topic struct {
	Topic       string        `json:"topic"`
	Title       string        `json:"title"`
	Description string        `json:"description,omitempty"`
	Key         string        `json:"key,omitempty" doc:"What the record's key is, and so what is kept in order"`
	Schema      catalogue.Raw `json:"schema,omitempty" doc:"JSON Schema 2020-12 of the value"`
}

const maxTopics = 200 // of a product

// ReservedTopics begins the names of Belfry's own topics.
const ReservedTopics = "belfry."

// TopicsSection declares the topics of the bus that a product owns.
func TopicsSection() catalogue.Section {
	return catalogue.Define(catalogue.Definition[Topic, []Topic]{
		Key:     "topics",
		Noun:    "the topic",
		Max:     maxTopics,
		Kinds:   []string{"topic"},
		Unique:  true,
		Name:    func(t Topic) string { return t.Topic },
		Decode:  decodeTopic,
		Compile: compileTopics,
		Diff:    topicParts,
		Show:    showTopics,
	})
}

func decodeTopic(d *catalogue.Decoder, n *catalogue.Node) (t Topic, ok bool) {
	m, ok := d.Mapping(n, "a topic", "topic", "title", "description", "key", "schema")
	if !ok {
		return t, false
	}
	t.Topic = m.Name("topic")
	switch {
	case strings.HasPrefix(strings.ToLower(t.Topic), ReservedTopics) && !d.Builtin:
		d.Fault(m.Member("topic"), "topics that begin with %s are Belfry's own", ReservedTopics)
	case strings.Contains(t.Topic, ":"):
		d.Fault(m.Member("topic"), "a topic's name has only A-Z a-z 0-9 . _ -")
	}
	t.Title = m.Title(t.Topic)
	t.Description = m.Text("description", false, catalogue.MaxText)
	t.Key = m.Text("key", false, catalogue.MaxTitle)
	t.Schema, _ = m.Schema("schema")
	return t, true
}

// compileTopics: nothing reads the declared topics yet but pages and the API.
func compileTopics(_ *catalogue.Product, topics []Topic, _ map[string][]string) ([]Topic, error) {
	return topics, nil
}

// topicParts are the parts that are compared between two versions.
func topicParts(product string, t Topic) []catalogue.Part {
	key := catalogue.Value("key", t.Key)
	key.Breaks = func(_, _ catalogue.Raw) string { return "the order of records changes" }
	return []catalogue.Part{{
		Kind:    "topic",
		Name:    product + "/" + t.Topic,
		Removed: "the topic has no owner any more",
		Fields: []catalogue.Field{
			catalogue.Value("title", t.Title),
			catalogue.Value("description", t.Description),
			key,
			{Name: "schema", JSON: t.Schema, Breaks: catalogue.SchemaBreaks},
		},
	}}
}

func showTopics(topics []Topic) []catalogue.Panel {
	if len(topics) == 0 {
		return nil
	}
	p := catalogue.Panel{Title: "Topics", Sub: "of the bus", Columns: []string{"Topic", "What it carries", "Key"}}
	for _, t := range topics {
		description := t.Description
		if description == "" {
			description = t.Title
		}
		p.Rows = append(p.Rows, []catalogue.Cell{
			{Text: t.Topic, Code: true},
			{Text: description},
			{Text: t.Key},
		})
	}
	return []catalogue.Panel{p}
}
