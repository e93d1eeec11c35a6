package shop

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
)

// setting is one thing that can be set. Numbers have a unit.
type setting struct {
	ID, Name string
	Help     string
	Zone     string // that it is a change of
	Unit     string
	Least    int // of a number
	Most     int
	Default  string
	Text     bool // else a whole number
	MaxText  int  // runes
}

// catalog of the settings; belfry.yaml describes their events.
var catalog = []setting{
	{
		ID:      "payment_timeout",
		Name:    "payment timeout",
		Zone:    CheckoutZone,
		Unit:    "ms",
		Least:   1,
		Most:    60_000,
		Default: "3000",
		Help:    "How long a checkout waits for the payment provider, which mostly answers in 40 to 400 ms.",
	},
	{
		ID:      "free_shipping",
		Name:    "free-shipping threshold",
		Zone:    StorefrontZone,
		Unit:    "EUR",
		Most:    10_000,
		Default: "50",
		Help:    "Orders from this sum on are sent for free.",
	},
	{
		ID:      "checkout_button",
		Name:    "checkout button text",
		Zone:    StorefrontZone,
		Text:    true,
		MaxText: 40,
		Default: "Buy now",
		Help:    "What stands on the button below each product.",
	},
	{
		ID:      "banner",
		Name:    "maintenance banner",
		Zone:    StorefrontZone,
		Text:    true,
		MaxText: 200,
		Help:    "A line above the shop; empty for none.",
	},
}

func settingOf(id string) (setting, bool) {
	for _, s := range catalog {
		if s.ID == id {
			return s, true
		}
	}
	return setting{}, false
}

// parse checks a value; its error names the expected form.
func (s setting) parse(value string) (string, error) {
	if !s.Text {
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if err != nil || n < s.Least || n > s.Most {
			return "", fmt.Errorf("the %s is a whole number of %s, %d to %d", s.Name, s.Unit, s.Least, s.Most)
		}
		return strconv.Itoa(n), nil
	}
	return line("the "+s.Name, value, s.MaxText)
}

// line checks a text of one line.
func line(name, value string, most int) (string, error) {
	value = strings.TrimSpace(value)
	if strings.ContainsFunc(value, unicode.IsControl) || len([]rune(value)) > most ||
		strings.ToValidUTF8(value, "") != value {
		return "", fmt.Errorf("%s has at most %d characters in one line", name, most)
	}
	return value, nil
}

// content is a value as Belfry shows it.
func (s setting) content(value string) map[string]any {
	if s.Text {
		return map[string]any{"value": value}
	}
	return map[string]any{"value": json.Number(value), "unit": s.Unit}
}

// change is one that was made.
type change struct {
	ID      string    `json:"id"` // of the event in the record
	At      time.Time `json:"at"`
	Setting string    `json:"setting"`
	Before  string    `json:"before"`
	After   string    `json:"after"`
	Name    string    `json:"name"`
	Email   string    `json:"email"`
	Reason  string    `json:"reason"`
	Link    string    `json:"link,omitempty"`
	Undoes  string    `json:"undoes,omitempty"` // the change that this one took back
}

// action is the catalogue's word for the change.
func (c change) action() string {
	before, err1 := strconv.Atoi(c.Before)
	after, err2 := strconv.Atoi(c.After)
	if s, _ := settingOf(c.Setting); s.Text || err1 != nil || err2 != nil {
		return "update"
	}
	if after < before {
		return "lower"
	}
	return "raise"
}

// keptChanges is how many changes the page shows; the record has them all.
const keptChanges = 50

// settings are the shop's, in a file.
type settings struct {
	file string

	changing sync.Mutex // one change at a time, over its audit and its write

	mu      sync.RWMutex // guards what follows
	values  map[string]string
	changes []change // the newest first
}

type settingsFile struct {
	Values  map[string]string `json:"values"`
	Changes []change          `json:"changes"`
}

// PastChange is a change of the time before the shop starts, for programs that
// show it with a past. ID is the event's id in Belfry's record.
type PastChange struct {
	ID          string
	At          time.Time
	Setting     string
	Before      string
	After       string
	Name, Email string
	Reason      string
}

// Restore writes the settings that a past leads to, the oldest change first. A
// shop that has settings of its own keeps them.
func Restore(dataDir string, past []PastChange) error {
	file := settingsIn(dataDir)
	if _, err := os.Stat(file); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dataDir, 0o700); err != nil {
		return err
	}
	stored := settingsFile{Values: map[string]string{}}
	for _, p := range past {
		what, ok := settingOf(p.Setting)
		if !ok {
			return fmt.Errorf("the shop has no setting %q", p.Setting)
		}
		now, ok := stored.Values[p.Setting]
		if !ok {
			now = what.Default
		}
		if p.Before != now {
			return fmt.Errorf("change %s: the %s was %q before it, and not %q", p.ID, what.Name, now, p.Before)
		}
		stored.Values[p.Setting] = p.After
		stored.Changes = append([]change{{ID: p.ID, At: p.At, Setting: p.Setting, Before: p.Before, After: p.After,
			Name: p.Name, Email: p.Email, Reason: p.Reason}}, stored.Changes...)
	}
	stored.Changes = stored.Changes[:min(len(stored.Changes), keptChanges)]
	text, err := json.MarshalIndent(stored, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(file, append(text, '\n'))
}

func settingsIn(dataDir string) string { return filepath.Join(dataDir, "settings.json") }

func openSettings(file string) (*settings, error) {
	s := &settings{file: file, values: map[string]string{}}
	var stored settingsFile
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &stored)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("settings: %s: %w", file, err)
	}
	for _, one := range catalog {
		s.values[one.ID] = one.Default
		if v, ok := stored.Values[one.ID]; ok {
			s.values[one.ID] = v
		}
	}
	s.changes = stored.Changes
	return s, nil
}

func (s *settings) value(id string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.values[id]
}

// paymentTimeout is read by every checkout.
func (s *settings) paymentTimeout() time.Duration {
	ms, err := strconv.Atoi(s.value("payment_timeout"))
	if err != nil {
		return 3 * time.Second // a file that was edited by hand
	}
	return time.Duration(ms) * time.Millisecond
}

func (s *settings) history() []change {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return append([]change(nil), s.changes...)
}

// errUnchanged: there was nothing to change.
var errUnchanged = errors.New("that is its value already")

// set makes a change. record is called before anything is changed, and its
// error keeps the setting as it is: no change without its record.
func (s *settings) set(c change, record func(change) error) error {
	s.changing.Lock()
	defer s.changing.Unlock()
	if c.Before = s.value(c.Setting); c.Before == c.After {
		return errUnchanged
	}
	if err := record(c); err != nil {
		return err
	}
	next := settingsFile{Values: map[string]string{}, Changes: append([]change{c}, s.history()...)}
	next.Changes = next.Changes[:min(len(next.Changes), keptChanges)]
	s.mu.RLock()
	for id, v := range s.values {
		next.Values[id] = v
	}
	s.mu.RUnlock()
	next.Values[c.Setting] = c.After
	text, err := json.MarshalIndent(next, "", "  ")
	if err == nil {
		err = writeFile(s.file, append(text, '\n'))
	}
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values = next.Values
	s.changes = next.Changes
	return nil
}

// writeFile replaces a file as a whole; when it returns nil, the content
// survives a loss of power.
func writeFile(name string, data []byte) error {
	tmp := name + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
