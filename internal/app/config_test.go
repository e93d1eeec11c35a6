package app_test

import (
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/app"
)

var update = flag.Bool("update", false, "write docs/guide/configure.md")

// env is an environment for LoadConfig.
func env(pairs map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		v, ok := pairs[name]
		return v, ok
	}
}

func TestEveryFaultOfTheConfigurationIsNamedAtOnce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "belfry.yaml")
	if err := os.WriteFile(file, []byte("listen: nowhere\nlog_level: loud\nlisten_port: 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := app.LoadConfig(file, env(map[string]string{
		"BELFRY_DATABASE_URL":    "mysql://user:hunter2@h/x",
		"BELFRY_EPOCH":           "soon",
		"BELFRY_BOOTSTRAP_TOKEN": "short",
		"BELFRY_ROLES":           "api,cook",
		"BELFRY_TRUSTED_PROXIES": "10.0.0.1",
		"BELFRY_TLS_CERT":        "cert.pem",
	}))
	if err == nil {
		t.Fatal("a faulty configuration was accepted")
	}
	for _, want := range []string{"BELFRY_LISTEN", "BELFRY_LOG_LEVEL", "listen_port is not a setting",
		"BELFRY_DATABASE_URL", "BELFRY_MASTER_KEY", "BELFRY_EPOCH", "BELFRY_BOOTSTRAP_TOKEN has 5", `"cook" is not a role`,
		"BELFRY_TRUSTED_PROXIES", "BELFRY_TLS_CERT"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not name %s:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "short\"") {
		t.Errorf("a secret is in the error: %v", err)
	}
}

func TestTheEnvironmentWinsOverTheFileAndTheFileOverTheDefault(t *testing.T) {
	file := filepath.Join(t.TempDir(), "belfry.yaml")
	if err := os.WriteFile(file, []byte("listen: 127.0.0.1:1\nkafka_listen: 127.0.0.1:2\nroles: [api, audit]\n"),
		0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := app.LoadConfig(file, env(map[string]string{"BELFRY_LISTEN": "127.0.0.1:3"}))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:3" || cfg.KafkaListen != "127.0.0.1:2" || cfg.DataDir != "./belfry-data" ||
		!reflect.DeepEqual(cfg.Roles, []string{"api", "audit"}) || cfg.ExternalURL != "http://127.0.0.1:3" {
		t.Fatalf("%+v", cfg)
	}
	if cfg.Has("producer") || !cfg.Has("audit") {
		t.Fatal("the roles do not count")
	}
}

func TestAMisspeltVariableOfTheEnvironmentIsAnError(t *testing.T) {
	t.Setenv("BELFRY_LISTN", "127.0.0.1:1")
	if _, err := app.LoadConfig("", env(nil)); err == nil ||
		!strings.Contains(err.Error(), "BELFRY_LISTN is not a setting") {
		t.Fatal(err)
	}
}

// manual makes the guide from the comments of Config's fields.
func manual(t *testing.T) string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "config.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("# Settings\n\n<!-- generated from internal/app/config.go: go test ./internal/app -update -->\n\n" +
		"Every setting has a name in the environment. A config file (`belfry serve --config FILE`, YAML) takes the " +
		"same names in lower case without\n" +
		"`BELFRY_`; the environment wins. A name that is not a setting is an error, and all faults are named at " +
		"once.\n\n| setting | default | meaning |\n|---|---|---|\n")
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || spec.Name.Name != "Config" {
			return true
		}
		for _, field := range spec.Type.(*ast.StructType).Fields.List {
			if field.Tag == nil {
				continue
			}
			tag := reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
			doc := strings.Join(strings.Fields(field.Doc.Text()), " ")
			if doc == "" {
				t.Errorf("%s has no manual", tag.Get("env"))
			}
			value := tag.Get("default")
			if value != "" {
				value = "`" + value + "`"
			}
			b.WriteString("| `" + tag.Get("env") + "` | " + value + " | " + doc + " |\n")
		}
		return false
	})
	b.WriteString(endOfManual)
	return b.String()
}

// endOfManual divides what is generated from what people wrote.
const endOfManual = "\n<!-- end -->\n"

func TestTheGuideListsTheSettingsAsTheyAre(t *testing.T) {
	const guide = "../../docs/guide/configure.md"
	want := manual(t)
	have, err := os.ReadFile(guide)
	_, more, _ := strings.Cut(string(have), endOfManual)
	want += more
	if err == nil && string(have) == want {
		return
	}
	if !*update {
		t.Fatalf("docs/guide/configure.md is not what config.go says: go test ./internal/app -update (%v)", err)
	}
	if err := os.WriteFile(guide, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestClearTextOnTheNetworkIsNamedAtTheStart(t *testing.T) {
	for _, c := range []struct {
		listen, external, cert string
		warned                 bool
	}{
		{"127.0.0.1:8080", "", "", false},
		{"[::1]:8080", "", "", false},
		{"localhost:8080", "", "", false},
		{"0.0.0.0:8080", "", "", true},
		{":8080", "", "", true},
		{"192.168.1.5:8080", "", "", true},
		{"0.0.0.0:8080", "", "cert.pem", false},
		{"0.0.0.0:8080", "https://belfry.example", "", false}, // behind a proxy that speaks TLS
		{"127.0.0.1:8080", "http://belfry.example", "", true},
		{"127.0.0.1:8080", "http://localhost:8080", "", false},
	} {
		cfg, err := app.LoadConfig("", env(map[string]string{"BELFRY_LISTEN": c.listen, "BELFRY_EXTERNAL_URL": c.external,
			"BELFRY_TLS_CERT": c.cert, "BELFRY_TLS_KEY": c.cert}))
		if err != nil {
			t.Fatal(err)
		}
		if why := app.ClearText(cfg); (why != "") != c.warned {
			t.Errorf("%+v: %q", c, why)
		}
	}
}

func TestTheDatabasesShareTheMemoryForTheirCaches(t *testing.T) {
	const megabytes = 96
	sum := app.CacheOfAll(megabytes)
	if sum > megabytes<<20 || sum < megabytes<<20*99/100 {
		t.Fatalf("the databases may hold %d bytes of %d MiB", sum, megabytes)
	}
}

// A shell that has the variables of the commands also starts the server.
func TestTheVariablesOfTheCommandsAreAcceptedByTheServer(t *testing.T) {
	files, err := filepath.Glob("../../cmd/belfry/*.go")
	if err != nil {
		t.Fatal(err)
	}
	read := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range regexp.MustCompile(`os\.Getenv\("(BELFRY_[A-Z_]+)"\)`).FindAllStringSubmatch(string(text), -1) {
			read[found[1]] = true
		}
	}
	if len(read) < 4 {
		t.Fatalf("the commands read only %v", read)
	}
	for name := range read {
		t.Setenv(name, "x")
	}
	if _, err := app.LoadConfig("", func(string) (string, bool) { return "", false }); err != nil {
		t.Error(err)
	}
}
