package reference

import (
	"html"
	"html/template"
	"regexp"
	"strings"
)

// The classes of highlighted code are those of the dashboard's JSON: js string, jn
// number, jl literal, jk member; and two of code: cc comment, ck keyword.

const wordsAndNumbers = `\b[A-Za-z_]+\b|\b\d[\d.]*\b`

// tokens split code of the languages of samples and guides: comments, strings, words,
// numbers.
var (
	hashTokens = regexp.MustCompile(`#[^\n]*|"""(?s:.*?)"""|"(?:[^"\\]|\\.)*"|'[^']*'|\$\{?[A-Za-z_]+\}?|` +
		wordsAndNumbers)
	slashTokens = regexp.MustCompile("//[^\\n]*|`[^`]*`|\"(?:[^\"\\\\\\n]|\\\\.)*\"|'(?:[^'\\\\\\n]|\\\\.)*'|" +
		wordsAndNumbers)
	jsonTokens = regexp.MustCompile(`"(?:[^"\\]|\\.)*"(\s*:)?|-?\b\d[\d.eE+-]*\b|\b(?:true|false|null)\b`)
)

var keywords = map[string]map[string]bool{
	"sh":         wordSet("curl for do done if then fi export echo in until while"),
	"go":         wordSet("package import func if err nil return defer var const for range switch case default type struct"),
	"python":     wordSet("import from for in print def return with as if else None True False"),
	"javascript": wordSet("const let await async function if throw new for of import from export return true false null"),
	"sql":        wordSet("SELECT FROM WHERE CREATE DATABASE ROLE USER GRANT ON TO WITH LOGIN PASSWORD OWNER"),
}

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// highlight colours code. Text in a language without rules stays plain.
func highlight(language, text string) template.HTML {
	pattern := hashTokens
	switch language {
	case "json":
		pattern = jsonTokens
	case "go", "javascript":
		pattern = slashTokens
	case "sh", "python", "yaml", "ini", "nginx":
	case "curl":
		language = "sh"
	default:
		return template.HTML(html.EscapeString(text)) //nolint:gosec // escaped
	}
	var b strings.Builder
	end := 0
	for _, at := range pattern.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(html.EscapeString(text[end:at[0]]))
		end = at[1]
		token, rest := text[at[0]:at[1]], ""
		if language == "json" && at[2] >= 0 {
			token, rest = text[at[0]:at[2]], text[at[2]:at[3]]
		}
		if class := tokenClass(language, token, rest != ""); class != "" {
			b.WriteString(`<span class="` + class + `">` + html.EscapeString(token) + `</span>`)
		} else {
			b.WriteString(html.EscapeString(token))
		}
		b.WriteString(rest)
	}
	b.WriteString(html.EscapeString(text[end:]))
	return template.HTML(b.String()) //nolint:gosec // every token is escaped
}

func tokenClass(language, token string, key bool) string {
	switch c := token[0]; {
	case key:
		return "jk"
	case c == '#' || strings.HasPrefix(token, "//"):
		return "cc"
	case c == '"' || c == '\'' || c == '`':
		return "js"
	case c == '$':
		return "jn"
	case c >= '0' && c <= '9' || c == '-':
		return "jn"
	case token == "true" || token == "false" || token == "null":
		return "jl"
	case keywords[language][token]:
		return "ck"
	}
	return ""
}
