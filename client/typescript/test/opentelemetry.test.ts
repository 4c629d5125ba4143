import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import { create } from "@bufbuild/protobuf";
import { context, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import { BasicTracerProvider, InMemorySpanExporter, type ReadableSpan, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { EventSchema } from "../src/gen/hookgate/v1/event_pb.js";
import { DeliverySchema } from "../src/gen/hookgate/v1/subscription_service_pb.js";
import { Client, DeadLetter, GiveBack, LeaseLostError } from "../src/index.js";
import { inSpan, traced } from "../src/opentelemetry.js";
import { batchFailed, FakeGateway } from "../src/testing/index.js";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SENDERS = "0af7651916cd43dd8448eb211c80319c";

context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());

function tracing() {
  const exporter = new InMemorySpanExporter();
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const only = (): ReadableSpan => {
    const spans = exporter.getFinishedSpans();
    assert.equal(spans.length, 1);
    return spans[0]!;
  };
  return { tracer: provider.getTracer("test"), exporter, only };
}

const event = () =>
  create(EventSchema, {
    sequence: 7n,
    type: "batch.failed",
    source: "openai",
    webhookId: "wh_7",
    traceParent: `00-${TRACE}-00f067aa0ba902b7-01`,
    senderTraceParent: `00-${SENDERS}-b7ad6b7169203331-01`,
    senderTraceState: "vendor=1",
  });

test("a span is the child of the event and linked to the sender", async () => {
  const { tracer, only } = tracing();
  // Whoever receives events may work in a span of its own, which is not what has caused them.
  const own = tracing().tracer.startSpan("receive");
  const seen = await context.with(trace.setSpan(context.active(), own), () =>
    inSpan(event(), async () => trace.getActiveSpan()?.spanContext().traceId, { tracer }),
  );
  assert.equal(seen, TRACE);
  const span = only();
  assert.equal(span.kind, SpanKind.CONSUMER);
  assert.equal(span.name, "process batch.failed");
  assert.equal(span.parentSpanContext?.spanId, "00f067aa0ba902b7");
  assert.deepEqual(span.links.map((link) => link.context.traceId), [SENDERS]);
  assert.equal(span.links[0]?.context.traceState?.get("vendor"), "1");
  assert.equal(span.attributes["messaging.message.id"], "wh_7");
  assert.equal(span.attributes["hookgate.event.sequence"], 7);
  assert.equal(span.status.code, SpanStatusCode.UNSET);
});

test("an event without traces begins one", async () => {
  const { tracer, exporter } = tracing();
  for (const traceParent of ["", "00-0-0-01", "not one at all", `ff-${TRACE}-00f067aa0ba902b7-01`, `00-${"0".repeat(32)}-00f067aa0ba902b7-01`]) {
    await inSpan(create(EventSchema, { type: "a", traceParent }), () => undefined, { tracer });
  }
  assert.equal(exporter.getFinishedSpans().length, 5);
  for (const span of exporter.getFinishedSpans()) {
    assert.equal(span.parentSpanContext, undefined);
    assert.equal(span.links.length, 0);
  }
});

test("what a handler throws is told", async () => {
  const aborted = AbortSignal.abort(new LeaseLostError());
  const open = new AbortController().signal;
  const cases: [AbortSignal, unknown, SpanStatusCode][] = [
    [open, undefined, SpanStatusCode.UNSET],
    [open, new Error("no such batch"), SpanStatusCode.ERROR],
    [open, new DeadLetter("never"), SpanStatusCode.ERROR],
    [open, "a text", SpanStatusCode.ERROR],
    [open, Object.create(null), SpanStatusCode.ERROR], // Which no text can be made of.
    [open, new GiveBack(), SpanStatusCode.UNSET],
    [aborted, aborted.reason, SpanStatusCode.UNSET],
    [aborted, new Error("all the same"), SpanStatusCode.ERROR],
  ];
  for (const [signal, error, want] of cases) {
    const { tracer, only } = tracing();
    const handler = traced(() => {
      if (error !== undefined) throw error;
    }, { tracer });
    const delivery = create(DeliverySchema, { event: event(), attempt: 3 });
    let thrown: unknown;
    try {
      await handler(delivery, { signal });
    } catch (what) {
      thrown = what;
    }
    assert.equal(thrown, error);
    assert.equal(only().status.code, want, inspect(error));
    assert.equal(only().attributes["hookgate.delivery.attempt"], 3);
  }
});

test("it works in consume", async () => {
  await using gateway = await FakeGateway.start();
  await using client = new Client({ target: gateway.target });
  gateway.publish(batchFailed("batch_1"));
  await client.createSubscription("billing", "earliest");
  const { tracer, only } = tracing();
  let traceId: string | undefined;
  await client.consume("billing", traced(() => void (traceId = trace.getActiveSpan()?.spanContext().traceId), { tracer }), {
    maxEvents: 1,
    signal: AbortSignal.timeout(60_000),
  });
  assert.equal(only().spanContext().traceId, traceId);
});
