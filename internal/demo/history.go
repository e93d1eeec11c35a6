package demo

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed" // the bundled history
	"encoding/json"
	"fmt"
	"iter"
	"net/http"
	"os"
	"path/filepath"
	"slices"

	"github.com/belfryhq/belfry/internal/client"
	"github.com/belfryhq/belfry/internal/history"
)

//go:embed data/history.ndjson.gz
var bundled []byte

// A checkout with a shorter history is not imported.
const (
	minCommits = 200
	minAuthors = 3
	maxCommits = 2000 // the newest ones
)

// importHistory creates an account with the change history of a real project: of the checkout if it is long enough,
// else the bundled one.
func (d *demo) importHistory(ctx context.Context, s *State) (int, error) {
	source, commits := chooseHistory(ctx)
	var account struct{ ID string }
	if err := d.api.JSON(ctx, http.MethodPut, "/accounts/external/demo-history",
		map[string]any{"name": source.Repository}, &account); err != nil {
		return 0, err
	}
	s.History = account.ID
	if err := d.api.JSON(ctx, http.MethodPost, "/accounts/"+account.ID+"/members",
		map[string]any{"email": visitor, "name": visitorIs, "role": "owner"}, nil); err != nil {
		return 0, err
	}
	var lines [][]byte
	for _, c := range slices.Backward(commits) {
		events, err := source.Events(c)
		if err != nil {
			return 0, err
		}
		lines = append(lines, events...)
	}
	for part := range slices.Chunk(lines, 1000) {
		env, err := d.api.Call(ctx, client.Request{Method: http.MethodPost, Path: "/accounts/" + account.ID + "/audit/events",
			ContentType: "application/x-ndjson", Body: bytes.Join(part, []byte("\n"))})
		if err != nil {
			return 0, err
		}
		var sum struct{ Rejected int }
		if err := json.Unmarshal(env.ResultInfo, &sum); err != nil {
			return 0, err
		}
		if sum.Rejected > 0 {
			return 0, fmt.Errorf("the record refused %d changes of the history: %.400s", sum.Rejected, env.Result)
		}
	}
	return len(lines), nil
}

// chooseHistory returns the history of the checkout if it is long enough, else the bundled one.
func chooseHistory(ctx context.Context) (history.Source, []history.Commit) {
	if commits, err := collect(history.FromGit(ctx, ".")); err == nil {
		authors := map[string]bool{}
		for _, c := range commits {
			authors[c.Email] = true
		}
		if len(commits) >= minCommits && len(authors) >= minAuthors {
			name := "this repository"
			if dir, err := os.Getwd(); err == nil {
				name = filepath.Base(dir)
			}
			return history.Source{Repository: name}, commits
		}
	}
	commits, err := bundledHistory()
	if err != nil {
		panic("the bundled history does not read: " + err.Error()) // it is part of the binary, and a test reads it
	}
	return history.Source{Repository: "harfbuzz", CommitURL: "https://github.com/harfbuzz/harfbuzz/commit/%s"}, commits
}

func bundledHistory() ([]history.Commit, error) {
	z, err := gzip.NewReader(bytes.NewReader(bundled))
	if err != nil {
		return nil, err
	}
	return collect(history.FromLines(z))
}

func collect(seq iter.Seq2[history.Commit, error]) ([]history.Commit, error) {
	var list []history.Commit
	for c, err := range seq {
		if err != nil {
			return list, err
		}
		if list = append(list, c); len(list) == maxCommits {
			break
		}
	}
	return list, nil
}
