package broker_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/belfryhq/belfry/internal/platform/broker"
	"github.com/belfryhq/belfry/internal/platform/bus"
)

func TestAFileThatIsNotTheLogInMemoryIsNoticed(t *testing.T) {
	dir := t.TempDir()
	b := started(t, broker.Config{DataDir: dir, Topics: []bus.Topic{{Name: "a"}}})
	numbered(t, b.Cluster(), "a", 0, 5)
	file := filepath.Join(killed(t, dir), "partitions", "a-0", "0.dat")
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	index := file[:len(file)-len("dat")] + "idx"
	note, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(index, append(note, 1, 2, 3), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := broker.CompareTail(file, 0, 5); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(index); err != nil || string(got) != string(note) {
		t.Fatalf("the index keeps %d bytes of %d (%v)", len(got), len(note), err)
	}
	if broker.CompareTail(file, 0, 4) == nil {
		t.Error("a batch that the memory does not know was not noticed")
	}
	if broker.CompareTail(file, 0, 6) == nil {
		t.Error("a batch that the file lacks was not noticed")
	}
	for _, n := range []int{1, 12, 26, 27, 60} {
		if err := os.WriteFile(file, append(append([]byte{}, whole...), whole[:n]...), 0o600); err != nil {
			t.Fatal(err)
		}
		if broker.CompareTail(file, 0, 5) == nil {
			t.Errorf("%d bytes behind the last batch were not noticed", n)
		}
	}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := broker.CompareTail(file, 5, 5); err != nil {
		t.Errorf("a file that holds nothing yet: %v", err)
	}
}
