/**
 * Spans of OpenTelemetry for what is done about events. Needs the package @opentelemetry/api, which nothing else here does:
 *
 *     import { inSpan, traced } from "@hookgate/client/opentelemetry";
 *
 *     await client.consume("billing", traced(handle));
 *
 *     for await (const event of client.subscribe()) await inSpan(event, () => alert(event));
 *
 * Each span has the kind CONSUMER, is a child of the context that the gateway gave the event (`Event.traceParent`), and is
 * linked to that of the sender, if it sent one. Without a configured SDK it costs next to nothing.
 */
import {
  type Attributes,
  context,
  createTraceState,
  isSpanContextValid,
  type Link,
  type Span,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
} from "@opentelemetry/api";
import type { Handler } from "./consumer.js";
import type { Event } from "./gen/hookgate/v1/event_pb.js";
import type { Delivery } from "./gen/hookgate/v1/subscription_service_pb.js";
import { verdictOf } from "./verdict.js";
import { VERSION } from "./version.js";

export interface SpanOptions {
  /** Default: the global provider's, as it is when the span is opened. */
  tracer?: Tracer;
  /** Added to each span, such as messaging.consumer.group.name. */
  attributes?: Attributes;
}

/**
 * Does `work` in a span for `event`, which ends with it. What it throws is recorded and marks the span as failed, but for
 * GiveBack, which says nothing of the event.
 */
export function inSpan<T>(event: Event, work: (span: Span) => Promise<T> | T, options: SpanOptions = {}): Promise<T> {
  return run(event, work, options, () => false);
}

/** A handler of `consume` that does what `handler` does, in a span. One that ends because its lease was lost has not failed. */
export function traced(handler: Handler, options: SpanOptions = {}): Handler {
  return (delivery: Delivery, handling: { signal: AbortSignal }) => {
    const work = async (): Promise<void> => handler(delivery, handling);
    if (delivery.event === undefined) return work();
    const attributes = { "hookgate.delivery.attempt": delivery.attempt, ...options.attributes };
    return run(delivery.event, work, { ...options, attributes }, () => handling.signal.aborted);
  };
}

async function run<T>(
  event: Event,
  work: (span: Span) => Promise<T> | T,
  options: SpanOptions,
  lost: () => boolean,
): Promise<T> {
  const tracer = options.tracer ?? trace.getTracer("@hookgate/client", VERSION);
  const parent = spanContext(event.traceParent, "");
  const sender = spanContext(event.senderTraceParent, event.senderTraceState);
  const links: Link[] = sender === undefined ? [] : [{ context: sender }];
  const attributes: Attributes = {
    "messaging.system": "hookgate",
    "messaging.operation.type": "process",
    "messaging.destination.name": event.source,
    "messaging.message.id": event.webhookId,
    "hookgate.event.type": event.type,
    "hookgate.event.sequence": Number(event.sequence),
    ...options.attributes,
  };
  // The event's context is the parent, and not what the loop that receives events may run in.
  const outer = parent === undefined ? context.active() : trace.setSpanContext(context.active(), parent);
  const span = tracer.startSpan(`process ${event.type}`, { kind: SpanKind.CONSUMER, links, attributes }, outer);
  try {
    return await context.with(trace.setSpan(outer, span), () => work(span));
  } catch (error) {
    const verdict = verdictOf(error, lost());
    if ("reason" in verdict) {
      span.recordException(error instanceof Error ? error : verdict.reason);
      span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : verdict.reason });
    }
    throw error;
  } finally {
    span.end();
  }
}

/** Of W3C's traceparent and tracestate. Undefined: it is none. */
function spanContext(traceParent: string, traceState: string): SpanContext | undefined {
  const found = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:$|-)/.exec(traceParent);
  if (found === null) return undefined;
  const result: SpanContext = {
    traceId: found[1]!,
    spanId: found[2]!,
    traceFlags: Number.parseInt(found[3]!, 16) & 1,
    isRemote: true,
  };
  if (traceState !== "") result.traceState = createTraceState(traceState);
  return isSpanContextValid(result) ? result : undefined;
}
