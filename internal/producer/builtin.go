package producer

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"

	"github.com/belfryhq/belfry/internal/catalogue"
)

//go:embed belfry.yaml
var builtinFile []byte

//go:embed cloudflare.yaml
var cloudflareFile []byte

//go:embed starter.yaml
var starterFile []byte

// Starter is a commented catalogue file to begin with.
func Starter() []byte { return bytes.Clone(starterFile) }

// Builtin is Belfry's own product, from the file that is built into the program.
func Builtin(sections catalogue.Sections) (*catalogue.Product, error) {
	file, err := sections.ParseBuiltin(builtinFile, catalogue.YAML)
	if err != nil {
		return nil, fmt.Errorf("the built-in catalogue: %w", err)
	}
	return sections.Compile(file.Products[0], "", nil)
}

// alertTypeLine is a line of a profile that declares an alert type.
var alertTypeLine = regexp.MustCompile(`^ *- \{type: ([a-z0-9_]+),`)

// Profile is a catalogue file that comes with the program, without the alert types
// that leave names; ok is false when there is no profile of the name.
func Profile(name string, leave func(alertType string) bool) (file []byte, ok bool) {
	if name != "cloudflare" {
		return nil, false
	}
	for line := range bytes.Lines(cloudflareFile) {
		m := alertTypeLine.FindSubmatch(line)
		if len(m) == 2 && leave(string(m[1])) {
			continue
		}
		file = append(file, line...)
	}
	return file, true
}
