"""Questions about the events that a gateway holds."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

from google.protobuf import message

from hookgate.connection import METHODS, Connection
from hookgate.errors import UsageError
from hookgate.messages import event_filter, seconds, timestamp
from hookgate.v1 import event_pb2
from hookgate.v1 import event_service_pb2 as events
from hookgate.v1 import subscription_service_pb2 as subscriptions

CALL_TIMEOUT = 20.0


class Queries:
    """The part of Client that asks about events. Unary calls are made once: an error says whether
    another try may help (CallError.retryable)."""

    _connection: Connection

    async def call(self, request: message.Message, *, timeout: float | None = None) -> Any:
        """Any unary call of the API, by its request: `GetStatusRequest()` asks for the status.

        The services' .proto files are the manual. Returns the response; raises CallError.
        timeout  in seconds. None: 20, and for a PullRequest as long as it waits besides
        """
        method = METHODS.get(type(request))
        if method is None or method.streaming:
            raise UsageError(f"{type(request).__name__} is not the request of a unary call")
        if timeout is None:
            timeout = CALL_TIMEOUT
            if isinstance(request, subscriptions.PullRequest):
                timeout += seconds(request.wait)
        return await self._connection.call(request, timeout)

    async def get_event(self, sequence: int | None = None, *, source: str | None = None,
                        webhook_id: str | None = None,
                        include_raw_body: bool = False) -> event_pb2.Event:
        """One event, by its sequence or by the sender's key (source and webhook_id).

        Raises EventNotFound if it was never stored, or retention has removed it.
        """
        request = events.GetEventRequest(include_raw_body=include_raw_body)
        _set_key(request, sequence, source, webhook_id)
        response: events.GetEventResponse = await self.call(request)
        return response.event

    def list_events(self, *, sources: Iterable[str] = (), types: Iterable[str] = (),
                    subjects: Iterable[str] = (), start: datetime.datetime | None = None,
                    end: datetime.datetime | None = None,
                    order: Literal["newest_first", "oldest_first"] = "newest_first",
                    include_raw_body: bool = False,
                    page_size: int = 0) -> AsyncIterator[event_pb2.Event]:
        """Events by filter and time of receipt, from `start` (inclusive) to `end` (exclusive).

        Pages are fetched as the loop goes on; page_size 0 is the gateway's default.
        """
        if order not in ("newest_first", "oldest_first"):
            raise UsageError(f'order is {order!r}; use "newest_first" or "oldest_first"')
        oldest = order == "oldest_first"
        request = events.ListEventsRequest(
            filter=event_filter(sources, types, subjects), page_size=page_size,
            include_raw_body=include_raw_body,
            order=events.ORDER_OLDEST_FIRST if oldest else events.ORDER_NEWEST_FIRST)
        _set_window(request, start, end)
        return pages(self, request, "events")

    def list_failures(self, *, sources: Iterable[str] = (), types: Iterable[str] = (),
                      subjects: Iterable[str] = (), start: datetime.datetime | None = None,
                      end: datetime.datetime | None = None, include_raw_body: bool = False,
                      page_size: int = 0) -> AsyncIterator[event_pb2.Event]:
        """What failed lately, newest first: by default within 24 h before `end`."""
        request = events.ListRecentFailuresRequest(
            filter=event_filter(sources, types, subjects), page_size=page_size,
            include_raw_body=include_raw_body)
        _set_window(request, start, end)
        return pages(self, request, "events")

    async def explain(self, text: str | None = None, *, sequence: int | None = None,
                      source: str | None = None, webhook_id: str | None = None,
                      subscriptions: Iterable[str] = (),
                      include_raw_body: bool = False) -> events.ExplainEventResponse:
        """All that is known of one event: how it came, where it is for each subscription, and why.

        By what a person has in hand (`text`: "evt_...", a batch's id, a webhook-id), by sequence or
        by the sender's key. An event that is not there is no error: see `absence`.
        """
        request = events.ExplainEventRequest(include_raw_body=include_raw_body,
                                             subscriptions=subscriptions)
        if text is None:
            _set_key(request, sequence, source, webhook_id)
        elif sequence is None and source is None and webhook_id is None:
            request.text = text
        else:
            raise UsageError("explain takes one key: text, sequence, or source and webhook_id")
        response: events.ExplainEventResponse = await self.call(request)
        return response


async def pages(client: Queries, request: Any, field: str) -> AsyncIterator[Any]:
    """The entries of all pages of a listing."""
    while True:
        response = await client.call(request)
        for entry in getattr(response, field):
            yield entry
        if not response.next_page_token:
            return
        request.page_token = response.next_page_token


def _set_key(request: events.GetEventRequest | events.ExplainEventRequest, sequence: int | None,
             source: str | None, webhook_id: str | None) -> None:
    by_webhook = source is not None and webhook_id is not None
    if (sequence is not None) == by_webhook or (source is None) != (webhook_id is None):
        raise UsageError("an event is named by its sequence, or by source and webhook_id")
    if sequence is not None:
        request.sequence = sequence
    else:
        request.webhook.source, request.webhook.webhook_id = source or "", webhook_id or ""


def _set_window(request: events.ListEventsRequest | events.ListRecentFailuresRequest,
                start: datetime.datetime | None, end: datetime.datetime | None) -> None:
    if start is not None:
        request.start_time.CopyFrom(timestamp(start, "start"))
    if end is not None:
        request.end_time.CopyFrom(timestamp(end, "end"))
