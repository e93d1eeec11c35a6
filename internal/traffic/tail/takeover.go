package tail

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/platform/id"
)

// The first version kept a file of positions for each list of logs, a JSON object
// by the digest of the scope and the first line. Its entries know no inode: a
// file is theirs when its content before the position is the same, and it has
// their path, or a name of a rotated file of it, or their path is gone. A range
// that was being sent when that version ended is sent under the key that it had.

// numbered ends the key of a file that begins as another one does.
var numbered = regexp.MustCompile(`-\d+$`)

// readFirstVersion reads a file of the first version.
func readFirstVersion(text []byte) (list []*entry, err error) {
	var old map[string]*entry
	if err := json.Unmarshal(text, &old); err != nil {
		return nil, err
	}
	for _, key := range slices.Sorted(maps.Keys(old)) {
		e := old[key]
		if e == nil {
			continue
		}
		e.ID = id.New()
		e.First = numbered.ReplaceAllString(key, "")
		e.OldScope = e.Scope
		e.Scope = canonicalScope(e.Scope)
		if e.Pending > e.At {
			e.Key = "tail-" + key
		}
		list = append(list, e)
	}
	return list, nil
}

// takeOver reads the state file, and adds the entries of older files. These are
// renamed, so that they are taken once. It runs under the lock of the state file.
// One that a process of the earlier version still uses is left for a later run,
// unless it is about one of the logs of this run.
func (s *state) takeOver(older, logs []string) error {
	var err error
	if s.entries, err = readState(s.file); err != nil {
		return err
	}
	var taken []string
	for _, name := range older {
		if _, err := os.Stat(name); err != nil {
			continue
		}
		lock, err := lockFile(name+".lock", 0)
		if err != nil {
			return err
		}
		list, err := readState(name)
		if err != nil {
			return err
		}
		if lock == nil {
			if slices.ContainsFunc(list, func(e *entry) bool { return slices.Contains(logs, e.Path) }) {
				return fmt.Errorf("a belfry tail of an earlier version still uses the positions in %s; stop it first", name)
			}
			continue
		}
		defer lock.Close()
		s.entries = append(s.entries, list...)
		taken = append(taken, name)
	}
	if !slices.ContainsFunc(s.entries, func(e *entry) bool { return e.OldScope != "" }) {
		return nil
	}
	if err := s.write(); err != nil { // with the ids that the old entries have from here on
		return err
	}
	for _, name := range taken {
		if err := os.Rename(name, strings.TrimSuffix(name, filepath.Ext(name))+".taken"); err != nil {
			return err
		}
		os.Remove(name + ".lock") // nothing reads it any more
	}
	return nil
}

// canonicalScope brings the server's address, the first line of a scope, to one
// form: small letters, no port that the scheme implies.
func canonicalScope(scope string) string {
	address, rest, _ := strings.Cut(scope, "\n")
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return scope
	}
	u.Scheme = strings.ToLower(u.Scheme)
	host := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	port := u.Port()
	if u.Scheme == "http" && port == "80" || u.Scheme == "https" && port == "443" {
		port = ""
	}
	if u.Host = host; strings.Contains(host, ":") {
		u.Host = "[" + host + "]"
	}
	if port != "" {
		u.Host += ":" + port
	}
	u.Path = path.Clean("/" + u.Path)
	return u.String() + "\n" + rest
}
