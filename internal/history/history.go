// Package history turns the change history of a git repository into audit
// events: who changed which file when, why, in which commit. A commit is one
// change set; each of its files is one event.
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

// CommitError is a commit that cannot become events. The sequence that gave it
// goes on with the next one.
type CommitError struct {
	Hash string
	Why  string
}

func (e *CommitError) Error() string { return "commit " + e.Hash + ": " + e.Why }

// gitCommand is git on the checkout at dir, without what the user's settings and
// environment change of its output.
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

// otherRepository are the variables that would lead git to another repository
// than the one in the folder that was named; a git hook sets them.
var otherRepository = []string{
	"GIT_DIR", "GIT_COMMON_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_NAMESPACE",
}

// run gives what a git command prints, without white space around it.
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

// Identity names the repository at dir by its first commit, which every clone
// of it shares, whatever its folder is called. A shallow clone does not have it.
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

// Merges counts the merge commits, which FromGit leaves out.
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

// logFormat is a commit in fields that NUL ends: neither names nor messages nor
// paths can hold it. Times are instants: no zone of an author is parsed.
const (
	logFormat = "%H%x00%an%x00%ae%x00%at%x00%ct%x00%s%x00"
	logFields = 6
)

// parseLog reads what FromGit's command prints: the fields of a commit, then its
// raw records (":modes hashes STATUS", path) and its numstat records
// ("added\tremoved\tpath"). The fields are counted; behind them, what neither
// begins with a colon nor has a tab is the hash of the next commit.
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

// newCommit reads a commit's fields. The files come in the order of their
// paths, whatever order the user has configured: ids of events count them.
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

// maxSeconds keeps a time within what RFC 3339 can write; the server says which
// of them it takes.
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

// event is the audit event of one changed file.
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

// Source says where the commits come from.
type Source struct {
	Repository string // name, such as harfbuzz
	CommitURL  string // of a commit, with %s for its hash; empty = none
}

// Events writes a commit as audit events of the product "source": one a file,
// with ids made of commit and file, so that importing twice stores once.
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

// actorID is the author's address, else the name: git asks for neither.
func (c Commit) actorID() string {
	for _, s := range []string{c.Email, c.Author} {
		if s = strings.TrimSpace(s); s != "" {
			return bounded(identifier(s))
		}
	}
	return "unknown"
}

// identifier writes bytes of a name as text so that two names stay two: a byte
// that is not UTF-8 and a character that no line may hold become \x and two hex
// digits for each byte, and a backslash is doubled.
func identifier(s string) string { return shown(strings.ReplaceAll(s, `\`, `\\`)) }

// shown writes bytes as text that the record takes.
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

// bounded cuts an identifier to what the record takes; a digest keeps those
// apart that begin alike.
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
