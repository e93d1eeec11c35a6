package producer

import (
	"bytes"
	_ "embed"
	"fmt"

	"github.com/belfryhq/belfry/internal/catalogue"
)

//go:embed belfry.yaml
var builtinFile []byte

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
