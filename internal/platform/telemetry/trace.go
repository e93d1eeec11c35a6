package telemetry

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// Tracing makes spans and carries their context over HTTP (W3C Trace Context).
// Spans are exported over OTLP/HTTP when the standard variable
// OTEL_EXPORTER_OTLP_ENDPOINT (or its _TRACES_ form) is set, with the other
// OTEL_ variables as the OpenTelemetry specification has them; otherwise
// nothing is recorded, and a span costs nearly nothing.
type Tracing struct {
	Provider   trace.TracerProvider
	Propagator propagation.TextMapPropagator
	tracer     trace.Tracer
	shutdown   func(context.Context) error
}

// NewTracing makes it from the environment. It starts no goroutine unless
// exporting is configured; [Tracing.Close] ends that one.
func NewTracing(ctx context.Context, version string) (*Tracing, error) {
	if os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "" {
		return TracingOf(noop.NewTracerProvider()), nil
	}
	exporter, err := otlptracehttp.New(ctx)
	if err != nil {
		return nil, fmt.Errorf("OTLP exporter: %w", err)
	}
	// The attributes come first so that OTEL_SERVICE_NAME and
	// OTEL_RESOURCE_ATTRIBUTES win over them.
	res, err := resource.New(ctx, resource.WithAttributes(
		attribute.String("service.name", "belfry"), attribute.String("service.version", version)),
		resource.WithFromEnv(), resource.WithTelemetrySDK())
	if err != nil {
		return nil, fmt.Errorf("OpenTelemetry resource: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(exporter), sdk.WithResource(res))
	t := TracingOf(p)
	t.shutdown = p.Shutdown
	return t, nil
}

// TracingOf uses a provider that the caller owns (tests: an SDK provider with
// a recorder).
func TracingOf(p trace.TracerProvider) *Tracing {
	return &Tracing{
		Provider:   p,
		Propagator: propagation.TraceContext{},
		tracer:     p.Tracer("github.com/belfryhq/belfry"),
		shutdown:   func(context.Context) error { return nil },
	}
}

// Close exports what waits.
func (t *Tracing) Close(ctx context.Context) error { return t.shutdown(ctx) }

// Server begins the span of an incoming request, as a child of the caller's
// (traceparent) when there is one. The returned function ends it with the
// route and status that are known by then.
func (t *Tracing) Server(
	ctx context.Context, h http.Header, method string,
) (context.Context, func(route string, status int)) {
	ctx = t.Propagator.Extract(ctx, propagation.HeaderCarrier(h))
	ctx, span := t.tracer.Start(ctx, method, trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(route string, status int) {
		if span.IsRecording() {
			span.SetName(route)
			span.SetAttributes(attribute.String("http.request.method", method), attribute.String("http.route", route),
				attribute.Int("http.response.status_code", status))
			if status >= 500 {
				span.SetStatus(codes.Error, "")
			}
		}
		span.End()
	}
}

// Span begins an internal span; the returned function ends it and marks it as
// failed when err is not nil.
func (t *Tracing) Span(ctx context.Context, name string) (context.Context, func(err error)) {
	ctx, span := t.tracer.Start(ctx, name)
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

// TraceID is the id of ctx's trace, or "".
func TraceID(ctx context.Context) string {
	if c := trace.SpanContextFromContext(ctx); c.HasTraceID() {
		return c.TraceID().String()
	}
	return ""
}
