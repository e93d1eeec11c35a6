package site

import (
	"html"
	"net/url"
	"regexp"
	"strings"
)

// The pages are made by Belfry's own templates, which always quote attributes:
// regular expressions are enough to read them.
var (
	linkTag   = regexp.MustCompile(`(?s)<a\s([^>]*)>(.*?)</a>`)
	formTag   = regexp.MustCompile(`(?s)<form\s([^>]*)>(.*?)</form>`)
	buttonTag = regexp.MustCompile(`(?s)<button\b[^>]*>(.*?)</button>`)
	control   = regexp.MustCompile(`(?s)<(input)\b([^>]*)>|<(textarea)\b([^>]*)>(.*?)</textarea>|` +
		`<(select)\b([^>]*)>(.*?)</select>`)
	option    = regexp.MustCompile(`<option value="([^"]*)"( selected)?`)
	attribute = regexp.MustCompile(`\s(href|action|method|name|value|type)="([^"]*)"`)
)

// Link is a link of a page.
type Link struct{ Href, Text string }

// LinksOf are the links in a page's HTML.
func LinksOf(body string) (list []Link) {
	for _, m := range linkTag.FindAllStringSubmatch(body, -1) {
		list = append(list, Link{attributesOf(m[1])["href"], textOf(m[2])})
	}
	return list
}

// Form is a form of a page, with the fields as the page shows them.
type Form struct {
	Action string // "" = the page itself
	Post   bool
	Fields url.Values

	body string
}

// FormsOf are the forms in a page's HTML.
func FormsOf(body string) (list []Form) {
	for _, m := range formTag.FindAllStringSubmatch(body, -1) {
		attributes := attributesOf(m[1])
		list = append(list, Form{
			Action: attributes["action"],
			Post:   strings.EqualFold(attributes["method"], "post"),
			Fields: fieldsOf(m[2]),
			body:   m[2],
		})
	}
	return list
}

func (f Form) hasButton(label string) bool {
	for _, m := range buttonTag.FindAllStringSubmatch(f.body, -1) {
		if textOf(m[1]) == label {
			return true
		}
	}
	return false
}

func fieldsOf(body string) url.Values {
	fields := url.Values{}
	for _, m := range control.FindAllStringSubmatch(body, -1) {
		kind := m[1] + m[3] + m[6]
		tag := m[2] + m[4] + m[7]
		content := m[5] + m[8]
		attributes := attributesOf(tag)
		name := attributes["name"]
		switch {
		case name == "":
		case kind == "select" && strings.Contains(tag, " multiple"):
			for _, o := range option.FindAllStringSubmatch(content, -1) {
				if o[2] != "" {
					fields.Add(name, html.UnescapeString(o[1]))
				}
			}
		case kind == "select":
			for _, o := range option.FindAllStringSubmatch(content, -1) {
				if o[2] != "" || !fields.Has(name) {
					fields.Set(name, html.UnescapeString(o[1]))
				}
			}
		case kind == "textarea":
			fields.Add(name, html.UnescapeString(content))
		case (attributes["type"] == "checkbox" || attributes["type"] == "radio") && !strings.Contains(tag, " checked"):
		default:
			fields.Add(name, attributes["value"])
		}
	}
	return fields
}

func attributesOf(tag string) map[string]string {
	all := map[string]string{}
	for _, m := range attribute.FindAllStringSubmatch(" "+tag, -1) {
		all[m[1]] = html.UnescapeString(m[2])
	}
	return all
}

func textOf(body string) string {
	return strings.TrimSpace(html.UnescapeString(invisible.ReplaceAllString(body, " ")))
}
