package belfry_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/belfryhq/belfry"

// rule says what the packages of a room may import of this module, and why.
type rule struct {
	room   string   // folder, with its subfolders
	may    []string // folders of this module, each with its subfolders; the room itself always
	reason string
}

// rules are looked up from the top: the first room that holds the package.
var rules = []rule{
	{"internal/platform/errs", nil, "everything imports it"},
	{"internal/platform/id", nil, "everything imports it"},
	{"internal/platform/merkle", []string{"internal/platform/errs"},
		"pure arithmetic: the offline verifier runs the same code"},
	{"internal/platform/strict", platformUpTo("strict"), "platform packages import in one order only"},
	{"internal/platform/seal", []string{"internal/platform/errs"}, "the smallest possible room for secrets"},
	{"internal/platform/telemetry", platformUpTo("telemetry"), "platform packages import in one order only"},
	{"internal/platform/run", platformUpTo("run"), "platform packages import in one order only"},
	{"internal/platform/cache", nil, "knows no database: its callers load the values"},
	{"internal/platform/db", platformUpTo("db"), "platform packages import in one order only"},
	{"internal/platform/bus", platformUpTo("bus"), "platform packages import in one order only"},
	{"internal/platform/delivery", platformUpTo("delivery"),
		"sends for every feature, so it knows none; the transport is the feature's"},
	{"internal/platform/outbound", platformUpTo("outbound"),
		"requests to servers that users name: what may be reached is decided in one place"},
	{"internal/platform/broker", platformUpTo("broker"), "platform packages import in one order only"},
	{"internal/platform/web", platformUpTo("web"), "platform packages import in one order only"},
	{"internal/platform/jobs", platformUpTo("jobs"), "platform packages import in one order only"},
	{"internal/platform/ingest", platformUpTo("ingest"), "platform packages import in one order only"},
	{"internal/platform/ui", platformUpTo("ui"), "platform packages import in one order only"},
	{"internal/platform/page", platformUpTo("page"),
		"pages know no account, role or navigation: the app gives the kit functions for them"},
	{"internal/platform/reference", platformUpTo("reference"),
		"makes pages of whatever operations and guides it is given: the app gives it both"},
	{"internal/platform", nil, "a new platform package needs a row here"},
	{"internal/event", []string{"internal/platform/id"}, "the language has values and no behaviour"},
	{"internal/catalogue", []string{"internal/event", "internal/platform"},
		"the format of catalogue files; features add their sections, the app knows the table"},
	{"internal/history", nil, "turns a git log into events, knowing nothing of Belfry but their shape"},
	{"internal/client", nil, "the public API from outside: what it needs of Belfry, everybody would need"},
	{"internal/auditimport", []string{"internal/client", "internal/event", "internal/history"},
		"imports over the public API, as any product does"},
	{"internal/feature", []string{"internal/event", "internal/platform"},
		"the contract of all features knows none of them"},
	{"internal/account", []string{"internal/event", "internal/feature", "internal/platform"},
		"the one feature that others may import; it imports none"},
	{"internal/audit/record", []string{"internal/event", "internal/platform/errs", "internal/platform/id",
		"internal/platform/strict", "internal/platform/merkle"},
		"what an event is and what of it is hashed: pure, because the offline verifier runs the same code"},
	{"internal/audit/verify", []string{"internal/audit/record", "internal/platform/merkle"},
		"checks files without a server: whoever audits Belfry reads this, record and merkle, and nothing else"},
	{"internal/audit/ledger", []string{"internal/audit/record", "internal/event", "internal/platform"},
		"stores and proves what is prepared, and knows neither catalogues nor pages"},
	{"internal/audit", feature, "features talk on the bus, or the app hands one a function of another"},
	{"internal/producer", feature, "features talk on the bus, or the app hands one a function of another"},
	{"internal/traffic", feature, "features talk on the bus, or the app hands one a function of another"},
	{"internal/slo/tally", nil, "arithmetic of the objectives' engine: it knows no objective, database or page"},
	{"internal/slo/exchange", []string{"internal/slo", "internal/event"},
		"reads and writes files of other projects: it knows no server, database or page"},
	{"internal/slo", feature, "features talk on the bus, or the app hands one a function of another"},
	{"internal/notify", feature, "features talk on the bus, or the app hands one a function of another; notify " +
		"never imports one of its channels"},
	{"internal/incident", feature, "features talk on the bus, or the app hands one a function of another"},
	{"internal/app", []string{"internal", "docs"}, "the wiring knows every feature, and the guides that it serves"},
	{"internal/demo", []string{"internal/client", "internal/history", "internal/traffic", "internal/platform",
		"examples"}, "knows Belfry by its public API, as any customer does; of the shop, its catalogue"},
	{"cmd", []string{"internal", "examples"},
		"flags and calls of the public API; all other work is in internal. The demo runs the shop"},
	{"bench", []string{"internal"}, "measures everything"},
	{"docs", nil, "embeds the guides, and has no code"},
	{"test/poll", nil, "tests of all packages import it"},
	{"test/clock", nil, "tests of all packages import it"},
	{"test", []string{"internal", "cmd"}, "tests everything"},
	{"scripts", nil, "tools that read the code as text: they work when nothing else builds"},
}

var feature = []string{
	"internal/account", "internal/catalogue", "internal/event", "internal/feature", "internal/platform",
}

// platformOrder is the order in which platform packages may import each other.
var platformOrder = []string{
	"errs", "id", "strict", "seal", "telemetry", "run", "cache", "db", "delivery", "outbound", "merkle", "bus", "broker",
	"web", "jobs", "ingest", "ui", "page", "reference",
}

func platformUpTo(name string) []string {
	var list []string
	for _, p := range platformOrder {
		if p == name {
			break
		}
		list = append(list, "internal/platform/"+p)
	}
	return list
}

// drivers are the packages outside of which a driver or framework must not
// show: what it is about stays behind one room.
var drivers = map[string][]string{
	"github.com/danielgtaylor/huma":      {"internal/platform/web"},
	"modernc.org/sqlite":                 {"internal/platform/db"},
	"github.com/jackc/pgx":               {"internal/platform/db", "test"},
	"github.com/twmb/franz-go/pkg/kfake": {"internal/platform/broker"},
	"github.com/twmb/franz-go": {"internal/platform/bus", "internal/platform/broker",
		"internal/platform/telemetry", "test", "bench"},
	"go.opentelemetry.io": {"internal/platform/telemetry", "internal/platform/bus",
		"internal/platform/web"},
	"go.opentelemetry.io/proto/otlp":        {"internal/traffic"},
	"google.golang.org/protobuf":            {"internal/traffic"},
	"github.com/santhosh-tekuri/jsonschema": {"internal/catalogue"},
	"github.com/yuin/goldmark":              {"internal/platform/reference"},
	"golang.org/x/crypto":                   {"internal/account"},
	"golang.org/x/net":                      {"internal/account"},
	"github.com/wneessen/go-mail":           {"internal/notify/email"},
	"github.com/chromedp":                   {"test"},
	"github.com/transparency-dev/merkle":    {"test"},
	"github.com/cloudflare":                 {"test"},
	"go.yaml.in/yaml": {
		"internal/app", "internal/catalogue", "internal/platform/web", "internal/slo/exchange",
	},
	"github.com/prometheus/client_golang": {"internal"},
	"golang.org/x/mod":                    {"internal/platform/merkle", "internal/audit", "test"},
	"github.com/go-json-experiment/json":  {"internal", "bench", "test"},
	"github.com/klauspost/compress":       {"internal/platform", "internal/traffic"},
	"golang.org/x/sys":                    {"internal/platform"},
	"github.com/mattn/go-isatty":          {"cmd"},
	"github.com/emersion/go-smtp":         {"internal/demo/inbox"},
	"github.com/standard-webhooks":        {"internal/demo/inbox"},
}

func in(room, dir string) bool { return dir == room || strings.HasPrefix(dir, room+"/") }

// files are the module's own Go files, by folder; nested modules are not its own.
func files(t *testing.T, visit func(dir, file string, test bool, imports []string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" ||
			exists(filepath.Join(p, "go.mod"))) {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		var imports []string
		for _, i := range f.Imports {
			imports = append(imports, strings.Trim(i.Path.Value, `"`))
		}
		visit(path.Dir(filepath.ToSlash(p)), p, strings.HasSuffix(name, "_test.go"), imports)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func exists(p string) bool {
	m, err := filepath.Glob(p)
	return err == nil && len(m) > 0
}

func TestEveryPackageImportsOnlyWhatItsRoomMay(t *testing.T) {
	seen := 0
	files(t, func(dir, file string, test bool, imports []string) {
		if dir == "." {
			return
		}
		i := slices.IndexFunc(rules, func(r rule) bool { return in(r.room, dir) })
		if i < 0 {
			t.Errorf("%s: the folder %s has no rule; add one with its reason", file, dir)
			return
		}
		r := rules[i]
		for _, imp := range imports {
			own, ok := strings.CutPrefix(imp, module+"/")
			if !ok {
				continue
			}
			seen++
			// The parts of the audit log are tested together: the verifier reads what the ledger writes.
			if test && in("internal/audit", dir) && (in("internal/audit", own) || own == "internal/event") {
				continue
			}
			// Tests may use the real parts that live under test/.
			if in(r.room, own) || test && (in("test", own) || in("internal/platform", own) && in("internal", dir)) {
				continue
			}
			if !slices.ContainsFunc(r.may, func(m string) bool { return in(m, own) }) {
				t.Errorf("%s imports %s: %s", file, own, r.reason)
			}
		}
	})
	if seen < 50 {
		t.Fatalf("only %d imports were looked at: the walk does not find the code", seen)
	}
}

func TestOnlyCommandsAndTestsImportTheApp(t *testing.T) {
	files(t, func(dir, file string, test bool, imports []string) {
		if in("internal/app", dir) || in("internal/demo", dir) || in("cmd", dir) || in("test", dir) || in("bench", dir) {
			return
		}
		for _, imp := range imports {
			if imp == module+"/internal/app" || imp == module+"/internal/demo" {
				t.Errorf("%s imports %s: the wiring is not a library", file, imp)
			}
		}
	})
}

func TestDriversStayInTheirRooms(t *testing.T) {
	files(t, func(dir, file string, test bool, imports []string) {
		if test {
			return // tests may hold a package against another one
		}
		for _, imp := range imports {
			if !strings.Contains(strings.Split(imp, "/")[0], ".") || strings.HasPrefix(imp, module) {
				continue
			}
			var rooms []string
			longest := ""
			for driver, where := range drivers {
				if in(driver, imp) && len(driver) > len(longest) {
					longest, rooms = driver, where
				}
			}
			if longest == "" {
				t.Errorf("%s imports %s: a dependency needs a row here and in docs/adr", file, imp)
			} else if !slices.ContainsFunc(rooms, func(r string) bool { return in(r, dir) }) {
				t.Errorf("%s imports %s, which belongs in %s", file, imp, strings.Join(rooms, ", "))
			}
		}
	})
}

func TestNoPackageHasANameThatSaysNothing(t *testing.T) {
	empty := regexp.MustCompile(`(^|/)(util|utils|common|helper|helpers|models|types|services|shared|pkg|misc|base)(/|$)`)
	files(t, func(dir, file string, _ bool, _ []string) {
		if empty.MatchString(dir) {
			t.Errorf("%s: the folder's name does not say what is in it", file)
		}
	})
}
