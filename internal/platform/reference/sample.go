package reference

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Sample is the code of a call in one language.
type Sample struct {
	Key   string // of the language, in the reader's choice: "curl"
	Label string
	Text  string
}

// call has all that the code of an operation needs.
type call struct {
	op      *Op
	example Example
}

// samples are the generated ones, in the order of their tabs.
func (c call) samples() []Sample {
	return []Sample{
		{"curl", "curl", c.curl()},
		{"go", "Go", c.golang()},
		{"python", "Python", c.python()},
		{"javascript", "JavaScript", c.javascript()},
	}
}

// path is the path with values for its parameters. account is the placeholder for
// the account, whose id every reader has from elsewhere.
func (c call) path(account string, query bool) string {
	path := c.op.Path
	for name, value := range c.example.Path {
		if name == "account_id" {
			value = account
		} else {
			value = strings.ReplaceAll(url.PathEscape(value), "%2F", "/")
		}
		path = strings.ReplaceAll(path, "{"+name+"}", value)
	}
	if query && len(c.example.Query) > 0 {
		path += "?" + url.Values(c.example.Query).Encode()
	}
	return path
}

// json reports whether the body is JSON that the languages can write as a value.
func (c call) json() bool { return len(c.example.Body) > 0 }

func (c call) text() string {
	text := strings.Join(c.example.Lines, "\n")
	if text != "" && c.example.Type != "application/yaml" {
		text += "\n"
	}
	return text
}

func (c call) curl() string {
	method := ""
	if c.op.Method != "GET" && (c.op.Method != "POST" || c.example.Type == "") {
		method = " -X " + c.op.Method
	}
	flags := ""
	if c.op.Stream {
		flags = " -N"
	}
	lines := []string{"curl" + flags + method + ` "$BELFRY_URL` + c.path("$BELFRY_ACCOUNT", true) + `"`}
	if !c.op.Public {
		lines = append(lines, `-H "Authorization: Bearer $BELFRY_TOKEN"`)
	}
	if c.op.Idempotent {
		lines = append(lines, `-H "Idempotency-Key: $(uuidgen)"`)
	}
	if c.example.Type != "" {
		lines = append(lines, `-H "Content-Type: `+c.example.Type+`"`)
		body, flag := c.example.body(), "-d"
		if !c.json() {
			flag = "--data-binary"
		}
		lines = append(lines, flag+" '"+strings.ReplaceAll(body, "'", `'\''`)+"'")
	}
	return strings.Join(lines, " \\\n  ")
}

func (c call) python() string {
	var b strings.Builder
	b.WriteString("import os\n")
	if c.op.Idempotent {
		b.WriteString("import uuid\n")
	}
	b.WriteString("\nimport requests\n\n")
	b.WriteString("answer = requests." + strings.ToLower(c.op.Method) + "(\n")
	b.WriteString("    os.environ[\"BELFRY_URL\"]" + pythonPath(c.path("\x00", false)) + ",\n")
	b.WriteString(c.pythonHeaders())
	if len(c.example.Query) > 0 {
		b.WriteString("    params={" + joined(sorted(c.example.Query), func(name string) string {
			values := c.example.Query[name]
			if len(values) == 1 {
				return strconv.Quote(name) + ": " + strconv.Quote(values[0])
			}
			return strconv.Quote(name) + ": [" + joined(values, strconv.Quote) + "]"
		}) + "},\n")
	}
	switch {
	case c.json():
		b.WriteString("    json=" + pythonValue(indentMargin(c.example.Body, "    ")) + ",\n")
	case c.example.Type != "":
		b.WriteString("    data=\"\"\"" + strings.ReplaceAll(c.text(), `\`, `\\`) + "\"\"\".encode(),\n")
	}
	if c.op.Stream {
		b.WriteString("    stream=True,\n")
	}
	b.WriteString(")\nanswer.raise_for_status()\n")
	switch {
	case c.op.Stream:
		b.WriteString("for line in answer.iter_lines(decode_unicode=True):\n    print(line)\n")
	case c.op.Result.JSON:
		b.WriteString("print(answer.json()[\"result\"])\n")
	default:
		b.WriteString("print(answer.text)\n")
	}
	return b.String()
}

func (c call) pythonHeaders() string {
	var lines []string
	if !c.op.Public {
		lines = append(lines, `"Authorization": "Bearer " + os.environ["BELFRY_TOKEN"],`)
	}
	if c.op.Idempotent {
		lines = append(lines, `"Idempotency-Key": str(uuid.uuid4()),`)
	}
	if c.example.Type != "" && !c.json() {
		lines = append(lines, `"Content-Type": "`+c.example.Type+`",`)
	}
	if len(lines) == 0 {
		return ""
	}
	return "    headers={\n        " + strings.Join(lines, "\n        ") + "\n    },\n"
}

// pythonPath is the rest of the URL as an expression; NUL stands for the account.
func pythonPath(path string) string {
	before, after, has := strings.Cut(path, "\x00")
	if !has {
		return " + " + strconv.Quote(path)
	}
	expression := " + " + strconv.Quote(before) + " + os.environ[\"BELFRY_ACCOUNT\"]"
	if after != "" {
		expression += " + " + strconv.Quote(after)
	}
	return expression
}

// pythonValue replaces the words of JSON by those of Python, outside of strings.
func pythonValue(text string) string {
	var b strings.Builder
	quoted := false
	for i := 0; i < len(text); i++ {
		rest := text[i:]
		switch {
		case quoted && text[i] == '\\':
			b.WriteString(text[i : i+2])
			i++
			continue
		case text[i] == '"':
			quoted = !quoted
		case !quoted:
			for word, python := range map[string]string{"true": "True", "false": "False", "null": "None"} {
				if strings.HasPrefix(rest, word) {
					b.WriteString(python)
					i += len(word)
					break
				}
			}
		}
		if i < len(text) {
			b.WriteByte(text[i])
		}
	}
	return b.String()
}

func (c call) javascript() string {
	var b strings.Builder
	b.WriteString("const { BELFRY_URL, ")
	account := strings.Contains(c.op.Path, "{account_id}")
	if account {
		b.WriteString("BELFRY_ACCOUNT, ")
	}
	b.WriteString("BELFRY_TOKEN } = process.env;\n")
	b.WriteString("const answer = await fetch(`${BELFRY_URL}" + c.path("${BELFRY_ACCOUNT}", true) + "`, {\n")
	if c.op.Method != "GET" {
		b.WriteString("  method: \"" + c.op.Method + "\",\n")
	}
	var headers []string
	if !c.op.Public {
		headers = append(headers, "Authorization: `Bearer ${BELFRY_TOKEN}`,")
	}
	if c.op.Idempotent {
		headers = append(headers, `"Idempotency-Key": crypto.randomUUID(),`)
	}
	if c.example.Type != "" {
		headers = append(headers, `"Content-Type": "`+c.example.Type+`",`)
	}
	if len(headers) > 0 {
		b.WriteString("  headers: {\n    " + strings.Join(headers, "\n    ") + "\n  },\n")
	}
	switch {
	case c.json():
		b.WriteString("  body: JSON.stringify(" + indentMargin(c.example.Body, "  ") + "),\n")
	case c.example.Type != "":
		b.WriteString("  body: `" + strings.NewReplacer("`", "\\`", "\\", "\\\\", "${", "\\${").Replace(c.text()) + "`,\n")
	}
	b.WriteString("});\n")
	switch {
	case c.op.Stream:
		b.WriteString("for await (const part of answer.body.pipeThrough(new TextDecoderStream())) console.log(part);\n")
	case c.op.Result.JSON:
		b.WriteString("const { success, result, errors } = await answer.json();\n" +
			"if (!success) throw new Error(errors[0].message);\nconsole.log(result);\n")
	default:
		b.WriteString("console.log(answer.status, await answer.text());\n")
	}
	return b.String()
}

func (c call) golang() string {
	imports := []string{"fmt", "io", "log", "net/http", "os"}
	body := "nil"
	var b strings.Builder
	if c.example.Type != "" {
		imports = append(imports, "strings")
		b.WriteString("\tbody := strings.NewReader(" + goString(c.goBody()) + ")\n")
		body = "body"
	}
	if c.op.Idempotent {
		imports = append(imports, "crypto/rand")
	}
	b.WriteString("\treq, err := http.NewRequest(\"" + c.op.Method + "\", os.Getenv(\"BELFRY_URL\")" +
		goPath(c.path("\x00", true)) + ", " + body + ")\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n")
	if !c.op.Public {
		b.WriteString("\treq.Header.Set(\"Authorization\", \"Bearer \"+os.Getenv(\"BELFRY_TOKEN\"))\n")
	}
	if c.op.Idempotent {
		b.WriteString("\treq.Header.Set(\"Idempotency-Key\", rand.Text())\n")
	}
	if c.example.Type != "" {
		b.WriteString("\treq.Header.Set(\"Content-Type\", \"" + c.example.Type + "\")\n")
	}
	b.WriteString("\tanswer, err := http.DefaultClient.Do(req)\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n" +
		"\tdefer answer.Body.Close()\n")
	if c.op.Stream {
		b.WriteString("\tif _, err := io.Copy(os.Stdout, answer.Body); err != nil {\n\t\tlog.Fatal(err)\n\t}\n")
		imports = slices.DeleteFunc(imports, func(name string) bool { return name == "fmt" })
	} else {
		b.WriteString("\ttext, err := io.ReadAll(answer.Body)\n\tif err != nil {\n\t\tlog.Fatal(err)\n\t}\n" +
			"\tfmt.Println(answer.Status, string(text))\n")
	}
	slices.Sort(imports)
	return "package main\n\nimport (\n\t" + list2(imports, "\n\t") + "\n)\n\nfunc main() {\n" + b.String() + "}\n"
}

func (c call) goBody() string {
	if c.json() {
		return c.example.body()
	}
	return c.text()
}

func goPath(path string) string {
	before, after, has := strings.Cut(path, "\x00")
	if !has {
		return "+" + strconv.Quote(path)
	}
	expression := "+" + strconv.Quote(before) + "+os.Getenv(\"BELFRY_ACCOUNT\")"
	if after != "" {
		expression += "+" + strconv.Quote(after)
	}
	return expression
}

// goString is a raw string where the text allows one.
func goString(s string) string {
	if strings.Contains(s, "`") {
		return strconv.Quote(s)
	}
	return "`" + s + "`"
}

func indentMargin(raw json.RawMessage, margin string) string {
	return string(bytes.ReplaceAll([]byte(indent(raw)), []byte("\n"), []byte("\n"+margin)))
}

func sorted(m map[string][]string) []string { return slices.Sorted(maps.Keys(m)) }

func joined(values []string, write func(string) string) string {
	all := make([]string, len(values))
	for i, v := range values {
		all[i] = write(v)
	}
	return strings.Join(all, ", ")
}

func list2(names []string, between string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = strconv.Quote(n)
	}
	return strings.Join(quoted, between)
}
