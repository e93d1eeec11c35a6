package bus

import (
	"context"

	"go.opentelemetry.io/otel/propagation"
)

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
