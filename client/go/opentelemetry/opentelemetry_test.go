package opentelemetry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	hookgate "github.com/hookgate/hookgate/client/go"
	"github.com/hookgate/hookgate/client/go/hookgatetest"
	"github.com/hookgate/hookgate/client/go/opentelemetry"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

const (
	traceID  = "4bf92f3577b34da6a3ce929d0e0e4736"
	senderID = "0af7651916cd43dd8448eb211c80319c"
)

func tracing(t *testing.T) (*tracetest.SpanRecorder, opentelemetry.Option) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	return recorder, opentelemetry.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder)))
}

func event() *hookgate.Event {
	return &hookgate.Event{
		Sequence:          7,
		Type:              "batch.failed",
		Source:            "openai",
		WebhookId:         "wh_7",
		TraceParent:       "00-" + traceID + "-00f067aa0ba902b7-01",
		SenderTraceParent: "00-" + senderID + "-b7ad6b7169203331-01",
	}
}

func only(t *testing.T, recorder *tracetest.SpanRecorder) sdktrace.ReadOnlySpan {
	t.Helper()
	ended := recorder.Ended()
	if len(ended) != 1 {
		t.Fatalf("%d spans have ended, not 1", len(ended))
	}
	return ended[0]
}

func TestASpanIsTheChildOfTheEventAndLinkedToTheSender(t *testing.T) {
	recorder, provider := tracing(t)
	// Whoever receives events may work in a span of its own, which is not what has caused them.
	outer, own := sdktrace.NewTracerProvider().Tracer("mine").Start(t.Context(), "receive")
	defer own.End()
	ctx, span := opentelemetry.Start(outer, event(), provider)
	if got := trace.SpanContextFromContext(ctx).TraceID().String(); got != traceID {
		t.Errorf("the context has the trace %s", got)
	}
	opentelemetry.End(span, nil)
	ended := only(t, recorder)
	if got := ended.Parent().SpanID().String(); got != "00f067aa0ba902b7" {
		t.Errorf("the parent is %s", got)
	}
	if len(ended.Links()) != 1 || ended.Links()[0].SpanContext.TraceID().String() != senderID {
		t.Errorf("the links are %v", ended.Links())
	}
	if ended.SpanKind() != trace.SpanKindConsumer || ended.Name() != "process batch.failed" || ended.Status().Code != codes.Unset {
		t.Errorf("a span %v %q %v", ended.SpanKind(), ended.Name(), ended.Status())
	}
	attributes := attribute.NewSet(ended.Attributes()...)
	for key, want := range map[attribute.Key]string{
		"messaging.system":           "hookgate",
		"messaging.destination.name": "openai",
		"messaging.message.id":       "wh_7",
		"hookgate.event.sequence":    "7",
	} {
		if got, _ := attributes.Value(key); got.Emit() != want {
			t.Errorf("%s is %q, not %q", key, got.Emit(), want)
		}
	}
}

func TestAnEventWithoutTracesBeginsOne(t *testing.T) {
	recorder, provider := tracing(t)
	for _, traceParent := range []string{"", "00-0-0-01", "not one at all"} {
		_, span := opentelemetry.Start(t.Context(), &hookgate.Event{Type: "a", TraceParent: traceParent}, provider)
		span.End()
	}
	for _, ended := range recorder.Ended() {
		if ended.Parent().IsValid() || len(ended.Links()) != 0 {
			t.Errorf("parent %v, links %v", ended.Parent(), ended.Links())
		}
	}
}

func TestWhatAHandlerReturnsIsTold(t *testing.T) {
	lost, lose := context.WithCancelCause(t.Context())
	lose(hookgate.ErrLeaseLost)
	for _, test := range []struct {
		ctx  context.Context
		err  error
		want codes.Code
	}{
		{t.Context(), nil, codes.Unset},
		{t.Context(), errors.New("no such batch"), codes.Error},
		{t.Context(), hookgate.DeadLetter(errors.New("never")), codes.Error},
		{t.Context(), fmt.Errorf("stopping: %w", hookgate.ErrGiveBack), codes.Unset},
		{lost, context.Canceled, codes.Unset},
		{t.Context(), context.Canceled, codes.Error},
	} {
		recorder, provider := tracing(t)
		handle := opentelemetry.Handler(func(context.Context, *hookgate.Delivery) error { return test.err }, provider)
		if err := handle(test.ctx, &hookgate.Delivery{Event: event(), Attempt: 3}); !errors.Is(err, test.err) {
			t.Errorf("%v became %v", test.err, err)
		}
		ended := only(t, recorder)
		if ended.Status().Code != test.want {
			t.Errorf("%v: the status is %v", test.err, ended.Status())
		}
		attributes := attribute.NewSet(ended.Attributes()...)
		if attempt, _ := attributes.Value("hookgate.delivery.attempt"); attempt.AsInt64() != 3 {
			t.Errorf("the attempt is %v", attempt.Emit())
		}
	}
}

func TestAHandlerThatPanicsHasFailed(t *testing.T) {
	recorder, provider := tracing(t)
	handle := opentelemetry.Handler(func(context.Context, *hookgate.Delivery) error { panic("a fault") }, provider)
	func() {
		defer func() { recover() }()
		_ = handle(t.Context(), &hookgate.Delivery{Event: event()})
	}()
	if ended := only(t, recorder); ended.Status().Code != codes.Error {
		t.Errorf("the status is %v", ended.Status())
	}
}

func TestItWorksInConsume(t *testing.T) {
	gateway := hookgatetest.NewGateway(t)
	gateway.Publish(event())
	client, err := hookgate.NewClient(gateway.Target())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.CreateSubscription(t.Context(), "billing", hookgate.FromEarliest(), nil); err != nil {
		t.Fatal(err)
	}
	recorder, provider := tracing(t)
	handle := func(ctx context.Context, delivery *hookgate.Delivery) error {
		if !trace.SpanContextFromContext(ctx).IsValid() {
			t.Error("the handler runs in no span")
		}
		return nil
	}
	if err := client.Consume(t.Context(), "billing", opentelemetry.Handler(handle, provider), hookgate.MaxEvents(1)); err != nil {
		t.Fatal(err)
	}
	only(t, recorder)
}
