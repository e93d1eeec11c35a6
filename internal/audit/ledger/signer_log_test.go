package ledger_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/audit/ledger"
	"github.com/belfryhq/belfry/internal/platform/merkle"
)

func signedAt(account string, size uint64, root byte) ledger.Signed {
	return ledger.Signed{Account: account, Size: size, Root: merkle.Hash{root}}
}

func TestTheMemoryKeepsTheLargestStatementOverRestarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "signed")
	m, err := ledger.OpenFileLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok, err := m.Last(t.Context(), accountA); ok || err != nil {
		t.Fatal(ok, err)
	}
	for _, list := range [][]ledger.Signed{
		{signedAt(accountA, 1, 1), signedAt(accountB, 7, 7)},
		{signedAt(accountA, 5, 5)},
		{signedAt(accountA, 5, 5)},
	} {
		if err := m.Record(t.Context(), list); err != nil {
			t.Fatal(err)
		}
	}
	for _, bad := range []ledger.Signed{signedAt(accountA, 4, 4), signedAt(accountA, 5, 6), signedAt(accountB, 0, 0)} {
		if err := m.Record(t.Context(), []ledger.Signed{signedAt("other", 1, 1), bad}); err == nil {
			t.Errorf("took %+v", bad)
		}
	}
	if _, ok, _ := m.Last(t.Context(), "other"); ok {
		t.Error("a refused list was taken in part")
	}
	m.Close()
	for range 2 { // the second time from the rewritten file
		m, err = ledger.OpenFileLog(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []ledger.Signed{signedAt(accountA, 5, 5), signedAt(accountB, 7, 7)} {
			if got, ok, err := m.Last(t.Context(), want.Account); got != want || !ok || err != nil {
				t.Fatalf("%+v %v %v", got, ok, err)
			}
		}
		m.Close()
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
}

func TestATornLastLineWasNeverSigned(t *testing.T) {
	line := fmt.Sprintf("%s 5 %s\n", accountA, merkle.Hash{5})
	next := fmt.Sprintf("%s 6 %s\n", accountA, merkle.Hash{6})
	for cut := range len(next) {
		path := filepath.Join(t.TempDir(), "signed")
		if err := os.WriteFile(path, []byte(line+next[:cut]), 0o600); err != nil {
			t.Fatal(err)
		}
		m, err := ledger.OpenFileLog(path)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if got, ok, _ := m.Last(t.Context(), accountA); !ok || got.Size != 5 {
			t.Fatalf("cut at %d: %+v", cut, got)
		}
		if err := m.Record(t.Context(), []ledger.Signed{signedAt(accountA, 7, 7)}); err != nil {
			t.Fatal(err)
		}
		m.Close()
		if m, err = ledger.OpenFileLog(path); err != nil {
			t.Fatalf("cut at %d, then written on: %v", cut, err)
		}
		m.Close()
	}
}

func TestAMemoryThatContradictsItselfIsRefused(t *testing.T) {
	good := fmt.Sprintf("%s 5 %s\n", accountA, merkle.Hash{5})
	for name, text := range map[string]string{
		"smaller":      good + fmt.Sprintf("%s 4 %s\n", accountA, merkle.Hash{4}),
		"another root": good + fmt.Sprintf("%s 5 %s\n", accountA, merkle.Hash{6}),
		"two words":    good + accountA + " 6\n",
		"no number":    good + fmt.Sprintf("%s x %s\n", accountA, merkle.Hash{6}),
		"short root":   good + accountA + " 6 AAAA\n",
		"torn inside":  accountA + " 4" + good,
	} {
		path := filepath.Join(t.TempDir(), "signed")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ledger.OpenFileLog(path); err == nil || !strings.Contains(err.Error(), "line ") {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadFile(path); string(left) != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

// An epoch writes a line an account; the file must not grow with the years.
func TestTheMemorysFileStaysSmall(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signed")
	m, err := ledger.OpenFileLog(path)
	if err != nil {
		t.Fatal(err)
	}
	largest := int64(0)
	for epoch := range uint64(200) {
		var list []ledger.Signed
		for a := range 100 {
			list = append(list, signedAt(fmt.Sprintf("%032x", a), 1+epoch, byte(epoch)))
		}
		if err := m.Record(t.Context(), list); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	m.Close()
	if largest > 500_000 { // a line has about 80 bytes
		t.Errorf("100 accounts took %d bytes", largest)
	}
	m, err = ledger.OpenFileLog(path)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if got, ok, _ := m.Last(t.Context(), fmt.Sprintf("%032x", 99)); !ok || got.Size != 200 {
		t.Errorf("%+v %v", got, ok)
	}
}

func TestAMemoryThatCouldNotWriteRefusesEverything(t *testing.T) {
	path := filepath.Join(t.TempDir(), "signed")
	m, err := ledger.OpenFileLog(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Record(t.Context(), []ledger.Signed{signedAt(accountA, 1, 1)}); err != nil {
		t.Fatal(err)
	}
	m.Close() // the next write fails
	for range 2 {
		if err := m.Record(t.Context(), []ledger.Signed{signedAt(accountA, 2, 2)}); err == nil {
			t.Fatal("recorded without a file")
		}
	}
	if got, _, _ := m.Last(t.Context(), accountA); got.Size != 1 {
		t.Errorf("%+v was never durable", got)
	}
}
