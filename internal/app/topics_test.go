package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/app"
	"github.com/belfryhq/belfry/internal/event"
)

// topicConstants are the topics by the names of their constants in package event.
var topicConstants = map[string]string{
	"TopicAuditEvents":    event.TopicAuditEvents,
	"TopicAuditRejects":   event.TopicAuditRejects,
	"TopicAuditSigned":    event.TopicAuditSigned,
	"TopicAuditSelf":      event.TopicAuditSelf,
	"TopicAuditErased":    event.TopicAuditErased,
	"TopicTrafficCounts":  event.TopicTrafficCounts,
	"TopicTrafficSharded": event.TopicTrafficSharded,
	"TopicAlerts":         event.TopicAlerts,
}

// uses are the topics that the code of a feature names: in a bus.Message it produces, elsewhere it consumes.
type uses struct{ produced, named map[string]bool }

// usesOf reads the sources of a feature.
func usesOf(t *testing.T, feature string) uses {
	t.Helper()
	u := uses{produced: map[string]bool{}, named: map[string]bool{}}
	err := filepath.WalkDir("../"+feature, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		messages := map[ast.Node]bool{} // the selectors that are the topic of a message
		ast.Inspect(file, func(node ast.Node) bool {
			switch n := node.(type) {
			case *ast.CompositeLit:
				if selectorIs(n.Type, "bus", "Message") {
					for _, element := range n.Elts {
						pair, ok := element.(*ast.KeyValueExpr)
						if !ok {
							continue
						}
						if key, ok := pair.Key.(*ast.Ident); ok && key.Name == "Topic" {
							messages[pair.Value] = true
						}
					}
				}
			case *ast.SelectorExpr:
				switch name := topicConstants[n.Sel.Name]; {
				case selectorIs(n, "event", "NewAudit"):
					u.produced[event.TopicAuditSelf] = true
				case name == "" || !selectorIs(n, "event", n.Sel.Name):
				case messages[n]:
					u.produced[name] = true
				default:
					u.named[name] = true
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func selectorIs(e ast.Expr, from, name string) bool {
	selector, ok := e.(*ast.SelectorExpr)
	if !ok || selector.Sel.Name != name {
		return false
	}
	x, ok := selector.X.(*ast.Ident)
	return ok && x.Name == from
}

// featuresOfTopics are all features that the table of topics names.
func featuresOfTopics() []string {
	var list []string
	for _, topic := range event.Topics {
		for _, name := range slices.Concat(topic.Producers, topic.Consumers) {
			if name != event.Products && name != event.Teams && !slices.Contains(list, name) {
				list = append(list, name)
			}
		}
	}
	return list
}

func TestEachProducerOfATopicIsRegistered(t *testing.T) {
	for _, topic := range event.Topics {
		if !slices.Contains(slices.Collect(maps.Values(topicConstants)), topic.Name) {
			t.Errorf("%s is missing in topicConstants", topic.Name)
		}
	}
	for _, feature := range featuresOfTopics() {
		produced := usesOf(t, feature).produced
		for _, topic := range event.Topics {
			named := slices.Contains(topic.Producers, feature)
			if named && !produced[topic.Name] {
				t.Errorf("event.Topics says that %s produces %s; its code does not", feature, topic.Name)
			}
			if !named && produced[topic.Name] {
				t.Errorf("%s produces %s; event.Topics does not say so", feature, topic.Name)
			}
		}
	}
}

// inProcess are the calls by which the app passes the topics that are not on the bus, by consumer.
var inProcess = map[string]map[string]string{
	event.TopicAuditSelf:   {"audit": "a.Audit.AppendOwn("},
	event.TopicAuditErased: {"notify": "a.Notify.Erased(", "producer": "a.Producer.Erased(", "slo": "a.SLO.Erased("},
}

func TestEachConsumerOfATopicIsRegistered(t *testing.T) {
	wiring := ""
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wiring += string(text)
	}

	for _, topic := range event.Topics {
		for _, consumer := range topic.Consumers {
			if consumer == event.Teams {
				continue
			}
			var registered bool
			switch {
			case topic.Internal:
				call := inProcess[topic.Name][consumer]
				registered = call != "" && strings.Contains(wiring, call)
			case topic.Compacted:
				registered = usesOf(t, consumer).named[topic.Name] // a bus.Table, on Apache Kafka only
			default:
				registered = slices.Contains(app.Consumes(consumer), topic.Name)
			}
			if !registered {
				t.Errorf("event.Topics says that %s consumes %s; the app does not wire it", consumer, topic.Name)
			}
		}
	}
	for _, feature := range featuresOfTopics() {
		for _, name := range app.Consumes(feature) {
			i := slices.IndexFunc(event.Topics, func(topic event.Topic) bool { return topic.Name == name })
			if i < 0 || !slices.Contains(event.Topics[i].Consumers, feature) {
				t.Errorf("%s consumes %s; event.Topics does not say so", feature, name)
			}
		}
	}
}
