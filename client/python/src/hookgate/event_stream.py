"""The events of one subscription, as an asynchronous iterator."""

from __future__ import annotations

import asyncio
import inspect
import itertools
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Union

from hookgate.subscriber import Subscriber
from hookgate.v1 import event_pb2

EventHandler = Callable[[event_pb2.Event], Union[Any, Awaitable[Any]]]


class EventStream:
    """The events of one subscription: made by Client.subscribe, for one task at a time.

        async for event in client.subscribe(start=hookgate.EARLIEST, cursors=store):
            await alert(event)

    The law: the position moves past an event when the loop asks for the next one. So each event is
    handled at least once; those since the last save come again if the process dies, and the one in
    hand if the loop is left by `break`, an exception or a cancellation, unless commit() was called.
    Handlers should be idempotent; (source, webhook_id) is the key.

    Streams break and are opened again without a word in the loop: `on_state` tells. An exception
    comes out of the loop only when trying again would not help: see Client.subscribe.

    A loop that is left closes the stream; `async with` does so before it goes on. Cancelling a task
    that waits for the next event loses nothing: the stream can be asked again, so
    `asyncio.wait_for(anext(stream), 1)` is fine.
    """

    def __init__(self, subscriber: Subscriber) -> None:
        self._subscriber = subscriber
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def cursor(self) -> str:
        """The position: everything up to here is handled. "": the stream has not begun."""
        return self._subscriber.position

    def __aiter__(self) -> EventStream:
        return self

    async def __anext__(self) -> event_pb2.Event:
        subscriber = self._subscriber
        for event in subscriber.ready:
            subscriber.in_hand = event
            return event
        self._loop = asyncio.get_running_loop()
        found = await subscriber.next()
        if found is None:
            raise StopAsyncIteration
        return found

    async def commit(self) -> None:
        """The event in hand is handled; returns when the position after it is stored."""
        await self._subscriber.commit()

    async def run(self, handler: EventHandler) -> None:
        """Calls `handler`, plain or async, with each event, until stop().

        What the handler raises comes out of here, and the event counts as not handled.
        """
        subscriber = self._subscriber
        async with self:
            async for first in self:
                # The others of its frame: a coroutine for each takes longer than all else here.
                ready = subscriber.ready
                for event in itertools.chain((first,), ready):
                    subscriber.in_hand = event
                    result = handler(event)
                    if result is not None and inspect.isawaitable(result):
                        await result
                    if subscriber.ready is not ready:  # stop() was called.
                        break

    def stop(self) -> None:
        """Ends the loop: at once if it waits, otherwise when it asks for the next event.

        What the loop has in hand counts as handled then. Call it from the stream's event loop.
        """
        self._subscriber.stop()

    async def aclose(self) -> None:
        """Closes the stream and stores the position. The event in hand counts as not handled."""
        await self._subscriber.aclose()

    async def __aenter__(self) -> EventStream:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        traceback: TracebackType | None) -> None:
        await self.aclose()

    def __del__(self) -> None:
        # A loop was left: `break` drops the stream.
        loop, subscriber = self._loop, self._subscriber
        if loop is not None and not loop.is_closed() and not subscriber.over:
            loop.call_soon_threadsafe(subscriber.close_soon, loop)
