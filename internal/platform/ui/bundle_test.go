package ui_test

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/belfryhq/belfry/internal/platform/ui"
)

// scripts makes a UI with the scripts of a feature "f".
func scripts(files map[string]string) (*ui.UI, error) {
	extra := fstest.MapFS{}
	for name, text := range files {
		extra[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return ui.New(ui.Options{Extra: map[string]fs.FS{"f": extra}})
}

func TestAModuleIsServedWithAllThatItImports(t *testing.T) {
	u, err := scripts(map[string]string{
		"page.js":  "import { b, Kept } from \"./b.js\";\nimport { a } from \"./a.js\";\nb(a, Kept);\n",
		"b.js":     "import { a } from \"./a.js\";\nexport async function b() { return a; }\nexport class Kept {}\n",
		"a.js":     "export const a = 1;\n",
		"alone.js": "document.title;\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := fetch(t, u, assetURL(t, u, "x/f/page.js")).Body.String()
	want := `// x/f/a.js
const $module0 = (() => {
const a = 1;
return { a };
})();
// x/f/b.js
const $module1 = (() => {
const { a } = $module0;
async function b() { return a; }
class Kept {}
return { b, Kept };
})();
// x/f/page.js
const $module2 = (() => {
const { b, Kept } = $module1;
const { a } = $module0;
b(a, Kept);
return {  };
})();
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if alone := fetch(t, u, assetURL(t, u, "x/f/alone.js")).Body.String(); alone != "document.title;\n" {
		t.Errorf("a module without imports became %q", alone)
	}
	for _, name := range []string{"x/f/a.js", "x/f/b.js", "js/time.js"} {
		if address, err := u.Asset(name); err == nil {
			t.Errorf("%s is an asset of its own: %s", name, address)
		}
	}
}

func TestModulesThatCannotBeBundledAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a default export": {map[string]string{"a.js": "export default 1;\n"}, "only import"},
		"an alias": {map[string]string{
			"a.js": "import { b as c } from \"./b.js\";\n",
			"b.js": "export const b = 1;\n",
		}, "only import"},
		"a dynamic import": {map[string]string{"a.js": "const b = await import(\"./b.js\");\n"}, "only import"},
		"a missing module": {map[string]string{"a.js": "import { b } from \"./b.js\";\n"}, "x/f/b.js, which does not exist"},
		"modules in a ring": {map[string]string{
			"top.js": "import { a } from \"./a.js\";\n",
			"a.js":   "import { b } from \"./b.js\";\nexport const a = 1;\n",
			"b.js":   "import { a } from \"./a.js\";\nexport const b = 1;\n",
		}, "import each other"},
		"another folder's import.meta": {map[string]string{
			"top.js":    "import { a } from \"./deep/a.js\";\n",
			"deep/a.js": "export const a = import.meta.url;\n",
		}, "uses import.meta"},
	} {
		if _, err := scripts(c.files); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
