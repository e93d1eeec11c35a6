// Package history turns the change history of a git repository into audit
// events: who changed which file when, why, in which commit. A commit is one
// change set; each of its files is one event.
package history

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Commit is one change of a repository.
type Commit struct {
	Hash    string `json:"commit"` // 40 hex characters
	Author  string `json:"author"`
	Email   string `json:"email"`
	Time    string `json:"time"` // RFC 3339
	Subject string `json:"subject"`
	Files   []File `json:"files"`
}

// File is one changed path of a commit.
type File struct {
	Path    string `json:"path"`
	Added   int    `json:"added"`
	Removed int    `json:"removed"`
	Status  string `json:"status,omitempty"` // A, M, D; empty = M
}

// maxFiles bounds the events of one commit (a vendored tree is one change).
const maxFiles = 200

// FromGit reads the history of the checkout at dir, newest first, without
// merges: `git log`. The sequence ends with an error when git fails.
func FromGit(ctx context.Context, dir string) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		cmd := exec.CommandContext(ctx, "git", "-C", dir, "log", "--no-merges", "--no-renames", "--raw", "--numstat", "-z",
			"--format=%x01%H%x00%an%x00%ae%x00%aI%x00%s%x00")
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
		defer cmd.Wait()
		for c, err := range parseLog(out) {
			if !yield(c, err) || err != nil {
				return
			}
		}
		if err := cmd.Wait(); err != nil && ctx.Err() == nil {
			yield(Commit{}, fmt.Errorf("git log in %s: %w: %s", dir, err, strings.TrimSpace(failure.String())))
		}
	}
}

// parseLog reads what FromGit's command prints: fields ended by NUL, commits
// begun by 0x01; after the five fields of a commit its raw records (":modes
// hashes STATUS", path) and its numstat records ("added\tremoved\tpath").
func parseLog(r io.Reader) iter.Seq2[Commit, error] {
	return func(yield func(Commit, error) bool) {
		in := bufio.NewScanner(r)
		in.Buffer(make([]byte, 0, 1<<16), 1<<20)
		in.Split(splitNul)
		var c *Commit
		field, pendingStatus := 0, ""
		status := map[string]string{}
		for in.Scan() {
			tok := strings.TrimPrefix(in.Text(), "\n")
			switch {
			case strings.HasPrefix(tok, "\x01"):
				if c != nil && !yield(*c, nil) {
					return
				}
				c, field = &Commit{Hash: tok[1:]}, 1
				clear(status)
			case c == nil:
			case field < 5:
				*[]*string{nil, &c.Author, &c.Email, &c.Time, &c.Subject}[field] = tok
				field++
			case pendingStatus != "":
				status[tok], pendingStatus = pendingStatus, ""
			case strings.HasPrefix(tok, ":"):
				pendingStatus = tok[strings.LastIndexByte(tok, ' ')+1:][:1]
			default:
				if added, rest, ok := strings.Cut(tok, "\t"); ok && len(c.Files) < maxFiles {
					removed, path, _ := strings.Cut(rest, "\t")
					a, _ := strconv.Atoi(added) // "-" for a binary file
					d, _ := strconv.Atoi(removed)
					c.Files = append(c.Files, File{Path: path, Added: a, Removed: d, Status: status[path]})
				}
			}
		}
		if c != nil && in.Err() == nil {
			yield(*c, nil)
		} else if in.Err() != nil {
			yield(Commit{}, in.Err())
		}
	}
}

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
		return nil, fmt.Errorf("commit %s: %w", c.Hash, err)
	}
	reason := map[string]any{"text": cut(c.Subject, 1024)}
	if s.CommitURL != "" {
		reason["url"] = fmt.Sprintf(s.CommitURL, c.Hash)
	}
	var list [][]byte
	for i, f := range c.Files {
		action := map[string]string{"A": "create", "D": "delete"}[f.Status]
		if action == "" {
			action = "update"
		}
		b, err := json.Marshal(event{
			ID: fmt.Sprintf("%s.%d", c.Hash[:min(len(c.Hash), 40)], i), OccurredAt: at.UTC().Add(time.Duration(len(c.Files)-i) * time.Microsecond).Format("2006-01-02T15:04:05.000000Z"),
			Action: map[string]any{"type": action}, Actor: map[string]any{"type": "user", "id": c.Email, "email": c.Email, "name": c.Author}, Interface: "CLI",
			Resource: map[string]any{"product": "source", "type": "file", "id": cut(s.Repository+"/"+f.Path, 1024), "name": cut(f.Path, 1024)},
			Reason:   reason, ChangeSet: c.Hash, Metadata: map[string]any{"lines_added": f.Added, "lines_removed": f.Removed, "repository": s.Repository},
		})
		if err != nil {
			return nil, err
		}
		list = append(list, b)
	}
	return list, nil
}

func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
