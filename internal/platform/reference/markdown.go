package reference

import (
	"fmt"
	"strings"
)

// markdown is the page of an operation as Markdown.
func (op *Op) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n`%s %s`\n\n", op.Summary, op.Method, op.Path)
	if op.Description != "" {
		b.WriteString(op.Description + "\n\n")
	}
	b.WriteString("Access: " + op.Access)
	if op.Permission != "" {
		b.WriteString(" `" + op.Permission + "`.")
	}
	b.WriteString("\n")
	for _, part := range []struct {
		title  string
		fields []Field
	}{{"Path parameters", op.PathParams}, {"Query parameters", op.QueryParams}, {"Headers", op.HeaderParams}} {
		if len(part.fields) > 0 {
			b.WriteString("\n## " + part.title + "\n\n")
			writeFields(&b, part.fields, "")
		}
	}
	for _, body := range op.Bodies {
		b.WriteString("\n## Body: " + body.Type + "\n\n")
		if body.Kind != "" {
			b.WriteString("Type: " + body.Kind + "\n\n")
		}
		writeFields(&b, body.Fields, "")
	}
	fmt.Fprintf(&b, "\n## Result: %d, %s\n\n", op.Result.Status, op.Result.Type)
	if op.Result.JSON {
		b.WriteString("In the member `result` of the envelope")
		if op.Result.Kind != "" {
			b.WriteString(": " + op.Result.Kind)
		}
		b.WriteString("\n\n")
	}
	writeFields(&b, op.Result.Fields, "")
	if len(op.Info) > 0 {
		b.WriteString("\nIn `result_info`:\n\n")
		writeFields(&b, op.Info, "")
	}
	b.WriteString("\n## Errors\n\n")
	for _, e := range op.Errors {
		fmt.Fprintf(&b, "- [%d](/docs/errors/%d.md) (HTTP %d): %s\n", e.Code, e.Code, e.Status, e.Title)
	}
	if !op.HasExample {
		return b.String()
	}
	b.WriteString("\n## Example\n\n" + fence("sh", op.Samples[0].Text) + "\nAnswer:\n\n")
	language := ""
	if op.Result.JSON {
		language = "json"
	}
	b.WriteString(fence(language, op.Response))
	return b.String()
}

func fence(language, text string) string {
	return "```" + language + "\n" + strings.TrimRight(text, "\n") + "\n```\n"
}

func writeFields(b *strings.Builder, list []Field, margin string) {
	for _, f := range list {
		fmt.Fprintf(b, "%s- `%s` (%s", margin, f.Name, f.Type)
		if f.Required {
			b.WriteString(", required")
		}
		for _, l := range f.Limits {
			b.WriteString(", " + l)
		}
		if f.Default != "" {
			b.WriteString(", default " + f.Default)
		}
		b.WriteString(")")
		if len(f.Values) > 0 {
			b.WriteString(", one of `" + strings.Join(f.Values, "`, `") + "`")
		}
		if f.Doc != "" {
			b.WriteString(": " + f.Doc)
		}
		b.WriteString("\n")
		writeFields(b, f.Fields, margin+"  ")
	}
}

func (g *group) markdown() string {
	var b strings.Builder
	b.WriteString("# " + g.Title + "\n\n")
	if g.About != "" {
		b.WriteString(g.About + "\n\n")
	}
	for _, op := range g.Ops {
		fmt.Fprintf(&b, "- [%s](%s.md): `%s %s`\n", op.Summary, op.Href, op.Method, op.Path)
	}
	return b.String()
}

func (s *site) errorsMarkdown() string {
	var b strings.Builder
	b.WriteString("# Error codes\n\n| code | HTTP status | title |\n|---|---|---|\n")
	for _, e := range s.errors {
		fmt.Fprintf(&b, "| [%d](%s.md) | %d | %s |\n", e.Code, e.Href(), e.Status, e.Title)
	}
	return b.String()
}

func (e errorPage) markdown() string {
	retry := "The same request will not succeed unchanged."
	if e.Retry {
		retry = "The same request may succeed later."
	}
	return fmt.Sprintf("# %d: %s\n\nHTTP status %d. %s\n\n## What happened\n\n%s\n\n## What to do\n\n%s\n",
		e.Code, e.Title, e.Status, retry, e.Meaning, e.Remedy)
}

func (s *site) homeMarkdown() string {
	var b strings.Builder
	b.WriteString("# Belfry\n\nThe guides and the API reference of this server. /llms.txt lists the pages.\n\n" +
		"## Guides\n\n")
	for _, g := range s.guides {
		fmt.Fprintf(&b, "- [%s](%s.md): %s\n", g.Title, g.Href(), g.About)
	}
	b.WriteString("\n## API reference\n\n")
	for _, g := range s.groups {
		fmt.Fprintf(&b, "- [%s](%s.md): %s\n", g.Title, g.Href, g.About)
	}
	b.WriteString("- [Error codes](/docs/errors.md)\n")
	return b.String()
}

// llms is /llms.txt (llmstxt.org): every page as a link to its Markdown.
func (s *site) llms() string {
	var b strings.Builder
	b.WriteString("# Belfry\n\n> Belfry runs the audit log, notifications, error budgets and accounts of a service. " +
		"This server's API follows the conventions of the Cloudflare API v4.\n\n" +
		"Every answer is the envelope {success, errors, messages, result, result_info}. Requests carry " +
		"`Authorization: Bearer TOKEN`. The OpenAPI 3.1 document is at " + s.url + "/openapi.json.\n\n## Guides\n\n")
	for _, g := range s.guides {
		fmt.Fprintf(&b, "- [%s](%s%s.md): %s\n", g.Title, s.url, g.Href(), g.About)
	}
	for _, g := range s.groups {
		fmt.Fprintf(&b, "\n## API: %s\n\n- [%s](%s%s.md): %s\n", g.Title, g.Title, s.url, g.Href, g.About)
		for _, op := range g.Ops {
			fmt.Fprintf(&b, "- [%s](%s%s.md): %s %s\n", op.Summary, s.url, op.Href, op.Method, op.Path)
		}
	}
	fmt.Fprintf(&b, "\n## Errors\n\n- [All codes](%s/docs/errors.md)\n", s.url)
	for _, e := range s.errors {
		fmt.Fprintf(&b, "- [%d](%s%s.md): %s\n", e.Code, s.url, e.Href(), e.Title)
	}
	return b.String()
}
