// Package opentelemetry opens spans for what is done about events. It is a module of its own, so that the client depends
// on OpenTelemetry only where this is imported:
//
//	err := client.Consume(ctx, "billing", opentelemetry.Handler(handle))
//
//	for event, err := range client.Subscribe(ctx) {
//		...
//		ctx, span := opentelemetry.Start(ctx, event)
//		err = alert(ctx, event)
//		opentelemetry.End(span, err)
//	}
//
// Each span has the kind CONSUMER, is a child of the context that the gateway gave the event (Event.trace_parent), and is
// linked to that of the sender, if it sent one. Without a configured SDK it costs next to nothing.
package opentelemetry

import (
	"context"
	"errors"

	hookgate "github.com/hookgate/hookgate/client/go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Option changes how spans are made.
type Option func(*settings)

type settings struct {
	provider   trace.TracerProvider
	attributes []attribute.KeyValue
}

// WithTracerProvider takes the tracer of provider. Default: the global one, as it is when the span is opened.
func WithTracerProvider(provider trace.TracerProvider) Option {
	return func(s *settings) { s.provider = provider }
}

// WithAttributes adds attributes to each span, such as messaging.consumer.group.name.
func WithAttributes(attributes ...attribute.KeyValue) Option {
	return func(s *settings) { s.attributes = append(s.attributes, attributes...) }
}

// Start opens a span for what is done about event, and returns a context with it. End it with End, or by itself.
func Start(ctx context.Context, event *hookgate.Event, options ...Option) (context.Context, trace.Span) {
	var settings settings
	for _, option := range options {
		option(&settings)
	}
	if settings.provider == nil {
		settings.provider = otel.GetTracerProvider()
	}
	attributes := append([]attribute.KeyValue{
		attribute.String("messaging.system", "hookgate"),
		attribute.String("messaging.operation.type", "process"),
		attribute.String("messaging.destination.name", event.GetSource()),
		attribute.String("messaging.message.id", event.GetWebhookId()),
		attribute.String("hookgate.event.type", event.GetType()),
		attribute.Int64("hookgate.event.sequence", event.GetSequence()),
	}, settings.attributes...)
	start := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attributes...)}
	if sender := remote(event.GetSenderTraceParent(), event.GetSenderTraceState()); sender.IsValid() {
		start = append(start, trace.WithLinks(trace.Link{SpanContext: sender}))
	}
	// The event's context is the parent, and not what the loop that receives events may run in.
	if parent := remote(event.GetTraceParent(), ""); parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	}
	return settings.provider.Tracer("github.com/hookgate/hookgate/client/go").Start(ctx, "process "+event.GetType(), start...)
}

// End ends span. An error is recorded and marks it as failed, but for hookgate.ErrGiveBack, which says nothing of the
// event.
func End(span trace.Span, err error) {
	if err != nil && !errors.Is(err, hookgate.ErrGiveBack) {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// Handler returns a handler of Consume that does what handle does, in a span. A handler that ends because its lease was
// lost has not failed.
func Handler(handle hookgate.Handler, options ...Option) hookgate.Handler {
	return func(ctx context.Context, delivery *hookgate.Delivery) (err error) {
		attempt := WithAttributes(attribute.Int64("hookgate.delivery.attempt", int64(delivery.GetAttempt())))
		ctx, span := Start(ctx, delivery.GetEvent(), append([]Option{attempt}, options...)...)
		returned := false
		defer func() {
			switch {
			case !returned: // A panic, or the end of the goroutine; which of them is told by who sees it.
				span.SetStatus(codes.Error, "the handler did not return")
				span.End()
			case errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), hookgate.ErrLeaseLost):
				span.AddEvent("the lease was lost")
				span.End()
			default:
				End(span, err)
			}
		}()
		err = handle(ctx, delivery)
		returned = true
		return err
	}
}

func remote(traceParent, traceState string) trace.SpanContext {
	carrier := propagation.MapCarrier{"traceparent": traceParent, "tracestate": traceState}
	return trace.SpanContextFromContext(propagation.TraceContext{}.Extract(context.Background(), carrier))
}
