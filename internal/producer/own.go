package producer

import (
	_ "embed"
	"fmt"
)

//go:embed belfry.yaml
var ownFile []byte

//go:embed starter.yaml
var starterFile []byte

// Starter is a commented catalogue file to begin with.
func Starter() []byte { return append([]byte(nil), starterFile...) }

// Own is Belfry's own product, from the file that is built into the program.
func Own() (*Compiled, error) {
	f, err := parse(ownFile, YAML, &decoder{own: true})
	if err != nil {
		return nil, fmt.Errorf("Belfry's own catalogue: %w", err)
	}
	return compile(f.Products[0], "", nil)
}
