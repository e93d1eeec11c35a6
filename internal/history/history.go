// Package history converts the change history of a git repository to audit events: who changed which file when, why,
// in which commit. A commit is one change set; each of its files is one event.
package history

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Commit is one change of a repository.
type Commit struct {
	Hash    string `json:"commit"` // 40 hex characters
	Author  string `json:"author"`
	Email   string `json:"email"`
	Time    string `json:"time"` // RFC 3339
	Subject string `json:"subject"`
	Files   []File `json:"files"` // in the order of their paths
}

// File is one changed path of a commit.
type File struct {
	Path    string `json:"path"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Status  string `json:"status,omitempty"` // A, M, D; empty = M
}

// CommitError is a commit that cannot be converted. The sequence that returned it continues with the next one.
type CommitError struct {
	Hash string
	Why  string
}

func (e *CommitError) Error() string { return "commit " + e.Hash + ": " + e.Why }

// gitCommand returns a git command for the checkout at dir, without the user's settings and environment variables that
// change its output.
func gitCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "git", slices.Concat([]string{"-C", dir}, plainSettings, args)...)
	for _, setting := range os.Environ() {
		name, _, _ := strings.Cut(setting, "=")
		if !slices.Contains(otherRepository, name) {
			cmd.Env = append(cmd.Env, setting)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_NO_REPLACE_OBJECTS=1", "LC_ALL=C")
	return cmd
}

// plainSettings undo the user's settings for which git log has no flag in every
// version.
var plainSettings = []string{
	"-c", "log.showSignature=false",
	"-c", "log.showRoot=true",
	"-c", "diff.relative=false",
	"-c", "color.ui=false",
}

// otherRepository are the variables that point git to a repository other than the one in its directory; git sets them
// for hooks.
var otherRepository = []string{
	"GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
}

// run returns the output of a git command, without white space around it.
func run(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := gitCommand(ctx, dir, args...)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s in %s: %w: %s", args[0], dir, err, strings.TrimSpace(failure.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

// Identity returns the hash of the first commit of the repository at dir, which all its clones share. A shallow clone
// does not have it.
func Identity(ctx context.Context, dir string) (string, error) {
	shallow, err := run(ctx, dir, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return "", err
	}
	if shallow == "true" {
		return "", errors.New("the clone is shallow and does not have the first commit, which names the repository: " +
			"name it yourself, or run git fetch --unshallow")
	}
	roots, err := run(ctx, dir, "rev-list", "--first-parent", "--max-parents=0", "HEAD")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(roots, "\n")
	if len(first) < identityDigits {
		return "", errors.New("the repository has no commit")
	}
	return first[:identityDigits], nil
}

const identityDigits = 16

// Merges returns the number of merge commits, which FromGit skips.
func Merges(ctx context.Context, dir string) (int, error) {
	out, err := run(ctx, dir, "rev-list", "--count", "--merges", "HEAD")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(out)
}

// FromGit reads the history of the checkout at dir, newest first, without
// merges: `git log`. A commit that cannot be read is a *CommitError; any other
// error ends the sequence.
func FromGit(ctx context.Context, dir string) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cmd := gitCommand(ctx, dir, "log", "--no-merges", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color",
			"--no-notes", "--ignore-submodules=none", "-O/dev/null", "--encoding=UTF-8",
			"--raw", "--numstat", "--no-abbrev", "-z", "--format="+logFormat)
		var failure bytes.Buffer
		cmd.Stderr = &failure
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			yield(Commit{}, fmt.Errorf("git log: %w", err))
			return
		}
		defer func() { _ = cmd.Wait() }()
		for c, err := range parseLog(out) {
			var bad *CommitError
			if !yield(c, err) || err != nil && !errors.As(err, &bad) {
				return
			}
		}
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			yield(Commit{}, fmt.Errorf("git log in %s: %w: %s", dir, err, strings.TrimSpace(failure.String())))
		}
	}
}

// logFormat prints a commit as fields that end with NUL, because names, messages and paths cannot contain it. Times are
// Unix times: no time zone of an author is parsed.
const (
	logFormat = "%H%x00%an%x00%ae%x00%at%x00%ct%x00%s%x00"
	logFields = 6
)

// parseLog parses the output of FromGit's command: the fields of a commit, then its
// raw records (":modes hashes STATUS", path) and its numstat records
// ("added\tremoved\tpath"). The fields are counted; after them, a token that neither
// begins with a colon nor contains a tab is the hash of the next commit.
func parseLog(r io.Reader) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		in := bufio.NewScanner(r)
		in.Buffer(make([]byte, 0, 1<<16), maxToken)
		in.Split(splitNul)
		var fields []string // of the commit that is read
		var files []File
		status := map[string]string{}
		path := "" // status of the path that comes next
		finish := func() bool {
			if len(fields) < logFields {
				return true
			}
			c, err := newCommit(fields, files)
			fields, files = nil, nil
			clear(status)
			return yield(c, err)
		}
		for in.Scan() {
			tok := in.Text()
			switch {
			case len(fields) > 0 && len(fields) < logFields:
				fields = append(fields, tok)
			case path != "":
				status[tok], path = path, ""
			default:
				if tok = strings.TrimPrefix(tok, "\n"); tok == "" {
					continue // between commits
				}
				added, rest, counted := strings.Cut(tok, "\t")
				switch {
				case tok[0] == ':':
					path = tok[strings.LastIndexByte(tok, ' ')+1:][:1]
				case counted:
					removed, name, _ := strings.Cut(rest, "\t")
					a, _ := strconv.Atoi(added) // "-" for a binary file
					d, _ := strconv.Atoi(removed)
					files = append(files, File{Path: name, Added: a, Removed: d, Status: status[name]})
				default:
					if !finish() {
						return
					}
					fields = append(fields, tok)
				}
			}
		}
		if err := in.Err(); err != nil {
			yield(Commit{}, err)
			return
		}
		finish()
	}
}

// maxToken bounds one field of git's output; its longest is a commit's subject,
// which may be a whole paragraph.
const maxToken = 16 << 20

// newCommit parses a commit's fields. The files are sorted by path, independently of the user's settings, because the
// IDs of events contain their index.
func newCommit(fields []string, files []File) (Commit, error) {
	c := Commit{Hash: fields[0], Author: fields[1], Email: fields[2], Subject: fields[5], Files: files}
	slices.SortFunc(c.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	for _, text := range fields[3:5] { // the author's time, else the committer's
		if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > -maxSeconds && seconds < maxSeconds {
			c.Time = time.Unix(seconds, 0).UTC().Format(time.RFC3339)
			return c, nil
		}
	}
	return c, &CommitError{c.Hash, fmt.Sprintf("its time %q is none", fields[3])}
}

// maxSeconds limits a time to the range of RFC 3339; the server validates it further.
const maxSeconds = 250_000_000_000

func splitNul(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(bytes.TrimSpace(data)) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// FromLines reads commits as JSON lines.
func FromLines(r io.Reader) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		dec := json.NewDecoder(r)
		for {
			var c Commit
			err := dec.Decode(&c)
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// event returns the audit event of one changed file.
type event struct {
	ID         string         `json:"id"`
	OccurredAt string         `json:"occurred_at"`
	Action     map[string]any `json:"action"`
	Actor      map[string]any `json:"actor"`
	Interface  string         `json:"interface"`
	Resource   map[string]any `json:"resource"`
	Zone       string         `json:"zone,omitempty"`
	Reason     map[string]any `json:"reason"`
	ChangeSet  string         `json:"change_set"`
	Metadata   map[string]any `json:"metadata"`
}

// Source describes the origin of the commits.
type Source struct {
	Repository string // name, such as harfbuzz
	CommitURL  string // of a commit, with %s for its hash; empty = none
}

// Events returns a commit as audit events of the product "source": one for each file, with IDs derived from commit and
// file, so that a repeated import stores nothing twice.
func (s Source) Events(c Commit) ([][]byte, error) {
	at, err := time.Parse(time.RFC3339, c.Time)
	if err != nil {
		return nil, &CommitError{c.Hash, err.Error()}
	}
	reason := map[string]any{"text": cut(shown(c.Subject), 1024)}
	if s.CommitURL != "" {
		reason["url"] = fmt.Sprintf(s.CommitURL, c.Hash)
	}
	actor := map[string]any{"type": "user", "id": c.actorID()}
	if email := strings.TrimSpace(c.Email); email != "" {
		actor["email"] = cut(shown(email), 1024)
	}
	if name := strings.TrimSpace(c.Author); name != "" {
		actor["name"] = cut(shown(name), 1024)
	}
	var list [][]byte
	for i, f := range c.Files {
		action := "update"
		switch f.Status {
		case "A":
			action = "create"
		case "D":
			action = "delete"
		}
		path := identifier(f.Path)
		// Newest first, the files of a commit are in the order of their paths.
		moment := at.UTC().Add(time.Duration(len(c.Files)-i) * time.Microsecond)
		b, err := json.Marshal(event{
			ID:         fmt.Sprintf("%s.%d", c.Hash[:min(len(c.Hash), 40)], i),
			OccurredAt: moment.Format("2006-01-02T15:04:05.000000Z"),
			Action:     map[string]any{"type": action},
			Actor:      actor,
			Interface:  "CLI",
			Resource: map[string]any{
				"product": "source",
				"type":    "file",
				"id":      bounded(s.Repository + "/" + path),
				"name":    cut(path, 1024),
			},
			Reason:    reason,
			ChangeSet: c.Hash,
			Metadata:  map[string]any{"lines_added": f.Added, "lines_removed": f.Removed, "repository": s.Repository},
		})
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

// actorID returns the author's address, else the name: git requires neither.
func (c Commit) actorID() string {
	for _, s := range []string{c.Email, c.Author} {
		if s = strings.TrimSpace(s); s != "" {
			return bounded(identifier(s))
		}
	}
	return "unknown"
}

// identifier escapes the bytes of a name so that different names stay different: each byte that is not UTF-8 or belongs
// to a character that a line must not contain becomes \x and two hex digits, and a backslash is doubled.
func identifier(s string) string { return shown(strings.ReplaceAll(s, `\`, `\\`)) }

// shown converts bytes to text that the audit log accepts.
func shown(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 || unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			for _, c := range []byte(s[i : i+size]) {
				fmt.Fprintf(&b, `\x%02x`, c)
			}
		} else {
			b.WriteString(s[i : i+size])
		}
		i += size
	}
	return b.String()
}

// bounded cuts an identifier to the limit of the audit log; a digest distinguishes identifiers with the same start.
func bounded(s string) string {
	if utf8.RuneCountInString(s) <= 1024 {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	return cut(s, 1000) + "~" + hex.EncodeToString(sum[:8])
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
