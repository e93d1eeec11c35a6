package history_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/internal/history"
)

// git runs in a fresh repository with fixed people and times.
func git(t *testing.T, dir string, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null"), env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func TestARealRepositoryBecomesOneEventAFileInOneChangeSetACommit(t *testing.T) {
	dir := t.TempDir()
	person := func(name, at string) []string {
		return []string{"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + name + "@example.org", "GIT_AUTHOR_DATE=" + at,
			"GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.org", "GIT_COMMITTER_DATE=" + at}
	}
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, nil, "init", "-q")
	write("a.txt", "1\n2\n")
	write("odd \"name\"\tü.txt", "x\n")
	git(t, dir, nil, "add", ".")
	git(t, dir, person("ana", "2026-01-01T10:00:00+02:00"), "commit", "-qm", "begin")
	write("a.txt", "1\n3\n")
	git(t, dir, nil, "rm", "-q", "odd \"name\"\tü.txt")
	git(t, dir, person("jo", "2026-01-02T10:00:00Z"), "commit", "-qam", "go on")

	var commits []history.Commit
	for c, err := range history.FromGit(t.Context(), dir) {
		if err != nil {
			t.Fatal(err)
		}
		commits = append(commits, c)
	}
	if len(commits) != 2 || commits[0].Author != "jo" || commits[1].Subject != "begin" || len(commits[1].Files) != 2 {
		t.Fatalf("%+v", commits)
	}
	if f := commits[0].Files[1]; f.Path != "odd \"name\"\tü.txt" || f.Status != "D" || f.Removed != 1 {
		t.Fatalf("%+v", f)
	}
	events, err := history.Source{Repository: "r", CommitURL: "https://example.org/%s"}.Events(commits[1])
	if err != nil || len(events) != 2 {
		t.Fatal(len(events), err)
	}
	var e struct {
		ID         string
		OccurredAt string `json:"occurred_at"`
		Action     struct{ Type string }
		Actor      struct{ Email string }
		ChangeSet  string `json:"change_set"`
		Reason     struct{ Text, URL string }
	}
	if err := json.Unmarshal(events[0], &e); err != nil {
		t.Fatal(err)
	}
	if e.Action.Type != "create" || e.Actor.Email != "ana@example.org" || e.ChangeSet != commits[1].Hash ||
		e.Reason.URL != "https://example.org/"+e.ChangeSet || e.OccurredAt[:19] != "2026-01-01T08:00:00" {
		t.Fatalf("%+v", e)
	}
}

func TestAFolderThatIsNoRepositoryIsAnError(t *testing.T) {
	for _, err := range history.FromGit(t.Context(), t.TempDir()) {
		if err == nil {
			t.Fatal("a commit from nowhere")
		}
		return
	}
	t.Fatal("no error")
}

// commitObject writes a commit as its bytes say, which git commit would not.
func commitObject(t *testing.T, dir, parent, author, message string, headers ...string) string {
	t.Helper()
	tree := output(t, dir, "write-tree")
	text := "tree " + tree + "\n"
	if parent != "" {
		text += "parent " + parent + "\n"
	}
	text += "author " + author + "\ncommitter c <c@example.org> 1767261600 +0000\n"
	for _, h := range headers {
		text += h + "\n"
	}
	cmd := exec.Command("git", "-C", dir, "hash-object", "-t", "commit", "-w", "--stdin", "--literally")
	cmd.Stdin = strings.NewReader(text + "\n" + message)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	hash := strings.TrimSpace(string(out))
	git(t, dir, nil, "update-ref", "HEAD", hash)
	return hash
}

func output(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", append([]string{"-C", dir}, args...)...).Output()
	if err != nil {
		t.Fatalf("git %v: %v", args, err)
	}
	return strings.TrimSpace(string(out))
}

func add(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	git(t, dir, nil, "add", "-A")
}

// imported gives the events of a repository and the commits that have none.
func imported(t *testing.T, dir string) (events []string, bad []*history.CommitError) {
	t.Helper()
	for c, err := range history.FromGit(t.Context(), dir) {
		var one *history.CommitError
		switch {
		case errors.As(err, &one):
			bad = append(bad, one)
			continue
		case err != nil:
			t.Fatal(err)
		}
		list, err := history.Source{Repository: "r"}.Events(c)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			events = append(events, string(e))
		}
	}
	return events, bad
}

// What a user has configured about git's output changes nothing of the record.
func TestSettingsOfGitChangeNoEvent(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, nil, "init", "-q")
	add(t, dir, "b.txt", "1\n2\n3\n4\n5\n6\n7\n8\n")
	add(t, dir, "z\xe9.txt", "x\n")
	if err := os.Mkdir(filepath.Join(dir, "sub"), 0o700); err != nil {
		t.Fatal(err)
	}
	add(t, dir, "sub/a.txt", "x\n")
	root := commitObject(t, dir, "", "ana <ana@example.org> 1767261600 +0000", "ana's, with ü\n")
	git(t, dir, nil, "mv", "b.txt", "sub/b.txt")
	bob := commitObject(t, dir, root, "bob <bob@example.org> 1767261601 +0000", "bob's\n",
		"gpgsig -----BEGIN PGP SIGNATURE-----\n \n aGVsbG8=\n -----END PGP SIGNATURE-----")
	add(t, dir, "c.txt", "x\n")
	commitObject(t, dir, bob, "ana <ana@example.org> 1767261602 +0000", "ana's again\n")
	want, _ := imported(t, dir)
	if len(want) != 6 || !strings.Contains(want[0], `"ana@example.org"`) ||
		!strings.Contains(want[1], `"bob@example.org"`) {
		t.Fatalf("%d events:\n%s", len(want), strings.Join(want, "\n"))
	}
	program := filepath.Join(t.TempDir(), "gpg")
	order := filepath.Join(t.TempDir(), "order")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho '[GNUPG:] GOODSIG 0 bob'\necho 'gpg: Good signature "+
		"from bob' >&2\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(order, []byte("*.txt\nsub/*\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, set := range [][2]string{
		{"log.showSignature", "true"},
		{"gpg.program", program},
		{"log.showRoot", "false"},
		{"diff.renames", "copies"},
		{"diff.relative", "true"},
		{"diff.orderFile", order},
		{"color.ui", "always"},
		{"i18n.logOutputEncoding", "ISO-8859-1"},
		{"format.pretty", "oneline"},
		{"log.decorate", "full"},
		{"log.diffMerges", "first-parent"},
		{"core.quotePath", "true"},
		{"core.abbrev", "4"},
		{"log.date", "relative"},
		{"notes.displayRef", "*"},
		{"diff.external", "false"},
	} {
		git(t, dir, nil, "config", set[0], set[1])
		if got, _ := imported(t, dir); !slices.Equal(got, want) {
			t.Errorf("with %s=%s:\n%s\nwithout:\n%s", set[0], set[1], strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
	t.Setenv("GIT_DIR", t.TempDir())
	if got, _ := imported(t, dir); !slices.Equal(got, want) {
		t.Error("GIT_DIR of a hook takes another repository")
	}
}

func TestOneOddCommitHarmsNoOther(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, nil, "init", "-q")
	add(t, dir, "a.txt", "a\n")
	parent := commitObject(t, dir, "", "ana <ana@example.org> 1767261600 +0000", "begin\n")
	for i, c := range []struct{ author, message string }{
		{"ana <ana@example.org> 1767261700 +51800", "a zone of three weeks\n"},
		{"ana <ana@example.org> 1767261701 +0000", "\x01cccc\n"},
		{"Bob <> 1767261702 +0000", "no address\n"},
		{" <> 1767261703 +0000", "nobody\n"},
		{"lat\xe9n <l\xe9@example.org> 1767261704 +0000", "l\xe9tin\n"},
		{"ana <ana@example.org> never", "no time\n"},
		{"ana <ana@example.org> 99999999999999999999 +0000", "after all time\n"},
		{"ana <ana@example.org> 1767261705 +0000", ""},
	} {
		add(t, dir, "a.txt", strconv.Itoa(i)+"\n")
		parent = commitObject(t, dir, parent, c.author, c.message)
	}
	events, bad := imported(t, dir)
	text := strings.Join(events, "\n")
	if len(events)+len(bad) != 9 || len(bad) > 2 {
		t.Fatalf("%d events, %v:\n%s", len(events), bad, text)
	}
	for _, want := range []string{`"occurred_at":"2026-01-01T10:01:40.000001Z"`, `\\x01cccc`,
		`"actor":{"id":"Bob","name":"Bob","type":"user"}`, `"actor":{"id":"unknown","type":"user"}`,
		`"name":"lat\\xe9n"`, `"id":"l\\xe9@example.org"`, `"text":"begin"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
}

func TestNamesThatAreNotUTF8StayApart(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, nil, "init", "-q")
	names := []string{"caf\xe9.txt", "caf\xe8.txt", `caf\xe9.txt`, "café.txt", "a\nb", "a\u202eb"}
	for _, n := range names {
		add(t, dir, n, "x\n")
	}
	commitObject(t, dir, "", "ana <ana@example.org> 1767261600 +0000", "names\n")
	events, _ := imported(t, dir)
	seen := map[string]bool{}
	for _, e := range events {
		var v struct{ Resource struct{ ID string } }
		if err := json.Unmarshal([]byte(e), &v); err != nil {
			t.Fatal(err)
		}
		seen[v.Resource.ID] = true
	}
	if len(events) != len(names) || len(seen) != len(names) || !seen[`r/caf\xe9.txt`] || !seen[`r/caf\\xe9.txt`] ||
		!seen["r/café.txt"] {
		t.Errorf("%d names of %d files: %v", len(seen), len(names), seen)
	}
}

func TestALargeCommitIsImportedWhole(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, nil, "init", "-q")
	for i := range 250 {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte("x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	git(t, dir, nil, "add", "-A")
	commitObject(t, dir, "", "ana <ana@example.org> 1767261600 +0000", "all of it\n")
	if events, _ := imported(t, dir); len(events) != 250 {
		t.Errorf("%d events of 250 files", len(events))
	}
}

func TestEveryCloneOfARepositoryHasItsIdentity(t *testing.T) {
	dir := t.TempDir()
	git(t, dir, nil, "init", "-q")
	if _, err := history.Identity(t.Context(), dir); err == nil {
		t.Error("a repository without a commit has an identity")
	}
	add(t, dir, "a.txt", "a\n")
	first := commitObject(t, dir, "", "ana <ana@example.org> 1767261600 +0000", "begin\n")
	add(t, dir, "a.txt", "b\n")
	commitObject(t, dir, first, "ana <ana@example.org> 1767261601 +0000", "go on\n")
	clone := filepath.Join(t.TempDir(), "another-name")
	shallow := filepath.Join(t.TempDir(), "shallow")
	git(t, dir, nil, "clone", "-q", dir, clone)
	git(t, dir, nil, "clone", "-q", "--depth", "1", "file://"+dir, shallow)
	for _, d := range []string{dir, clone} {
		if id, err := history.Identity(t.Context(), d); err != nil || id != first[:16] {
			t.Errorf("%s: %s %v", d, id, err)
		}
	}
	if id, err := history.Identity(t.Context(), shallow); err == nil {
		t.Errorf("a shallow clone is called %s", id)
	}
	if n, err := history.Merges(t.Context(), dir); n != 0 || err != nil {
		t.Error(n, err)
	}
}
