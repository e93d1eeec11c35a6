package producer

import (
	"slices"
	"strings"

	"github.com/belfryhq/belfry/internal/event"
)

// The rules of the file, part by part, from the root downwards.

func (d *decoder) catalogue(root *node) {
	m, ok := d.mapping(root, "the catalogue", "version", "products")
	if !ok {
		return
	}
	d.file.Version = 1
	if v := m.member("version"); v == nil {
		d.fault(root, "version is missing; this format is version: 1")
	} else if v.kind == text && v.text == "1" {
		d.fault(v, "version must be the number 1: leave out the quotes")
	} else if v.kind != number || v.text != "1" {
		d.fault(v, "version must be the number 1")
	}
	if m.member("products") == nil {
		d.fault(root, "products is missing (an empty list declares nothing)")
	}
	products, alerts, topics := map[string]place{}, map[string]place{}, map[string]place{}
	d.file.Products = []Product{}
	for _, n := range m.list("products", maxProducts) {
		p, ok := d.product(n, alerts, topics)
		if ok {
			d.unique(products, n, "the product", p.Product)
			d.file.Products = append(d.file.Products, p)
		}
	}
	if d.entries > maxEntries {
		d.fault(root, "the file declares %d resources and actions; at most %d are taken", d.entries, maxEntries)
	}
}

func (d *decoder) product(n *node, alerts, topics map[string]place) (p Product, ok bool) {
	m, ok := d.mapping(n, "a product", "product", "title", "description", "category", "resources", "alert_types", "topics")
	if !ok {
		return p, false
	}
	p.Product = m.name("product")
	if strings.EqualFold(p.Product, Reserved) && !d.own {
		d.fault(m.member("product"), "the product %s is Belfry's own", show(p.Product))
	}
	p.Title = m.title(p.Product)
	p.Description = m.text("description", false, maxText)
	p.Category = m.text("category", false, maxTitle)
	types := map[string]place{}
	for _, item := range m.list("resources", maxResources) {
		if r, ok := d.resource(item); ok {
			d.unique(types, item, "the resource type", r.Type)
			p.Resources = append(p.Resources, r)
		}
	}
	for _, item := range m.list("alert_types", maxAlerts) {
		if a, ok := d.alertType(item); ok {
			d.unique(alerts, item, "the alert type", a.Type)
			p.AlertTypes = append(p.AlertTypes, a)
		}
	}
	for _, item := range m.list("topics", maxTopics) {
		if t, ok := d.topic(item); ok {
			d.unique(topics, item, "the topic", t.Topic)
			p.Topics = append(p.Topics, t)
		}
	}
	return p, true
}

func (d *decoder) resource(n *node) (r Resource, ok bool) {
	m, ok := d.mapping(n, "a resource", "type", "title", "actions", "schema", "metadata_schema", "personal", "secret")
	if !ok {
		return r, false
	}
	d.entries++
	r.Type = m.name("type")
	r.Title = m.title(r.Type)
	var values, metadata *schema
	r.Schema, values = m.schema("schema")
	r.MetadataSchema, metadata = m.schema("metadata_schema")
	r.Personal = m.texts("personal", maxPointers, func(s string) string {
		switch {
		case strings.HasPrefix(s, "/") && (!Committable(s) || !escapesValid(s)):
			return show(s) + " cannot be personal: only members below /before, /after and /metadata can, and " + strings.Join(committable, ", ")
		case !strings.HasPrefix(s, "/") && strings.Contains(s, "/"):
			return show(s) + " is neither a name nor a pointer (a pointer begins with /)"
		}
		return ""
	})
	r.Secret = m.texts("secret", maxPointers, func(s string) string {
		switch {
		case strings.HasPrefix(s, "/") && (!open(s) || !escapesValid(s)):
			return show(s) + " cannot be secret: only members below /before, /after and /metadata can"
		case !strings.HasPrefix(s, "/") && strings.Contains(s, "/"):
			return show(s) + " is neither a name nor a pointer (a pointer begins with /)"
		}
		return ""
	})
	secrets := event.ParseFields(r.Secret)
	actions := m.member("actions")
	if actions == nil {
		d.fault(n, "actions is missing: a resource has at least one action")
	} else if actions.kind == array && len(actions.items) == 0 {
		d.fault(actions, "a resource has at least one action")
	}
	types := map[string]place{}
	for _, item := range m.list("actions", maxActions) {
		a, ok := d.action(item, values, metadata, secrets)
		if ok {
			d.unique(types, item, "the action", a.Type)
			r.Actions = append(r.Actions, a)
		}
	}
	return r, true
}

// action reads {type, ...}, or a plain name for an action that needs no more.
func (d *decoder) action(n *node, values, metadata *schema, secrets event.Fields) (a Action, ok bool) {
	d.entries++
	if n.kind == text {
		n = &node{kind: object, keys: []string{"type"}, keyAt: []place{n.place}, items: []*node{n}, pointer: n.pointer, place: n.place}
	}
	m, ok := d.mapping(n, "an action", "type", "title", "sentence", "failure", "view")
	if !ok {
		return a, false
	}
	a.Type = m.name("type")
	a.Title = m.title(a.Type)
	a.Sentence = d.sentence(m, "sentence", values, metadata, secrets)
	a.Failure = d.sentence(m, "failure", values, metadata, secrets)
	a.View = m.flag("view")
	return a, true
}

func (d *decoder) sentence(m mapping, key string, values, metadata *schema, secrets event.Fields) string {
	n := m.member(key)
	if n == nil {
		return ""
	}
	template := m.text(key, false, maxSentence)
	if template == "" {
		return ""
	}
	s, err := ParseSentence(template)
	if err != nil {
		d.fault(n, "%v", err)
		return ""
	}
	for _, hole := range s.Placeholders() {
		path := strings.Split(hole, ".")
		if len(path) < 2 || !slices.Contains(openRoots, path[0]) {
			continue
		}
		of := values
		if path[0] == "metadata" {
			of = metadata
		}
		pointer := ""
		for _, member := range path {
			pointer += "/" + event.EscapeToken(member)
		}
		// A stored catalogue was good by the rules of its time, and stays in force.
		if secrets.Covers(pointer) && !d.stored {
			d.fault(n, "{%s} is declared secret: there would be nothing to show", hole)
		}
		if of.excludes(path[1:]) {
			d.fault(n, "{%s} names a member that the schema does not have", hole)
		}
	}
	return s.String()
}

func (d *decoder) alertType(n *node) (a AlertType, ok bool) {
	m, ok := d.mapping(n, "an alert type", "type", "title", "description", "severities", "filters", "schema", "sample")
	if !ok {
		return a, false
	}
	a.Type = m.name("type")
	if strings.HasPrefix(strings.ToLower(a.Type), ReservedAlerts) && !d.own {
		d.fault(m.member("type"), "alert types that begin with %s are Belfry's own", ReservedAlerts)
	}
	a.Title = m.title(a.Type)
	a.Description = m.text("description", false, maxText)
	a.Severities = m.texts("severities", len(severities), func(s string) string {
		if !slices.Contains(severities, s) {
			return show(s) + " is not a severity; there are " + strings.Join(severities, ", ")
		}
		return ""
	})
	if len(a.Severities) == 0 {
		a.Severities = []string{"critical"}
	}
	slices.SortFunc(a.Severities, func(x, y string) int { return slices.Index(severities, x) - slices.Index(severities, y) })
	keys := map[string]place{}
	for _, item := range m.list("filters", maxFilters) {
		if f, ok := d.filter(item); ok {
			d.unique(keys, item, "the filter", f.Key)
			a.Filters = append(a.Filters, f)
		}
	}
	var payload *schema
	a.Schema, payload = m.schema("schema")
	if sample := m.member("sample"); sample != nil {
		a.Sample = sample.json(nil)
		for _, wrong := range payload.check("/sample", a.Sample, maxAlertSteps, d.afford) {
			d.fault(sample, "%s", wrong.Message)
		}
	}
	return a, true
}

func (d *decoder) filter(n *node) (f Filter, ok bool) {
	m, ok := d.mapping(n, "a filter", "key", "title", "required", "single", "values")
	if !ok {
		return f, false
	}
	f.Key = m.name("key")
	if strings.HasSuffix(f.Key, ".not") {
		d.fault(m.member("key"), "a filter's key must not end in .not: every filter has that already")
	}
	f.Title = m.title(f.Key)
	f.Required, f.Single = m.flag("required"), m.flag("single")
	f.Values = m.texts("values", maxValues, func(string) string { return "" })
	return f, true
}

func (d *decoder) topic(n *node) (t Topic, ok bool) {
	m, ok := d.mapping(n, "a topic", "topic", "title", "description", "key", "schema")
	if !ok {
		return t, false
	}
	t.Topic = m.name("topic")
	switch {
	case strings.HasPrefix(strings.ToLower(t.Topic), ReservedTopics) && !d.own:
		d.fault(m.member("topic"), "topics that begin with %s are Belfry's own", ReservedTopics)
	case strings.Contains(t.Topic, ":"):
		d.fault(m.member("topic"), "a topic's name has only A-Z a-z 0-9 . _ -")
	}
	t.Title = m.title(t.Topic)
	t.Description = m.text("description", false, maxText)
	t.Key = m.text("key", false, maxTitle)
	t.Schema, _ = m.schema("schema")
	return t, true
}
