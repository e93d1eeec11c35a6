package producer

import "encoding/json"

// Catalogue is what one team's file declares: its products with the resources
// and actions that the record may hold of them, its types of alerts and its
// topics. The zero values of titles are filled from the names.
type Catalogue struct {
	Version  int       `json:"version" doc:"Of the file's format: 1"`
	Products []Product `json:"products"`
}

// Product is one product, which belongs to one team of the installation.
type Product struct {
	Product     string      `json:"product" doc:"The name in events: resource.product"`
	Title       string      `json:"title"`
	Description string      `json:"description,omitempty"`
	Category    string      `json:"category,omitempty" doc:"product_category of the compatible API; the product's title when left out"`
	Resources   []Resource  `json:"resources,omitempty"`
	AlertTypes  []AlertType `json:"alert_types,omitempty"`
	Topics      []Topic     `json:"topics,omitempty"`
}

// Resource is a type of thing that is changed.
type Resource struct {
	Type           string   `json:"type" doc:"The name in events: resource.type"`
	Title          string   `json:"title"`
	Actions        []Action `json:"actions"`
	Schema         Raw      `json:"schema,omitempty" doc:"JSON Schema 2020-12 of before and after"`
	MetadataSchema Raw      `json:"metadata_schema,omitempty" doc:"JSON Schema 2020-12 of metadata"`
	Personal       []string `json:"personal,omitempty" doc:"Fields that are committed with a salt of their own, so that they can be erased. A name holds for every member of that name in before, after and metadata, at any depth and in any letter case; a pointer goes through lists"`
	Secret         []string `json:"secret,omitempty" doc:"Pointers or names, as in personal, whose values never reach the record"`
}

// Action is something that is done to a resource.
type Action struct {
	Type     string `json:"type" doc:"The name in events: action.type"`
	Title    string `json:"title"`
	Sentence string `json:"sentence,omitempty" doc:"How the action is said: {actor} renamed {resource} to {after.name}"`
	Failure  string `json:"failure,omitempty" doc:"How it is said when it failed"`
	View     bool   `json:"view,omitempty" doc:"Nothing is changed, something is looked at: hidden by default"`
}

// AlertType is a kind of alert that the product sends.
type AlertType struct {
	Type        string   `json:"type" doc:"The name in alerts and policies: one of its kind in the installation"`
	Title       string   `json:"title"`
	Description string   `json:"description,omitempty"`
	Severities  []string `json:"severities" doc:"Of info, warning, error, critical; mild to severe"`
	Filters     []Filter `json:"filters,omitempty"`
	Schema      Raw      `json:"schema,omitempty" doc:"JSON Schema 2020-12 of the alert's data"`
	Sample      Raw      `json:"sample,omitempty" doc:"Data of an example, for previews and tests"`
}

// Filter is a key by which policies narrow an alert type.
type Filter struct {
	Key      string   `json:"key"`
	Title    string   `json:"title"`
	Required bool     `json:"required,omitempty" doc:"Every policy has at least one value"`
	Single   bool     `json:"single,omitempty" doc:"A policy has at most one value"`
	Values   []string `json:"values,omitempty" doc:"The values that there are; empty = any"`
}

// Topic is a topic of the bus that the product owns.
type Topic struct {
	Topic       string `json:"topic"`
	Title       string `json:"title"`
	Description string `json:"description,omitempty"`
	Key         string `json:"key,omitempty" doc:"What the record's key is, and so what is kept in order"`
	Schema      Raw    `json:"schema,omitempty" doc:"JSON Schema 2020-12 of the value"`
}

// Raw is a JSON value as the file has it, in compact form.
type Raw = json.RawMessage

// Limits of one file.
const (
	MaxFile      = 1 << 20 // bytes
	maxProducts  = 100
	maxResources = 500    // of a product
	maxActions   = 500    // of a resource
	maxEntries   = 10_000 // resources and actions of a file
	maxSchemas   = 1_000  // of a file
	maxAlerts    = 500    // alert types of a product
	maxTopics    = 200
	maxFilters   = 20
	maxValues    = 200 // of a filter
	maxPointers  = 100 // of personal or secret, as written
	maxName      = 128 // bytes, as in events
	maxTitle     = 200 // characters
	maxText      = 2000
	maxFaults    = 50
)

// Reserved is the product of Belfry's own changes; names of alert types that
// begin with ReservedAlerts and of topics with ReservedTopics are its own too.
const (
	Reserved       = "belfry"
	ReservedAlerts = "belfry_"
	ReservedTopics = "belfry."
)

var severities = []string{"info", "warning", "error", "critical"}
