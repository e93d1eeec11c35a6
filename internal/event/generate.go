package event

//go:generate go test -run TestArchitectureHasThisDiagram -update .
