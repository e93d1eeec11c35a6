package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/belfryhq/belfry/internal/audit/record"
)

// ledgerServer answers publishing as the server does: by the same decoder, with
// ids that are known after their first time.
type ledgerServer struct {
	*httptest.Server
	events map[string]string // by id
	order  []string
}

func newLedgerServer(t *testing.T) *ledgerServer {
	s := &ledgerServer{events: map[string]string{}}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		var results []map[string]any
		info := map[string]int{}
		for i, line := range strings.Split(strings.TrimSuffix(string(body), "\n"), "\n") {
			result := map[string]any{"index": i, "status": "accepted"}
			if e, err := record.Decode([]byte(line), time.Now()); err != nil {
				result["status"] = "rejected"
				result["errors"] = []any{
					map[string]any{"code": 1, "message": err.Error(), "source": map[string]any{"pointer": "/x"}},
				}
			} else if known, found := s.events[e.ID]; found && known != line {
				result["status"] = "conflict"
			} else if found {
				result["status"] = "duplicate"
			} else {
				s.events[e.ID] = line
				s.order = append(s.order, line)
			}
			info[result["status"].(string)]++
			results = append(results, result)
		}
		status := 200
		if info["accepted"]+info["duplicate"] == 0 {
			status = 400
		}
		w.WriteHeader(status)
		if err := json.NewEncoder(w).Encode(map[string]any{
			"success":     status == 200,
			"errors":      []any{},
			"result":      results,
			"result_info": info,
		}); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("BELFRY_URL", s.URL+"/client/v4/")
	t.Setenv("BELFRY_TOKEN", "blf_x")
	t.Setenv("BELFRY_ACCOUNT", "ext:acme")
	return s
}

func runCommand(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, complaints bytes.Buffer
	code = dispatch(t.Context(), args, &out, &complaints)
	return code, out.String(), complaints.String()
}

func tempFile(t *testing.T, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func compressed(t *testing.T, content string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(content)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

const leastEvent = `{"action":{"type":"update"},"actor":{"type":"user","id":"u1"},` +
	`"resource":{"product":"dns","type":"record","id":"r1"}}`

func withID(id string) string { return `{"id":"` + id + `",` + leastEvent[1:] }

func TestAnImportNamesEachLineThatIsNotTakenAndGoesOn(t *testing.T) {
	s := newLedgerServer(t)
	long := `{"id":"long","metadata":{"x":"` + strings.Repeat("x", 2<<20) + `"}}`
	name := tempFile(t, "events.ndjson", strings.Join([]string{withID("a"), "not JSON", long, "", `{"id":"b"}`,
		withID("a") + " ", withID("c")}, "\n"))
	code, out, complaints := runCommand(t, "audit", "import", "--events", name)
	if code != 1 || out != "2 accepted, 1 duplicates, 0 conflicts, 3 rejected\n" {
		t.Errorf("%d %s", code, out)
	}
	for _, line := range []string{name + ":2: rejected: ", name + ":3: rejected: the line has more than",
		name + ":5: rejected: "} {
		if !strings.Contains("\n"+complaints, "\n"+line) {
			t.Errorf("nothing says %q:\n%s", line, complaints)
		}
	}
	if strings.Count(complaints, "\n") != 3 || len(s.order) != 2 {
		t.Errorf("%d events; said:\n%s", len(s.order), complaints)
	}
}

func TestImportingTheSameFileTwiceStoresItOnce(t *testing.T) {
	s := newLedgerServer(t)
	lines := []string{leastEvent, leastEvent, strings.Replace(leastEvent, "u1", "u2", 1),
		strings.Replace(leastEvent, "{", `{"id":null,`, 1), withID("own")}
	name := tempFile(t, "events.ndjson", strings.Join(lines, "\n")+"\n")
	if code, out, complaints := runCommand(t, "audit", "import", "--events", name); code != 0 ||
		!strings.HasPrefix(out, "5 accepted, 0 duplicates") {
		t.Fatalf("%d %s %s", code, out, complaints)
	}
	if code, out, _ := runCommand(t, "audit", "import", "--events", name); code != 0 ||
		!strings.HasPrefix(out, "0 accepted, 5 duplicates") {
		t.Errorf("again: %d %s", code, out)
	}
	grown := tempFile(t, "grown.ndjson", strings.Join(append(lines, leastEvent), "\n"))
	if code, out, _ := runCommand(t, "audit", "import", "--events", grown); code != 0 ||
		!strings.HasPrefix(out, "1 accepted, 5 duplicates") || len(s.events) != 6 {
		t.Errorf("with one line more: %d %s", code, out)
	}
}

func TestCompressedFilesAndByteOrderMarksAreReadWhateverTheFileIsCalled(t *testing.T) {
	s := newLedgerServer(t)
	for i, content := range []string{"\ufeff" + withID("e0") + "\r\n", compressed(t, withID("e1")),
		compressed(t, "\ufeff"+withID("e2")+"\n")} {
		for _, name := range []string{"F.NDJSON.GZ", "plain"} {
			if code, out, complaints := runCommand(t, "audit", "import", "--events", tempFile(t, name, content)); code != 0 ||
				len(s.events) != i+1 {
				t.Errorf("%s %d: %d %s %s", name, i, code, out, complaints)
			}
		}
	}
}

// What Belfry exports, filtered or provable, can be imported elsewhere.
func TestAnExportCanBeImported(t *testing.T) {
	s := newLedgerServer(t)
	shown := `{"account":"0192f7c417d170008000000000000001","seq":7,"recorded_at":"2026-11-22T10:00:00.000000Z",` +
		`"submitted_by":{"type":"token","id":"t"},"id":"e-7","v":1,"zone":{"id":"z1","name":"shop.example"},` +
		`"after":{"n":1.50},` + leastEvent[1:]
	provable := strings.Replace(shown, "e-7", "e-8", 1)
	name := tempFile(t, "x.ndjson", `{"export":{"v":1,"account":"a","complete":false,"note":"filtered"}}`+"\n"+shown+"\n"+
		`{"seq":8,"envelope":"AAAA","event":`+provable+`,"openings":{}}`+"\n"+strings.Replace(shown, `"dns"`, `"belfry"`, 1)+
		"\n")
	code, out, complaints := runCommand(t, "audit", "import", "--events", name)
	if code != 0 || len(s.order) != 2 || !strings.Contains(complaints, "1 events of Belfry itself") ||
		!strings.Contains(s.events["e-7"], `"zone":"shop.example"`) || !strings.Contains(s.events["e-7"], `1.50`) {
		t.Fatalf("%d %s %s\n%v", code, out, complaints, s.events)
	}
}

func TestARepositoryIsImportedOnceWhateverItsFolderIsCalled(t *testing.T) {
	s := newLedgerServer(t)
	dir := t.TempDir()
	git := func(args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
			"GIT_AUTHOR_NAME=Bob\x01", "GIT_AUTHOR_EMAIL=", "GIT_COMMITTER_NAME=c", "GIT_COMMITTER_EMAIL=c@example.org")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	write := func(name string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		git("add", "-A")
		git("commit", "-qm", "adds a file\x1b[2K with \u202e")
	}
	git("init", "-q", "-b", "main")
	write("a\x1b.txt")
	git("checkout", "-qb", "side")
	write("b.txt")
	git("checkout", "-q", "main")
	write("caf\xe9.txt")
	git("merge", "-q", "--no-ff", "-m", "merge", "side")
	clone := filepath.Join(t.TempDir(), "another")
	git("clone", "-q", dir, clone)
	if code, out, complaints := runCommand(t, "audit", "import", "--git", dir); code != 0 ||
		!strings.HasPrefix(out, "3 accepted") || !strings.Contains(complaints, "1 merge commits are left out") {
		t.Fatalf("%d %s %s", code, out, complaints)
	}
	if code, out, complaints := runCommand(t, "audit", "import", "--git", clone); code != 0 ||
		!strings.HasPrefix(out, "0 accepted, 3 duplicates, 0 conflicts") || len(s.events) != 3 {
		t.Errorf("%d %s %s", code, out, complaints)
	}
	if code, _, complaints := runCommand(t, "audit", "import", "--git", clone, "--repository", "shop", "--commit-url",
		"https://git.example/%s"); code != 1 || !strings.Contains(complaints, ": conflict: ") {
		t.Errorf("%d %s", code, complaints)
	}
}

// exportServer gives a log of one event; fails says which path answers 403.
func exportServer(t *testing.T, fails string) *httptest.Server {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case fails == "broken" && strings.HasSuffix(r.URL.Path, "/audit/export"):
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "half of it")
		case fails != "" && strings.HasSuffix(r.URL.Path, fails):
			w.WriteHeader(403)
			fmt.Fprint(w, `{"success":false,"errors":[{"code":1,"message":"no"}],"result":null}`)
		case strings.HasSuffix(r.URL.Path, "/audit/keys"):
			fmt.Fprint(w, `{"success":true,"result":[{"vkey":"k"}]}`)
		case strings.HasSuffix(r.URL.Path, "/checkpoint"):
			fmt.Fprint(w, "origin\n1\nroot\n\n— sig\n")
		default:
			fmt.Fprint(w, "the export\n")
		}
	}))
	t.Cleanup(s.Close)
	t.Setenv("BELFRY_URL", s.URL)
	t.Setenv("BELFRY_TOKEN", "blf_x")
	t.Setenv("BELFRY_ACCOUNT", "a")
	return s
}

func TestAnExportReplacesWhatWasThereOnlyWhenItIsWhole(t *testing.T) {
	for _, fails := range []string{"/audit/keys", "/checkpoint", "/audit/export", "broken", ""} {
		exportServer(t, fails)
		dir := t.TempDir()
		out := filepath.Join(dir, "acme.ndjson")
		files := []string{out, out + ".checkpoint", out + ".key"}
		for _, name := range files {
			if err := os.WriteFile(name, []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		code, _, complaints := runCommand(t, "audit", "export", "--out", out)
		if (code == 0) != (fails == "") {
			t.Fatalf("%q: %d %s", fails, code, complaints)
		}
		for _, name := range files {
			content, err := os.ReadFile(name)
			info, statErr := os.Stat(name)
			if err != nil || statErr != nil {
				t.Fatal(err, statErr)
			}
			if old := string(content) == "old"; old != (fails != "") {
				t.Errorf("%q: %s holds %q", fails, name, content)
			}
			if fails == "" && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %v", name, info.Mode())
			}
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
			t.Errorf("%q: %v %v is left", fails, left, err)
		}
	}
}

// Every command that writes a file is looked at: none opens its place before it
// has what belongs there.
func TestFilesAreWrittenBesideTheirPlace(t *testing.T) {
	names, err := filepath.Glob("*.go")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	writes := regexp.MustCompile(`os\.(Create|WriteFile|OpenFile|CreateTemp)\(`)
	for _, name := range names {
		source, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") && name != "files.go" && writes.Match(source) {
			t.Errorf("%s writes a file in place; use writeOutputs", name)
		}
	}
}

func TestAnEmptyFileThatTheShellMadeIsNoCatalogue(t *testing.T) {
	name := tempFile(t, "belfry.yaml", "")
	if code, _, complaints := runCommand(t, "catalog", "init", "--output", name); code != 0 {
		t.Fatal(code, complaints)
	}
	if code, out, _ := runCommand(t, "catalog", "check", name); code != 0 {
		t.Error(out)
	}
}

func TestOutputThroughALinkAndIntoAPipe(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.WriteFile(filepath.Join(dir, "target"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("target", link); err != nil {
		t.Fatal(err)
	}
	if err := writeOutputs(outputFile{link, 0o600, literal([]byte("x"))},
		outputFile{"/dev/null", 0o600, literal([]byte("y"))}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link was replaced", err)
	}
	if b, err := os.ReadFile(link); err != nil || string(b) != "x" {
		t.Errorf("%q %v", b, err)
	}
}

func TestNoTokenFollowsARedirectOrLeavesInTheClearUnsaid(t *testing.T) {
	reached := false
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached = true }))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", other.URL+r.URL.Path)
		w.WriteHeader(307)
	}))
	defer s.Close()
	t.Setenv("BELFRY_URL", s.URL)
	t.Setenv("BELFRY_TOKEN", "blf_secret")
	t.Setenv("BELFRY_ACCOUNT", "a")
	name := tempFile(t, "e.ndjson", withID("a"))
	for _, args := range [][]string{{"audit", "import", "--events", name}, {"audit", "export", "--out", name + ".out"}} {
		if code, out, complaints := runCommand(t, args...); code != 1 || !strings.Contains(complaints, other.URL) ||
			strings.Contains(complaints, "secret") {
			t.Errorf("%v: %d %s %s", args, code, out, complaints)
		}
	}
	if reached {
		t.Error("the redirect was followed")
	}
	for address, warns := range map[string]bool{
		"http://belfry.example":          true,
		"http://10.0.0.1:8080/client/v4": true,
		"https://belfry.example":         false,
		"http://127.0.0.1:1":             false,
		"http://localhost:1":             false,
		"http://[::1]:1":                 false,
	} {
		var b bytes.Buffer
		if _, err := newClient(address, "t", &b); err != nil || (b.Len() > 0) != warns {
			t.Errorf("%s: %v %q", address, err, b.String())
		}
	}
	for _, address := range []string{"belfry.example", "u", "ftp://x", "http://"} {
		if _, err := newClient(address, "t", io.Discard); err == nil {
			t.Errorf("%s is taken as an address", address)
		}
	}
	for _, address := range []string{"https://h", "https://h/", "https://h/client/v4", "https://h/client/v4/"} {
		if c, err := newClient(address, "t", io.Discard); err != nil || c.URL() != "https://h/client/v4" {
			t.Errorf("%s: %v %v", address, c, err)
		}
	}
}

func TestArgumentsThatNothingReadsAreNamed(t *testing.T) {
	t.Setenv("BELFRY_ACCOUNT", "a")
	for _, args := range [][]string{
		{"audit", "export", "foo", "--out", "x"},
		{"audit", "import", "foo", "--events", "x"},
		{"verify", "foo"},
		{"migrate", "foo"},
		{"login-link", "foo"},
		{"serve", "foo"},
		{"demo", "foo"},
		{"version", "foo"},
	} {
		code, _, complaints := runCommand(t, args...)
		if code != 2 || !strings.Contains(complaints, `unexpected argument "foo"`) {
			t.Errorf("%v: %d %s", args, code, complaints)
		}
	}
}

func TestVerifySaysWhenAFileIsAnother(t *testing.T) {
	checkpoint := tempFile(t, "cp", "belfry/a\n1\nAAAA\n\n— belfry AAAA\n")
	const key = "belfry+f629eae4+AbC"
	filtered := `{"export":{"v":1,"account":"a","complete":false,"note":"x"}}` + "\n"
	for name, c := range map[string]struct {
		content string
		says    string
	}{
		"a page": {"<html>", "not an export"}, "nothing": {"", "empty"}, "an answer": {`{"success":false}`, "not an export"},
		"filtered": {filtered, "filtered"}, "compressed": {compressed(t, filtered), "filtered"},
	} {
		code, out, complaints := runCommand(t, "verify", "--export", tempFile(t, "x", c.content), "--checkpoint", checkpoint,
			"--key", key)
		if code != 1 || strings.Contains(out, "FAIL") || !strings.Contains(complaints, c.says) {
			t.Errorf("%s: %d %q %q", name, code, out, complaints)
		}
	}
	if code, out, complaints := runCommand(t, "verify", "--bundle", tempFile(t, "b", "<html>")); code != 1 ||
		strings.Contains(out, "FAIL") || !strings.Contains(complaints, "not an event's bundle") {
		t.Errorf("%d %q %q", code, out, complaints)
	}
}

func TestALineThatEndsAtTheBufferIsWhole(t *testing.T) {
	s := newLedgerServer(t)
	var lines []string
	for _, pad := range []int{1<<16 - 1, 1 << 16, 1<<16 + 1, 10} {
		e := withID(fmt.Sprint("p", pad))
		lines = append(lines, e+strings.Repeat(" ", max(0, pad-len(e))))
	}
	if code, out, complaints := runCommand(t, "audit", "import", "--events",
		tempFile(t, "e", strings.Join(lines, "\n"))); code != 0 || len(s.order) != 4 {
		t.Errorf("%d %s %s", code, out, complaints)
	}
	if !slices.ContainsFunc(s.order, func(e string) bool { return strings.Contains(e, "p10") }) {
		t.Error("the last line is missing")
	}
}
