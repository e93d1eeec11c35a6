package history_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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
		return []string{"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + name + "@example.org", "GIT_AUTHOR_DATE=" + at, "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.org", "GIT_COMMITTER_DATE=" + at}
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
	if e.Action.Type != "create" || e.Actor.Email != "ana@example.org" || e.ChangeSet != commits[1].Hash || e.Reason.URL != "https://example.org/"+e.ChangeSet || e.OccurredAt[:19] != "2026-01-01T08:00:00" {
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
