"""A gateway for your tests: it works, in memory, on a loopback port of its own.

    with hookgate.testing.FakeGateway() as gateway:
        gateway.add(type="batch.failed", subject="batch_1")
        async with hookgate.Client(gateway.target) as client:
            async for event in client.subscribe(start=hookgate.EARLIEST):
                ...

It keeps the laws that a client can see: order, cursors, filters, leases, attempts, dead letters. It
keeps nothing on disk, knows no principals and no retention, and answers UNIMPLEMENTED to what is
not here; `answer` and `fail` write the rest.
"""

from __future__ import annotations

import fnmatch
import functools
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent import futures
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import grpc
from google.protobuf import message, timestamp_pb2

from hookgate import google_rpc
from hookgate.connection import METHODS
from hookgate.messages import duration, seconds
from hookgate.v1 import admin_service_pb2 as admin
from hookgate.v1 import event_pb2
from hookgate.v1 import event_service_pb2 as events
from hookgate.v1 import subscription_service_pb2 as api

_MOST_STREAMS = 100
_TICK = 0.02  # How often what depends on time alone (leases, back-offs) is looked at, in seconds.


@dataclass(eq=False)
class FakeError(Exception):
    """An error as gateways give it. With reason "" it is one of the way to it."""

    code: grpc.StatusCode
    reason: str = ""
    details: str = "as the test asked for"
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_delay: float = 0.0

    def abort(self, context: Any) -> None:
        if self.reason:
            status = google_rpc.Status(code=self.code.value[0], message=self.details)
            info = google_rpc.ErrorInfo(reason=self.reason, domain="hookgate",
                                        metadata=self.metadata)
            status.details.add().Pack(info)
            if self.retry_delay:
                status.details.add().Pack(google_rpc.RetryInfo(
                    retry_delay={"seconds": int(self.retry_delay),
                                 "nanos": int(self.retry_delay % 1 * 1e9)}))
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),))
        context.abort(self.code, self.details)


@dataclass
class _Entry:
    """An event of a subscription that is neither settled nor dead."""

    attempt: int = 1
    due: float = 0.0
    reason: api.DeliveryReason = api.DELIVERY_REASON_NEW
    nack_reason: str = ""
    delivery_id: str = ""  # Leased, if not "".
    lease_ends: float = 0.0
    stream: object = None


@dataclass
class FakeSubscription:
    """What a test may look at: sequences that were acked, and dead letters with their reasons."""

    settings: api.SubscriptionSettings
    position: int = 0
    acked: list[int] = field(default_factory=list)
    dead_letters: dict[int, str] = field(default_factory=dict)
    _entries: dict[int, _Entry] = field(default_factory=dict)


class FakeGateway:
    """See the module. Thread-safe; serves from `with` on, for programs with and without asyncio."""

    def __init__(self) -> None:
        self.events: list[event_pb2.Event] = []
        self.subscriptions: dict[str, FakeSubscription] = {}
        self.requests: list[message.Message] = []  # All that came, first frames of streams too.
        self.silent = False  # Streams send no heartbeats, as if the network swallowed them.
        self._changed = threading.Condition(threading.RLock())
        self._answers: dict[type[message.Message], Callable[[Any], message.Message]] = {
            events.GetEventRequest: self._get_event, events.ListEventsRequest: self._list_events,
            api.CreateSubscriptionRequest: self._create, api.PullRequest: self._pull,
            api.GetSubscriptionRequest: self._get_subscription,
            api.AcknowledgeRequest: self._acknowledge, admin.GetStatusRequest: _status,
        }
        self._failures: dict[str, deque[FakeError]] = {}
        self._generation = 0  # A stream of an older one ends.
        self._ending: FakeError | float | None = None
        self._deliveries = 0
        self._over = False
        self._server = grpc.server(futures.ThreadPoolExecutor(_MOST_STREAMS))
        for service, handlers in self._handlers().items():
            self._server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, handlers),))
        self.target = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self) -> FakeGateway:
        self._server.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._server.stop(None).wait()

    # --- For the test ---

    def add(self, event: event_pb2.Event | None = None, **fields: Any) -> event_pb2.Event:
        """Stores an event: one of yours, or of these fields. Fills in what a gateway gives it."""
        stored = event_pb2.Event(**fields) if event is None else event
        with self._changed:
            stored.sequence = len(self.events) + 1
            stored.cursor = f"fake-{stored.sequence}"
            stored.source = stored.source or "openai"
            stored.webhook_id = stored.webhook_id or f"wh_{stored.sequence}"
            stored.receive_time.GetCurrentTime()
            self.events.append(stored)
            self._changed.notify_all()
        return stored

    def create_subscription(self, name: str, *, types: Iterable[str] = (), after: int = 0,
                            ack_deadline: float = 30.0, max_attempts: int = 10,
                            backoff: float = 0.0) -> FakeSubscription:
        """A durable subscription that begins after the sequence `after`."""
        made = FakeSubscription(api.SubscriptionSettings(
            filter=event_pb2.EventFilter(types=types), max_attempts=max_attempts,
            ack_deadline=duration(ack_deadline, "ack_deadline"),
            minimum_backoff=duration(backoff, "backoff")), after)
        with self._changed:
            self.subscriptions[name] = made
        return made

    def fail(self, method: str, error: FakeError) -> None:
        """The next call of `method`, such as "GetEvent", fails so; called again, one more does."""
        with self._changed:
            self._failures.setdefault(method, deque()).append(error)

    def answer(self, request: type[message.Message],
               answer: Callable[[Any], message.Message]) -> None:
        """Unary calls with such a request get what `answer` returns; it may raise FakeError."""
        with self._changed:
            self._answers[request] = answer

    def end_streams(self, how: FakeError | float | None = None) -> None:
        """Ends all streams: with an error, by draining (the reconnect delay), or without a word."""
        with self._changed:
            self._generation += 1
            self._ending = how
            self._changed.notify_all()

    def wait_until(self, condition: Callable[[], bool], timeout: float = 10.0) -> None:
        """Blocks until `condition`, about this gateway, holds; AssertionError if it does not."""
        with self._changed:
            until = time.monotonic() + timeout
            while not condition():
                if time.monotonic() >= until:
                    raise AssertionError("the gateway did not get there in time")
                self._changed.wait(_TICK)

    # --- Calls ---

    def _handlers(self) -> dict[str, dict[str, Any]]:
        services: dict[str, dict[str, Any]] = {}
        make: Any
        for request, method in METHODS.items():
            if request is events.SubscribeRequest:
                make = functools.partial(grpc.unary_stream_rpc_method_handler, self._subscribe)
            elif request is api.ConsumeRequest:
                make = functools.partial(grpc.stream_stream_rpc_method_handler, self._consume)
            else:
                make = functools.partial(grpc.unary_unary_rpc_method_handler, self._unary)
            _, service, name = method.path.split("/")
            services.setdefault(service, {})[name] = make(
                request_deserializer=request.FromString,
                response_serializer=method.response.SerializeToString)
        return services

    def _unary(self, request: message.Message, context: Any) -> Any:
        try:
            with self._changed:
                self._begin(request)
                answer = self._answers.get(type(request))
            if answer is None:
                raise FakeError(grpc.StatusCode.UNIMPLEMENTED, details="the fake gateway does not")
            return answer(request)
        except FakeError as error:
            error.abort(context)

    def _begin(self, request: message.Message) -> None:
        self.requests.append(request)
        self._changed.notify_all()
        failures = self._failures.get(METHODS[type(request)].name)
        if failures:
            raise failures.popleft()

    def _get_event(self, request: events.GetEventRequest) -> events.GetEventResponse:
        with self._changed:
            for event in self.events:
                key = request.webhook
                if event.sequence == request.sequence or (
                        request.HasField("webhook") and
                        (event.source, event.webhook_id) == (key.source, key.webhook_id)):
                    return events.GetEventResponse(event=event)
        raise FakeError(grpc.StatusCode.NOT_FOUND, "EVENT_NOT_FOUND", "there is no such event")

    def _list_events(self, request: events.ListEventsRequest) -> events.ListEventsResponse:
        size, skip = request.page_size or 50, int(request.page_token or 0)
        with self._changed:
            found = [event for event in self.events if _admits(request.filter, event)]
        if request.order != events.ORDER_OLDEST_FIRST:
            found.reverse()
        more = str(skip + size) if skip + size < len(found) else ""
        return events.ListEventsResponse(events=found[skip:skip + size], next_page_token=more)

    def _create(self, request: api.CreateSubscriptionRequest) -> api.CreateSubscriptionResponse:
        with self._changed:
            if request.name in self.subscriptions:
                raise FakeError(grpc.StatusCode.ALREADY_EXISTS, "SUBSCRIPTION_EXISTS")
            self.create_subscription(request.name, after=self._place(request.start))
            self.subscriptions[request.name].settings.MergeFrom(request.settings)
        return api.CreateSubscriptionResponse(subscription=self._describe(request.name))

    def _get_subscription(
            self, request: api.GetSubscriptionRequest) -> api.GetSubscriptionResponse:
        return api.GetSubscriptionResponse(subscription=self._describe(request.name))

    def _describe(self, name: str) -> api.Subscription:
        with self._changed:
            found = self._find(name)
            return api.Subscription(name=name, settings=found.settings,
                                    dead_letters=len(found.dead_letters))

    def _pull(self, request: api.PullRequest) -> api.PullResponse:
        until = time.monotonic() + seconds(request.wait)
        with self._changed:
            while True:
                found = self._find(request.subscription)
                taken = self._take(found, request.max_events, None)
                if taken or time.monotonic() >= until or self._over:
                    return api.PullResponse(deliveries=taken)
                self._changed.wait(_TICK)

    def _acknowledge(self, request: api.AcknowledgeRequest) -> api.AcknowledgeResponse:
        with self._changed:
            found = self._find(request.subscription)
            results = [result for frame in (api.ConsumeRequest(ack=request.ack),
                                            api.ConsumeRequest(nack=request.nack),
                                            api.ConsumeRequest(extend=request.extend))
                       for result in self._settle(found, frame)]
        return api.AcknowledgeResponse(results=results)

    # --- Streams ---

    def _subscribe(self, request: events.SubscribeRequest, context: Any) -> Iterator[Any]:
        try:
            with self._changed:
                self._begin(request)
                place, generation = self._place(request), self._generation
            context.add_callback(self._look_again)
            interval = seconds(request.heartbeat_interval) or 15.0
            yield events.SubscribeResponse(opened=events.SubscribeResponse.Opened(
                epoch="fake", cursor=f"fake-{place}", head_sequence=len(self.events),
                heartbeat_interval=duration(interval, "heartbeat")))
            caught_up = False
            while self._live(context, generation):
                frame = events.SubscribeResponse()
                with self._changed:
                    new = self.events[place:place + 256]
                    if not new and caught_up:
                        if self._changed.wait(interval) or self.events[place:] or self.silent:
                            continue
                        frame.heartbeat.cursor = f"fake-{place}"
                place += len(new)
                if new:
                    frame.event_batch.events.extend(e for e in new if _admits(request.filter, e))
                elif not caught_up:
                    caught_up = True
                    frame.caught_up.cursor = f"fake-{place}"
                if not new or frame.event_batch.events:
                    yield frame
            if isinstance(self._ending, (int, float)):
                yield events.SubscribeResponse(draining=events.SubscribeResponse.Draining(
                    cursor=f"fake-{place}", reconnect_delay=duration(self._ending, "delay")))
            self._finish()
        except FakeError as error:
            error.abort(context)

    def _consume(self, requests: Iterator[api.ConsumeRequest], context: Any) -> Iterator[Any]:
        inbox: queue.SimpleQueue[api.ConsumeRequest | None] = queue.SimpleQueue()
        threading.Thread(target=self._receive, args=(requests, inbox), daemon=True).start()
        stream = object()
        found: FakeSubscription | None = None
        closed = False
        try:
            first = inbox.get()
            if first is None or not first.HasField("open"):
                raise FakeError(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST", "no Open")
            with self._changed:
                self._begin(first)
                found, generation = self._find(first.open.subscription), self._generation
            interval = seconds(first.open.heartbeat_interval) or 15.0
            yield api.ConsumeResponse(opened=api.ConsumeResponse.Opened(
                epoch="fake", subscription=first.open.subscription, limits=first.open.limits,
                ack_deadline=found.settings.ack_deadline,
                heartbeat_interval=duration(interval, "heartbeat")))
            sent_at = time.monotonic()
            while self._live(context, generation) and not closed:
                frame = api.ConsumeResponse()
                with self._changed:
                    closed = self._read_inbox(inbox, found, frame)
                    if not frame.HasField("ack_results") and not closed:
                        held = sum(e.stream is stream for e in found._entries.values())
                        most = first.open.limits.max_outstanding_messages
                        frame.deliveries.deliveries.extend(self._take(found, most - held, stream))
                        if not frame.deliveries.deliveries:
                            frame.Clear()
                            self._changed.wait(_TICK)
                            if time.monotonic() - sent_at >= interval and not self.silent:
                                frame.heartbeat.SetInParent()
                if frame.WhichOneof("frame"):
                    sent_at = time.monotonic()
                    yield frame
            if isinstance(self._ending, (int, float)) and not closed:
                yield api.ConsumeResponse(draining=api.ConsumeResponse.Draining(
                    reconnect_delay=duration(self._ending, "delay")))
            if not closed:
                self._finish()
        except FakeError as error:
            error.abort(context)
        finally:
            if found is not None:
                self._give_back(found, stream, closed)

    def _receive(self, requests: Iterator[api.ConsumeRequest], inbox: Any) -> None:
        try:
            for request in requests:
                inbox.put(request)
                self._look_again()
        except Exception:  # gRPC's way to say that the call is over.
            pass
        finally:
            inbox.put(None)
            self._look_again()

    def _read_inbox(self, inbox: Any, found: FakeSubscription, frame: api.ConsumeResponse) -> bool:
        """Whether the client has closed its side."""
        while not inbox.empty():
            request = inbox.get()
            if request is None:
                return True
            frame.ack_results.results.extend(self._settle(found, request))
        return False

    def _look_again(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _live(self, context: Any, generation: int) -> bool:
        return bool(context.is_active()) and not self._over and generation == self._generation

    def _finish(self) -> None:
        if isinstance(self._ending, FakeError):
            raise self._ending
        if isinstance(self._ending, (int, float)):
            raise FakeError(grpc.StatusCode.UNAVAILABLE, "DRAINING", "the gateway goes down")

    # --- The log and its subscriptions; with _changed held ---

    def _place(self, request: events.SubscribeRequest | api.SubscriptionStart) -> int:
        """The sequence after which it begins."""
        if request.WhichOneof("start") == "after_cursor":
            number = request.after_cursor.removeprefix("fake-")
            if not number.isdigit() or int(number) > len(self.events):
                raise FakeError(grpc.StatusCode.FAILED_PRECONDITION, "CURSOR_OF_ANOTHER_LOG",
                                "the cursor is of another log", {"earliest_cursor": "fake-0"})
            return int(number)
        if request.WhichOneof("start") == "start_time":
            return sum(_key(e.receive_time) < _key(request.start_time) for e in self.events)
        return 0 if request.start_position == events.START_POSITION_EARLIEST else len(self.events)

    def _find(self, name: str) -> FakeSubscription:
        found = self.subscriptions.get(name)
        if found is None:
            raise FakeError(grpc.StatusCode.NOT_FOUND, "SUBSCRIPTION_NOT_FOUND",
                            f"there is no subscription {name}")
        return found

    def _take(self, found: FakeSubscription, most: int, stream: object) -> list[api.Delivery]:
        now = time.monotonic()
        for event in self.events[found.position:]:
            if _admits(found.settings.filter, event):
                found._entries[event.sequence] = _Entry()
        found.position = len(self.events)
        for sequence, entry in list(found._entries.items()):
            if entry.delivery_id and now >= entry.lease_ends:
                self._retry(found, sequence, api.DELIVERY_REASON_DEADLINE_PASSED, None)
        taken: list[api.Delivery] = []
        for sequence, entry in found._entries.items():
            if len(taken) >= most:
                break
            if entry.delivery_id or now < entry.due:
                continue
            self._deliveries += 1
            entry.delivery_id, entry.stream = f"fake-{sequence}-{self._deliveries}", stream
            entry.lease_ends = now + seconds(found.settings.ack_deadline)
            taken.append(api.Delivery(
                delivery_id=entry.delivery_id, attempt=entry.attempt, reason=entry.reason,
                nack_reason=entry.nack_reason, event=self.events[sequence - 1]))
        return taken

    def _settle(self, found: FakeSubscription,
                frame: api.ConsumeRequest) -> Iterator[api.AckResult]:
        ids = {entry.delivery_id: sequence for sequence, entry in found._entries.items()}
        items: list[Any] = [*frame.ack.delivery_ids, *frame.nack.items, *frame.extend.items]
        for item in items:
            delivery_id = item if isinstance(item, str) else item.delivery_id
            sequence = ids.get(delivery_id, 0)
            result = api.AckResult.RESULT_OK
            if not sequence:
                result = (api.AckResult.RESULT_ALREADY if isinstance(item, str)
                          else api.AckResult.RESULT_LEASE_LOST)
            elif isinstance(item, str):
                found.acked.append(sequence)
                del found._entries[sequence]
            elif isinstance(item, api.Extend.Item):
                more = seconds(item.deadline) or seconds(found.settings.ack_deadline)
                found._entries[sequence].lease_ends = time.monotonic() + more
            else:
                self._retry(found, sequence, api.DELIVERY_REASON_NACKED, item)
            yield api.AckResult(delivery_id=delivery_id, result=result)
        self._changed.notify_all()

    def _retry(self, found: FakeSubscription, sequence: int, reason: api.DeliveryReason,
               nack: api.Nack.Item | None) -> None:
        entry = found._entries[sequence]
        entry.attempt, entry.reason = entry.attempt + 1, reason
        entry.delivery_id, entry.stream = "", None
        delay = seconds(found.settings.minimum_backoff)
        if nack is not None:
            entry.nack_reason = nack.reason
            delay = seconds(nack.delay) if nack.HasField("delay") else delay
        entry.due = time.monotonic() + delay
        if entry.attempt > found.settings.max_attempts or (nack and nack.dead_letter):
            found.dead_letters[sequence] = entry.nack_reason
            del found._entries[sequence]

    def _give_back(self, found: FakeSubscription, stream: object, closed: bool) -> None:
        """Counts as no attempt, as for a gateway where it happens for the first time."""
        with self._changed:
            for entry in found._entries.values():
                if entry.stream is stream and entry.delivery_id:
                    entry.delivery_id, entry.stream = "", None
                    entry.reason = (api.DELIVERY_REASON_STREAM_ENDED if closed
                                    else api.DELIVERY_REASON_STREAM_LOST)
            self._changed.notify_all()


def _admits(events_filter: event_pb2.EventFilter, event: event_pb2.Event) -> bool:
    patterns = events_filter.types
    return ((not patterns or any(fnmatch.fnmatchcase(event.type, p) for p in patterns)) and
            (not events_filter.sources or event.source in events_filter.sources) and
            (not events_filter.subjects or event.subject in events_filter.subjects))


def _key(time_: timestamp_pb2.Timestamp) -> tuple[int, int]:
    return time_.seconds, time_.nanos


def _status(_: admin.GetStatusRequest) -> admin.GetStatusResponse:
    """What the client looks at before a call with one of these fields: `answer` makes it older."""
    return admin.GetStatusResponse(capabilities=["etag", "preview", "update_mask"])
