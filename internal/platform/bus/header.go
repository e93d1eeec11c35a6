package bus

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/propagation"
)

// CloudEvent gives the headers of a CloudEvents 1.0 record in the binary mode
// of its Kafka binding: the payload stays as it is, the attributes are headers.
type CloudEvent struct {
	ID          string
	Source      string // URI reference of who says it
	Type        string // reverse-DNS name of the kind of event
	Time        time.Time
	ContentType string // of the value; empty = application/json
	Subject     string
}

// Headers are the record's headers.
func (e CloudEvent) Headers() []Header {
	list := []Header{
		{"ce_specversion", []byte("1.0")},
		{"ce_id", []byte(e.ID)},
		{"ce_source", []byte(e.Source)},
		{"ce_type", []byte(e.Type)},
	}
	if !e.Time.IsZero() {
		list = append(list, Header{"ce_time", []byte(e.Time.UTC().Format(time.RFC3339Nano))})
	}
	if e.Subject != "" {
		list = append(list, Header{"ce_subject", []byte(e.Subject)})
	}
	if e.ContentType == "" {
		e.ContentType = "application/json"
	}
	return append(list, Header{"content-type", []byte(e.ContentType)})
}

// carrier lets the W3C trace context (traceparent, tracestate) travel in headers.
type carrier struct{ list *[]Header }

func (c carrier) Get(key string) string {
	for _, h := range *c.list {
		if h.Key == key {
			return string(h.Value)
		}
	}
	return ""
}

func (c carrier) Set(key, value string) { *c.list = append(*c.list, Header{key, []byte(value)}) }

func (c carrier) Keys() []string {
	keys := make([]string, len(*c.list))
	for i, h := range *c.list {
		keys[i] = h.Key
	}
	return keys
}

// traced adds the trace of ctx, unless the headers have one. It never changes
// the given slice's array.
func traced(ctx context.Context, headers []Header) []Header {
	if (carrier{&headers}).Get("traceparent") != "" {
		return headers
	}
	headers = headers[:len(headers):len(headers)]
	propagation.TraceContext{}.Inject(ctx, carrier{&headers})
	return headers
}

// trace puts the trace that the headers carry into ctx.
func trace(ctx context.Context, headers []Header) context.Context {
	return propagation.TraceContext{}.Extract(ctx, carrier{&headers})
}
