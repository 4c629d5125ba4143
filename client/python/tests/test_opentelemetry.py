"""Spans go on with the event's own trace. Skipped where OpenTelemetry's SDK is not installed."""

from __future__ import annotations

import asyncio
import unittest

import hookgate

try:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    import hookgate.opentelemetry
except ImportError:
    raise unittest.SkipTest("opentelemetry-sdk is not installed") from None

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SENDERS = "0af7651916cd43dd8448eb211c80319c"


class OpenTelemetryTest(unittest.TestCase):

    def setUp(self) -> None:
        self.spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self.spans))
        self.tracer = provider.get_tracer("test")
        self.event = hookgate.Event(
            sequence=7, type="batch.failed", trace_parent=f"00-{TRACE}-00f067aa0ba902b7-01",
            sender_trace_parent=f"00-{SENDERS}-b7ad6b7169203331-01")

    def test_a_span_is_the_child_of_the_event_and_linked_to_the_sender(self):
        with hookgate.opentelemetry.span(self.event, self.tracer):
            pass
        (span,) = self.spans.get_finished_spans()
        self.assertEqual(f"{span.context.trace_id:032x}", TRACE)
        self.assertEqual([f"{link.context.trace_id:032x}" for link in span.links], [SENDERS])
        self.assertEqual(span.attributes["hookgate.event.sequence"], 7)

    def test_an_event_without_traces_begins_one(self):
        with hookgate.opentelemetry.span(hookgate.Event(type="a"), self.tracer):
            pass
        (span,) = self.spans.get_finished_spans()
        self.assertIsNone(span.parent)
        self.assertFalse(span.links)

    def test_a_traced_handler_tells_its_error(self):
        async def handle(event: hookgate.Event) -> None:
            raise LookupError("no such batch")

        with self.assertRaises(LookupError):
            asyncio.run(hookgate.opentelemetry.traced(handle, self.tracer)(self.event))
        (span,) = self.spans.get_finished_spans()
        self.assertEqual(span.status.description, "no such batch")


if __name__ == "__main__":
    unittest.main()
