"""A gateway, as an asyncio program sees it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from types import TracebackType

from hookgate.administration import Administration
from hookgate.backoff import Backoff
from hookgate.connection import Connection
from hookgate.consume_options import ConsumeOptions, StopMode, unique_consumer_name
from hookgate.consumer import Consumer, DeliveryHandler
from hookgate.cursor_store import CursorStore
from hookgate.delivery import Delivery
from hookgate.event_stream import EventStream
from hookgate.leases import nack_item
from hookgate.messages import LATEST, Start, duration, event_filter
from hookgate.security import PathText, Security
from hookgate.states import OnState
from hookgate.subscriber import SubscribeOptions, Subscriber
from hookgate.v1 import subscription_service_pb2 as api
from hookgate.verdicts import DeadLetter, Nack


class Client(Administration):
    """A gateway, as an asyncio program sees it.

        async with hookgate.Client("gateway:50051", tls_ca="ca.pem", token_file="token") as client:
            async for event in client.subscribe(types=["batch.failed"]):
                ...

    `target` is HOST:PORT. TLS is used if `tls` is true or one of its files is given: `tls_ca`,
    those who may have signed the gateway's certificate (default: those that the system trusts), and
    `tls_cert` with `tls_key`, the client's own. The token is sent over TLS, or to a loopback
    address, alone. Files are PEM; they and `token_file` are read again, so that all can be replaced
    while the client runs. UsageError if the options do not go together.

    Connects when the first call is made. Belongs to one event loop; any number of its tasks may use
    it. Leaving `async with` stores the positions of streams that are open, gives back what
    consumers have, and closes the connection.
    """

    def __init__(self, target: str, *, tls: bool | None = None, tls_ca: PathText | None = None,
                 tls_cert: PathText | None = None, tls_key: PathText | None = None,
                 token: str | None = None, token_file: PathText | None = None) -> None:
        if tls is None:
            tls = any(file is not None for file in (tls_ca, tls_cert, tls_key))
        self._connection = Connection(Security(target, tls, tls_ca, tls_cert, tls_key, token,
                                               token_file))
        self._name = unique_consumer_name()
        # What aclose() has to close; those that are over are forgotten when the next is added.
        self._open: list[Subscriber | Consumer] = []

    @property
    def target(self) -> str:
        """As given."""
        return self._connection.target

    def subscribe(self, *, sources: Iterable[str] = (), types: Iterable[str] = (),
                  subjects: Iterable[str] = (), start: Start = LATEST,
                  cursors: CursorStore | None = None, heartbeat: float = 15.0,
                  open_timeout: float = 20.0, client_name: str = "",
                  include_raw_body: bool = False, save_interval: float = 1.0,
                  backoff: Backoff = Backoff(), on_state: OnState | None = None) -> EventStream:
        """Events in order, for as long as the loop goes on: see EventStream.

        sources, types, subjects  lists that narrow each other; empty: every event. "batch.*" is
            every type below batch
        start          where to begin when there is no position yet: LATEST, EARLIEST,
            After(cursor), or a datetime: the earliest event received at or after it
        cursors        keeps the position while nobody runs. None: it is forgotten
        heartbeat      the longest silence of a living stream, in seconds, from 0.1 to 600. A stream
            that is silent for 2.5 times as long is dead, and opened again
        open_timeout   how long connecting and opening a stream may take
        client_name    who is asking, for the gateway's logs
        save_interval  the position is stored after each frame of events, and within a long frame
            whenever so many seconds have passed. 0: after each event
        on_state       is told Opened, CaughtUp, Heartbeat, Draining and Disconnected

        The loop ends with an error only if trying again would not help: InvalidRequest,
        CursorOvertaken (also of another log or history), UnknownSource, MissingRight,
        Unauthenticated (unless the token file has another token by now), a CallError with code
        UNIMPLEMENTED or one about a message that is too large; and CursorStoreError, or what
        `on_state` raises. Everything else is tried again for ever, with back-off, from the
        position.
        """
        options = SubscribeOptions(
            start=start, filter=event_filter(sources, types, subjects), cursors=cursors,
            heartbeat=heartbeat, open_timeout=open_timeout, client_name=client_name,
            include_raw_body=include_raw_body, save_interval=save_interval, backoff=backoff,
            on_state=on_state)
        subscriber = Subscriber(self._connection, options)
        self._remember(subscriber)
        return EventStream(subscriber)

    def consumer(self, subscription: str, handler: DeliveryHandler, *,
                 consumer_name: str | None = None, concurrency: int = 1,
                 max_events: int | None = None, longest_lease: float = 3600.0,
                 stop: StopMode = "wait", stop_timeout: float = 30.0,
                 give_back_timeout: float = 10.0, heartbeat: float = 15.0,
                 open_timeout: float = 20.0, include_raw_body: bool = False,
                 backoff: Backoff = Backoff(), on_state: OnState | None = None) -> Consumer:
        """As consume, but for a consumer that can be stopped otherwise than by cancellation."""
        consumer = Consumer(self._connection, ConsumeOptions(
            subscription=subscription, consumer_name=consumer_name or unique_consumer_name(),
            concurrency=concurrency, max_events=max_events, longest_lease=longest_lease, stop=stop,
            stop_timeout=stop_timeout, give_back_timeout=give_back_timeout, heartbeat=heartbeat,
            open_timeout=open_timeout, include_raw_body=include_raw_body, backoff=backoff,
            on_state=on_state), handler)
        self._remember(consumer)
        return consumer

    async def consume(self, subscription: str, handler: DeliveryHandler, *,
                      consumer_name: str | None = None, concurrency: int = 1,
                      max_events: int | None = None, longest_lease: float = 3600.0,
                      stop: StopMode = "wait", stop_timeout: float = 30.0,
                      give_back_timeout: float = 10.0, heartbeat: float = 15.0,
                      open_timeout: float = 20.0, include_raw_body: bool = False,
                      backoff: Backoff = Backoff(), on_state: OnState | None = None) -> None:
        """Hands each event of a durable subscription to `handler`, until cancelled.

        The handler, plain or async, takes a Delivery. That it returns acks the event; an exception
        nacks it, with its text as the reason (so does Nack, which takes a delay); DeadLetter gives
        it up, GiveBack gives it back. While it runs its lease is extended, for `longest_lease`
        seconds at most; it is cancelled when the event may be with others: see Consumer.

        concurrency    how many events are handled at a time; no more than these are taken
        consumer_name  as the gateway shows it; consumers of one name share one limit. None: a name
            that no other process has
        max_events     stops after so many have been begun
        stop           what a cancellation does: "wait" lets handlers finish, for `stop_timeout`
            seconds, and waits until their acks are durable; "give_back" cancels them and gives
            their events back when they have ended, after `give_back_timeout` in any case.
            Neither counts as an attempt. A second cancellation gives back at once
        heartbeat, open_timeout, on_state  as in subscribe

        Raises an error if trying again would not help: SubscriptionNotFound, InvalidRequest,
        MissingRight, Unauthenticated and so on, as subscribe.
        """
        await self.consumer(
            subscription, handler, consumer_name=consumer_name, concurrency=concurrency,
            max_events=max_events, longest_lease=longest_lease, stop=stop,
            stop_timeout=stop_timeout, give_back_timeout=give_back_timeout, heartbeat=heartbeat,
            open_timeout=open_timeout, include_raw_body=include_raw_body, backoff=backoff,
            on_state=on_state).run()

    async def pull(self, subscription: str, max_events: int, *, wait: float = 0.0,
                   consumer_name: str | None = None,
                   include_raw_body: bool = False) -> list[Delivery]:
        """Takes up to `max_events` deliveries at once; waits up to `wait` seconds for the first.

        It may be fewer, and more be there: call again. Settle each before its lease ends, which is
        not extended by itself. The leases belong to `consumer_name` (None: one of this client's
        own).
        """
        request = api.PullRequest(
            subscription=subscription, consumer_name=consumer_name or self._name,
            max_events=max_events, wait=duration(wait, "wait"), include_raw_body=include_raw_body)
        response: api.PullResponse = await self.call(request)
        return [Delivery(delivery) for delivery in response.deliveries]

    async def settle(self, subscription: str, *, ack: Iterable[Delivery | str] = (),
                     nack: Iterable[tuple[Delivery | str, Nack | DeadLetter]] = (),
                     extend: Iterable[tuple[Delivery | str, float | None]] = ()
                     ) -> list[api.AckResult]:
        """Acks, nacks and extends deliveries; returns when that is durable, with a result for each.

        `nack` takes pairs of a delivery (or its id) and Nack(...) or DeadLetter(...); `extend`,
        pairs with the seconds from now at which the lease is to end (None: the ack deadline).
        Results are those of ack, then nack, then extend.
        """
        request = api.AcknowledgeRequest(subscription=subscription)
        request.ack.delivery_ids.extend(_id(delivery) for delivery in ack)
        request.nack.items.extend(nack_item(_id(delivery), verdict) for delivery, verdict in nack)
        for delivery, deadline in extend:
            item = request.extend.items.add(delivery_id=_id(delivery))
            if deadline is not None:
                item.deadline.CopyFrom(duration(deadline, "extend"))
        response: api.AcknowledgeResponse = await self.call(request)
        return list(response.results)

    async def aclose(self) -> None:
        """Closes all streams, and the connection. Nothing can be called afterwards."""
        try:
            await asyncio.gather(*(opened.aclose() for opened in self._open))
        finally:
            self._open.clear()
            await self._connection.close()

    def _remember(self, opened: Subscriber | Consumer) -> None:
        self._open = [other for other in self._open if not other.over]
        self._open.append(opened)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await self.aclose()


def _id(delivery: Delivery | str) -> str:
    return delivery if isinstance(delivery, str) else delivery.delivery_id
