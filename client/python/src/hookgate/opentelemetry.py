"""OpenTelemetry spans for what is done about an event. Needs the package opentelemetry-api.

    async for event in client.subscribe(...):
        with hookgate.opentelemetry.span(event):
            await alert(event)

    await client.consume("billing", hookgate.opentelemetry.traced(handle))
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from opentelemetry import trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hookgate.delivery import Delivery
from hookgate.v1 import event_pb2
from hookgate.verdicts import GiveBack

_Subject = TypeVar("_Subject", event_pb2.Event, Delivery)
_propagator = TraceContextTextMapPropagator()


@contextmanager
def span(subject: event_pb2.Event | Delivery, tracer: trace.Tracer | None = None) -> Iterator[Any]:
    """A CONSUMER span in the event's own trace (Event.trace_parent), linked to the sender's.

    An exception is recorded and marks it as failed, but for GiveBack. Without a configured SDK it
    costs next to nothing.
    """
    event = subject.event if isinstance(subject, Delivery) else subject
    parent = _propagator.extract({"traceparent": event.trace_parent})
    sender = trace.get_current_span(_propagator.extract({
        "traceparent": event.sender_trace_parent, "tracestate": event.sender_trace_state,
    }, context=trace.set_span_in_context(trace.INVALID_SPAN))).get_span_context()
    attributes: dict[str, str | int] = {
        "messaging.system": "hookgate",
        "messaging.operation.type": "process",
        "messaging.destination.name": event.source,
        "messaging.message.id": event.webhook_id,
        "hookgate.event.type": event.type,
        "hookgate.event.sequence": event.sequence,
    }
    if isinstance(subject, Delivery):
        attributes["hookgate.delivery.attempt"] = subject.attempt
    with (tracer or trace.get_tracer("hookgate")).start_as_current_span(
            f"process {event.type}", context=parent, kind=trace.SpanKind.CONSUMER,
            links=[trace.Link(sender)] if sender.is_valid else [], attributes=attributes,
            record_exception=False, set_status_on_exception=False) as current:
        try:
            yield current
        except GiveBack:
            raise
        except Exception as error:
            current.record_exception(error)
            current.set_status(trace.Status(trace.StatusCode.ERROR, str(error)))
            raise


def traced(handler: Callable[[_Subject], Any | Awaitable[Any]],
           tracer: trace.Tracer | None = None) -> Callable[[_Subject], Awaitable[Any]]:
    """A handler of consume() or EventStream.run() that does the same in a span."""

    @functools.wraps(handler)
    async def handle(subject: _Subject) -> Any:
        with span(subject, tracer):
            result = handler(subject)
            return await result if inspect.isawaitable(result) else result

    return handle
