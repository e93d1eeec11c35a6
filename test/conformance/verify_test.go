package conformance_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/belfryhq/belfry/test/conformance/verifier"
	"github.com/belfryhq/belfry/test/e2e/live"
	"github.com/belfryhq/belfry/test/engines"
)

// A stranger is a verifier that was written from docs/format.md, as a command.
type stranger struct {
	name    string
	command []string
}

// strangers are all that are written in other languages than Belfry's.
func strangers(t *testing.T) []stranger {
	t.Helper()
	engines.Node(t) // which promises a node to run
	return []stranger{
		{"Python", []string{engines.Python(t), "verify/python/verify.py"}},
		{"JavaScript", []string{"node", "verify/node/verify.mjs"}},
	}
}

// run gives what a verifier prints, and whether it accepts. Anything but a verdict, such as
// a stack trace, ends the test.
func (s stranger) run(t *testing.T, arguments ...string) (accepted bool, said string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), s.command[0], append(s.command[1:], arguments...)...).CombinedOutput()
	said = string(out)
	switch {
	case err == nil && strings.HasPrefix(said, "OK: "):
		return true, said
	case err != nil && strings.HasPrefix(said, "FAIL: ") && strings.Count(said, "\n") == 1:
		return false, said
	}
	t.Fatalf("%s: %v\n%s", s.name, err, said)
	return false, said
}

// proofFiles are an honest log: a full export, a range, checkpoints, a bundle, a key.
type proofFiles struct {
	export, ranged, checkpoint, older, bundle []byte
	key                                       string
}

const vectors = "../../sdk/vectors/proof/"

func readVectors(t *testing.T) proofFiles {
	t.Helper()
	read := func(name string) []byte {
		b, err := os.ReadFile(vectors + name)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	return proofFiles{read("export.ndjson"), read("range.ndjson"), read("checkpoint"), read("older-checkpoint"),
		read("bundle.json"), strings.TrimSpace(string(read("key")))}
}

func TestCanonicalJSONIsTheSameInEveryLanguage(t *testing.T) {
	text, err := os.ReadFile(vectors + "canonical.json")
	if err != nil {
		t.Fatal(err)
	}
	var in, want bytes.Buffer
	for _, p := range live.Decode[[]struct{ Text, Canonical string }](t, text) {
		fmt.Fprintln(&in, p.Text)
		fmt.Fprintln(&want, p.Canonical)
	}
	for _, s := range strangers(t) {
		cmd := exec.CommandContext(t.Context(), s.command[0], append(s.command[1:], "--canonical")...)
		cmd.Stdin = bytes.NewReader(in.Bytes())
		if out, err := cmd.Output(); err != nil || !bytes.Equal(out, want.Bytes()) {
			t.Errorf("%s: %v\n%s\nwant\n%s", s.name, err, out, want.Bytes())
		}
		for _, bad := range []string{`{"a":1,"a":1}`, `{"a":1,"\u0061":1}`, `"\ud800"`, "\"\xff\"", `01`, `1.`, `NaN`,
			`[1,]`, `{} {}`, "\"\x01\"", `'a'`, "\ufeff1", strings.Repeat("[", 100_000)} {
			cmd := exec.CommandContext(t.Context(), s.command[0], append(s.command[1:], "--canonical")...)
			cmd.Stdin = strings.NewReader(bad)
			if out, err := cmd.CombinedOutput(); err == nil || !bytes.HasPrefix(out, []byte("FAIL: ")) {
				t.Errorf("%s takes %.60q: %v %s", s.name, bad, err, out)
			}
		}
	}
}

func TestStrangersAcceptWhatIsHonestAndFindEveryAlteration(t *testing.T) {
	f := readVectors(t)
	for _, s := range strangers(t) {
		t.Run(s.name, func(t *testing.T) {
			accept(t, s, f)
			for _, a := range alterations(t, f) {
				if accepted, said := a.by(t, s); accepted {
					t.Errorf("%s: %s", a.name, said)
				}
			}
		})
	}
}

// Belfry's own command and the verifier in Go find the same alterations.
func TestBelfryFindsEveryAlteration(t *testing.T) {
	f := readVectors(t)
	own := stranger{"belfry", []string{binary, "verify"}}
	for _, a := range alterations(t, f) {
		out, err := exec.CommandContext(t.Context(), own.command[0], append(own.command[1:], a.arguments(t)...)...).
			CombinedOutput()
		if err == nil || strings.Contains(string(out), "panic") {
			t.Errorf("%s: %v\n%s", a.name, err, out)
		}
		if a.bundle {
			if verifier.CheckBundle(a.file, a.key) == nil {
				t.Errorf("%s: the verifier in Go accepts it", a.name)
			}
			continue
		}
		checkpoint, err := verifier.OpenCheckpoint(a.checkpoint, a.key)
		if err == nil {
			var older []verifier.Checkpoint
			if a.older != nil {
				c, olderErr := verifier.OpenCheckpoint(a.older, a.key)
				older, err = append(older, c), olderErr
			}
			if err == nil {
				_, err = verifier.CheckExport(bytes.NewReader(a.file), checkpoint, older...)
			}
		}
		if err == nil {
			t.Errorf("%s: the verifier in Go accepts it", a.name)
		}
	}
}

// The guide's program takes full exports only; it neither panics nor says OK to an event
// that is not shown as it was recorded.
func TestTheProgramOfTheGuideFindsEveryAlteration(t *testing.T) {
	f, program := readVectors(t), guideProgram(t)
	run := func(export, checkpoint []byte, key string) (string, error) {
		out, err := exec.CommandContext(t.Context(), program, tempFile(t, export), tempFile(t, checkpoint), key).
			CombinedOutput()
		return string(out), err
	}
	if out, err := run(f.export, f.checkpoint, f.key); err != nil || !strings.HasPrefix(out, "OK: ") {
		t.Fatalf("%v %s", err, out)
	}
	if out, err := run(f.ranged, f.checkpoint, f.key); err == nil || !strings.Contains(out, "full exports only") {
		t.Errorf("a range: %v %s", err, out)
	}
	tried := 0
	for _, a := range alterations(t, f) {
		if a.bundle || a.older != nil {
			continue
		}
		tried++
		if out, err := run(a.file, a.checkpoint, a.key); err == nil || !strings.Contains(out, "FAIL: ") ||
			strings.Contains(out, "goroutine") {
			t.Errorf("%s: %v %s", a.name, err, out)
		}
	}
	if tried < 30 {
		t.Errorf("only %d alterations were tried", tried)
	}
}

// accept lets a verifier check what is honest, also where somebody left an opening out.
func accept(t *testing.T, s stranger, f proofFiles) {
	t.Helper()
	checkpoint := tempFile(t, f.checkpoint)
	older := tempFile(t, f.older)
	for name, arguments := range map[string][]string{
		"a full export": {"--export", tempFile(t, f.export), "--checkpoint", checkpoint, "--key", f.key},
		"with an older checkpoint": {"--export", tempFile(t, f.export), "--checkpoint", checkpoint, "--key", f.key, "--since",
			older},
		"a range":                  {"--export", tempFile(t, f.ranged), "--checkpoint", checkpoint, "--key", f.key},
		"a bundle":                 {"--bundle", tempFile(t, f.bundle), "--key", f.key},
		"past an older checkpoint": {"--export", tempFile(t, f.export), "--checkpoint", older, "--key", f.key},
		"a checkpoint with CRLF": {"--export", tempFile(t, f.export), "--checkpoint",
			tempFile(t, bytes.ReplaceAll(f.checkpoint, []byte("\n"), []byte("\r\n"))), "--key", f.key},
		"a field that is left out": {"--export", tempFile(t, edit(t, f.export, 1, func(line map[string]any) {
			delete(objectAt(line, "openings"), "/actor/email")
			delete(objectAt(line, "event", "actor"), "email")
		})), "--checkpoint", checkpoint, "--key", f.key},
	} {
		if accepted, said := s.run(t, arguments...); !accepted {
			t.Errorf("%s: %s: %s", s.name, name, said)
		}
	}
}

// An alteration is a set of files that no verifier may accept.
type alteration struct {
	name                    string
	bundle                  bool
	file, checkpoint, older []byte
	key                     string
}

func (a alteration) arguments(t *testing.T) []string {
	t.Helper()
	if a.bundle {
		return []string{"--bundle", tempFile(t, a.file), "--key", a.key}
	}
	list := []string{"--export", tempFile(t, a.file), "--checkpoint", tempFile(t, a.checkpoint), "--key", a.key}
	if a.older != nil {
		list = append(list, "--since", tempFile(t, a.older))
	}
	return list
}

func (a alteration) by(t *testing.T, s stranger) (accepted bool, said string) {
	t.Helper()
	return s.run(t, a.arguments(t)...)
}

// alterations are one or more of each kind: of an envelope, of what is shown, of openings,
// of lines, of the header, of checkpoints and keys, of bundles.
func alterations(t *testing.T, f proofFiles) (list []alteration) {
	t.Helper()
	add := func(name string, a alteration) {
		a.name = name
		if a.file == nil {
			a.file = f.export
		}
		if a.checkpoint == nil {
			a.checkpoint = f.checkpoint
		}
		if a.key == "" {
			a.key = f.key
		}
		honest := a.bundle && bytes.Equal(a.file, f.bundle) ||
			!a.bundle && (bytes.Equal(a.file, f.export) || bytes.Equal(a.file, f.ranged))
		if honest && bytes.Equal(a.checkpoint, f.checkpoint) && a.key == f.key && a.older == nil {
			t.Fatalf("%s: nothing was altered", name)
		}
		list = append(list, a)
	}
	export := func(name string, content []byte) { add(name, alteration{file: content}) }
	// Line 1 is event 0, which has every field; line 7 is event 6, of which fields were erased.
	for name, change := range map[string]func(line map[string]any){
		"the envelope of another event": func(l map[string]any) { l["envelope"] = field(t, f.export, 2, "envelope") },
		"a byte of the envelope": func(l map[string]any) {
			l["envelope"] = recoded(t, l["envelope"], `"success"`, `"sucCess"`)
		},
		"a time in the envelope": func(l map[string]any) {
			l["envelope"] = recoded(t, l["envelope"], "10:00:00.", "10:00:01.")
		},
		"base64 in another text": func(l map[string]any) {
			objectAt(l, "openings", "/before")["salt"] = loose(objectAt(l, "openings", "/before")["salt"].(string))
		},
		"base64 with a line break": func(l map[string]any) {
			l["envelope"] = l["envelope"].(string)[:8] + "\n" + l["envelope"].(string)[8:]
		},
		"a shown text":               func(l map[string]any) { objectAt(l, "event", "actor")["name"] = "Eve" },
		"a shown text that is clear": func(l map[string]any) { objectAt(l, "event", "action")["description"] = "x" },
		"a shown time": func(l map[string]any) {
			objectAt(l, "event")["occurred_at"] = "2026-11-22T09:59:59.123457Z"
		},
		"a shown number in other notation": func(l map[string]any) {
			objectAt(l, "event", "after")["z"] = json.Number("1.5")
		},
		"a shown number": func(l map[string]any) {
			objectAt(l, "event", "after")["int"] = json.Number("12345678901234567891")
		},
		"the last digit of a float": func(l map[string]any) { objectAt(l, "event", "after")["tiny"] = json.Number("1e-6") },
		"a shown null": func(l map[string]any) {
			objectAt(l, "event", "after")["Z"].([]any)[0].(map[string]any)["b"] = false
		},
		"a shown member less": func(l map[string]any) { delete(objectAt(l, "event"), "change_set") },
		"a shown member more": func(l map[string]any) { objectAt(l, "event")["note"] = "x" },
		"a shown submitter":   func(l map[string]any) { objectAt(l, "event", "submitted_by")["id"] = "x" },
		"a shown moment of recording": func(l map[string]any) {
			objectAt(l, "event")["recorded_at"] = "2026-11-22T10:00:00.000001Z"
		},
		"a shown account": func(l map[string]any) { objectAt(l, "event")["account"] = strings.Repeat("0", 32) },
		"a shown seq":     func(l map[string]any) { objectAt(l, "event")["seq"] = json.Number("1") },
		"a value with its opening": func(l map[string]any) {
			objectAt(l, "event", "actor")["name"] = "Eve"
			objectAt(l, "openings", "/actor/name")["value"] = "Eve"
		},
		"a number of an opening": func(l map[string]any) {
			objectAt(l, "event", "before")["ttl"] = json.Number("300.0")
			objectAt(l, "openings", "/before", "value")["ttl"] = json.Number("300.0")
		},
		"a salt": func(l map[string]any) {
			objectAt(l, "openings", "/actor/id")["salt"] = objectAt(l, "openings", "/actor/name")["salt"]
		},
		"a short salt":    func(l map[string]any) { objectAt(l, "openings", "/actor/id")["salt"] = "AAAA" },
		"an opening less": func(l map[string]any) { delete(objectAt(l, "openings"), "/actor/name") },
		"an opening of another name": func(l map[string]any) {
			objectAt(l, "openings")["/actor/nick"] = objectAt(l, "openings")["/actor/name"]
		},
		"two openings swapped": func(l map[string]any) {
			o := objectAt(l, "openings")
			o["/actor/id"], o["/actor/name"] = o["/actor/name"], o["/actor/id"]
		},
		"a member of an opening more": func(l map[string]any) { objectAt(l, "openings", "/actor/id")["x"] = 1 },
		"a member of the line more":   func(l map[string]any) { l["x"] = 1 },
		"another seq":                 func(l map[string]any) { l["seq"] = json.Number("1") },
		"seq as a text":               func(l map[string]any) { l["seq"] = "0" },
	} {
		export(name, edit(t, f.export, 1, change))
	}
	export("an erased field that is shown",
		edit(t, f.export, 7, func(l map[string]any) { objectAt(l, "event", "actor")["email"] = "ana@example.com" }))
	export("a name that stands twice",
		bytes.Replace(f.export, []byte(`"event":{"account"`), []byte(`"event":{"account":"","account"`), 1))
	export("an escaped name that stands twice",
		bytes.Replace(f.export, []byte(`"event":{"account"`), []byte(`"event":{"\u0061ccount":"","account"`), 1))
	lines := bytes.SplitAfter(bytes.TrimSuffix(f.export, []byte("\n")), []byte("\n"))
	order := func(name string, numbers ...int) {
		var b []byte
		for _, n := range numbers {
			b = append(append(b, bytes.TrimSuffix(lines[n], []byte("\n"))...), '\n')
		}
		export(name, b)
	}
	all := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	order("the first event missing", slices.Delete(slices.Clone(all), 1, 2)...)
	order("an event missing", slices.Delete(slices.Clone(all), 5, 6)...)
	order("the last event missing", all[:11]...)
	order("an event doubled", slices.Insert(slices.Clone(all), 5, 5)...)
	order("two events swapped", 0, 1, 3, 2, 4, 5, 6, 7, 8, 9, 10, 11)
	order("an event more", append(slices.Clone(all), 11)...)
	order("no header", all[1:]...)
	order("the header alone", 0)
	export("nothing", []byte("\n"))
	export("half a line", f.export[:len(f.export)-40])
	export("a line that is no JSON", append(slices.Clone(f.export), "x\n"...))
	for name, change := range map[string]func(h map[string]any){
		"another account":     func(h map[string]any) { h["account"] = strings.Repeat("0", 32) },
		"another version":     func(h map[string]any) { h["v"] = json.Number("2") },
		"a larger to":         func(h map[string]any) { h["to"], h["size"] = json.Number("12"), json.Number("12") },
		"a smaller size":      func(h map[string]any) { h["to"], h["size"] = json.Number("10"), json.Number("10") },
		"a range upside down": func(h map[string]any) { h["from"] = json.Number("12") },
		"a hash to the left": func(h map[string]any) {
			h["left"] = []any{base64.StdEncoding.EncodeToString(make([]byte, 32))}
		},
		"a hash to the right": func(h map[string]any) {
			h["right"] = []any{base64.StdEncoding.EncodeToString(make([]byte, 32))}
		},
		"a size without end":   func(h map[string]any) { h["size"] = json.Number("99999999999999999999") },
		"a size with a point":  func(h map[string]any) { h["size"] = json.Number("11.0") },
		"hashes that are none": func(h map[string]any) { h["right"] = "x" },
	} {
		export("header: "+name, edit(t, f.export, 0, func(l map[string]any) { change(l["export"].(map[string]any)) }))
	}
	for name, change := range map[string]func(h map[string]any){
		"a hash less":        func(h map[string]any) { h["left"] = h["left"].([]any)[1:] },
		"a changed hash":     func(h map[string]any) { h["right"].([]any)[1] = h["right"].([]any)[0] },
		"hashes swapped":     func(h map[string]any) { slices.Reverse(h["left"].([]any)) },
		"another place":      func(h map[string]any) { h["from"], h["to"] = json.Number("4"), json.Number("7") },
		"another size":       func(h map[string]any) { h["size"] = json.Number("12") },
		"said to be the end": func(h map[string]any) { h["right"], h["size"] = []any{}, json.Number("6") },
	} {
		export("header of a range: "+name,
			edit(t, f.ranged, 0, func(l map[string]any) { change(l["export"].(map[string]any)) }))
	}
	note := string(f.checkpoint)
	for name, changed := range map[string]string{
		"another size":   strings.Replace(note, "\n11\n", "\n10\n", 1),
		"another origin": strings.Replace(note, "belfry", "belfri", 1),
		"another root": strings.Replace(note, strings.Split(note, "\n")[2],
			base64.StdEncoding.EncodeToString(make([]byte, 32)), 1),
		"a line more":  strings.Replace(note, "\n\n", "\nx\n\n", 1),
		"no signature": note[:strings.Index(note, "\n\n")+2],
		"a signature of zeros": note[:strings.LastIndex(note, " ")+1] + base64.StdEncoding.EncodeToString(make([]byte, 68)) +
			"\n",
		"nothing": "\n",
	} {
		add("checkpoint: "+name, alteration{checkpoint: []byte(changed)})
	}
	add("a key with another hash", alteration{key: strings.Replace(f.key, "+", "+0", 1)})
	add("another key", alteration{
		key: "belfry-test+00000000+" + base64.StdEncoding.EncodeToString(append([]byte{1}, make([]byte, 32)...)),
	})
	add("an older checkpoint that is another log's",
		alteration{older: []byte(strings.Replace(string(f.older), "\n5\n", "\n4\n", 1))})
	for name, change := range map[string]func(b map[string]any){
		"a shown text": func(b map[string]any) { objectAt(b, "event", "actor")["name"] = "Eve" },
		"a value with its opening": func(b map[string]any) {
			objectAt(b, "event", "actor")["name"] = "Eve"
			objectAt(b, "openings", "/actor/name")["value"] = "Eve"
		},
		"another seq": func(b map[string]any) { b["seq"] = json.Number("4"); objectAt(b, "event")["seq"] = json.Number("4") },
		"another index": func(b map[string]any) {
			b["proof"] = strings.Replace(b["proof"].(string), "index 3", "index 2", 1)
		},
		"a hash of the proof less": func(b map[string]any) {
			p := strings.SplitN(b["proof"].(string), "\n", 4)
			b["proof"] = strings.Join(slices.Delete(p, 2, 3), "\n")
		},
		"a hash of the proof twice": func(b map[string]any) {
			p := strings.SplitN(b["proof"].(string), "\n", 4)
			b["proof"] = strings.Join(slices.Insert(p, 2, p[2]), "\n")
		},
		"another size": func(b map[string]any) {
			b["proof"] = strings.Replace(b["proof"].(string), "\n11\n", "\n12\n", 1)
		},
		"the envelope of another event":   func(b map[string]any) { b["envelope"] = field(t, f.export, 2, "envelope") },
		"another version":                 func(b map[string]any) { objectAt(b, "bundle")["v"] = json.Number("2") },
		"a member more":                   func(b map[string]any) { b["x"] = 1 },
		"a key that is not the given one": func(b map[string]any) { b["vkey"] = "x" },
	} {
		add("bundle: "+name, alteration{bundle: true, file: edit(t, f.bundle, 0, change)})
	}
	add("bundle: no JSON", alteration{bundle: true, file: []byte("<html>")})
	if len(list) < 70 {
		t.Fatalf("only %d alterations", len(list))
	}
	return list
}

// edit changes one line of a file of JSON lines; numbers stay as they were written.
func edit(t *testing.T, content []byte, line int, change func(map[string]any)) []byte {
	t.Helper()
	lines := bytes.Split(content, []byte("\n"))
	m := decoded(t, lines[line])
	change(m)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(m); err != nil {
		t.Fatal(err)
	}
	lines[line] = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	return bytes.Join(lines, []byte("\n"))
}

func decoded(t *testing.T, line []byte) map[string]any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	var m map[string]any
	if err := d.Decode(&m); err != nil {
		t.Fatal(err)
	}
	return m
}

// objectAt follows names into an object.
func objectAt(m map[string]any, path ...string) map[string]any {
	for _, name := range path {
		m = m[name].(map[string]any)
	}
	return m
}

// field is a text of a line.
func field(t *testing.T, content []byte, line int, name string) string {
	t.Helper()
	return decoded(t, bytes.Split(content, []byte("\n"))[line])[name].(string)
}

// recoded changes what base64 holds.
func recoded(t *testing.T, text any, from, to string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text.(string))
	if err != nil || !bytes.Contains(b, []byte(from)) {
		t.Fatalf("%v: no %q in %s", err, from, b)
	}
	return base64.StdEncoding.EncodeToString(bytes.Replace(b, []byte(from), []byte(to), 1))
}

// loose is the same 32 bytes in another text: two bits of the last character are unused.
func loose(salt string) string { return salt[:42] + string(salt[42]+1) + "=" }

func tempFile(t *testing.T, content []byte) string {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "file")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(content); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return filepath.Clean(f.Name())
}
