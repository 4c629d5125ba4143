"""The same for programs without asyncio.

    with hookgate.sync.Client("gateway:50051", tls_ca="ca.pem", token_file="token") as client:
        for event in client.subscribe(start=hookgate.EARLIEST, cursors=store):
            print(event.batch_failed.data.id)

Each Client runs an event loop in a thread of its own, and hookgate.Client in it: see there for what
each call does. Calls block; any number of threads may call. KeyboardInterrupt in a call cancels it,
waits until it has ended in good order, and goes on. Handlers of consume() run in as many threads as
`concurrency` says. Functions given to a call (on_state, cursor stores) run on the loop's thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from hookgate import client as asynchronous
from hookgate import event_stream
from hookgate.delivery import Delivery
from hookgate.errors import UsageError
from hookgate.v1 import event_pb2

_P = ParamSpec("_P")
_R = TypeVar("_R")


class _Loop:
    """An event loop in a thread, until close()."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._closed = False
        self._ended = False
        # It must not keep a program alive that has forgotten to close its client.
        self._thread = threading.Thread(target=self._serve, name="hookgate", daemon=True)
        self._thread.start()

    @property
    def closed(self) -> bool:
        return self._closed

    def run(self, coroutine: Coroutine[Any, Any, _R]) -> _R:
        """The coroutine's result. When it returns or raises, nothing of it runs any more."""
        with self._lock:  # What is begun before close() is ended by it.
            if self._closed:
                coroutine.close()
                raise UsageError("the client is closed")
            begun = _Begun(self._loop, coroutine)
        return begun.wait()

    def _serve(self) -> None:
        while not self._ended:
            try:
                self._loop.run_forever()
            except (KeyboardInterrupt, SystemExit):
                # Of a handler or a callback. It is raised where its call waits, which has a program
                # that it can end; here it would end this thread, and with it every call.
                continue

    def iterate(self, iterator: AsyncIterator[_R]) -> Iterator[_R]:
        async def advance() -> tuple[_R] | None:
            async for value in iterator:
                return (value,)
            return None

        while (found := self.run(advance())) is not None:
            yield found[0]

    def call_soon(self, function: Callable[[], None]) -> None:
        with self._lock:
            if not self._closed:
                self._loop.call_soon_threadsafe(function)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            ending = _Begun(self._loop, self._end())
        try:
            ending.wait()
        finally:
            self._thread.join()
            self._loop.close()

    async def _end(self) -> None:
        """Nothing runs any more, and nobody waits, when this has returned."""
        try:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
            await self._loop.shutdown_default_executor()
        finally:
            self._ended = True
            self._loop.stop()


class _Begun(Generic[_R]):
    """A coroutine that runs on an event loop, and what another thread waits for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, _R]) -> None:
        self._loop = loop
        self._coroutine = coroutine
        self._result: concurrent.futures.Future[_R] = concurrent.futures.Future()
        self._task: asyncio.Task[None] | None = None
        loop.call_soon_threadsafe(self._begin)

    def wait(self) -> _R:
        """KeyboardInterrupt cancels it, and is raised when it has ended."""
        interrupt: KeyboardInterrupt | None = None
        while True:
            try:
                found = self._result.result()
                break
            except KeyboardInterrupt as error:
                if self._result.done() and self._result.exception() is error:
                    raise  # It is what the coroutine has raised.
                interrupt = error
                self._loop.call_soon_threadsafe(self._cancel)
            except asyncio.CancelledError:
                if interrupt is None:
                    raise
                break
        if interrupt is not None:
            raise interrupt
        return found

    def _begin(self) -> None:
        self._task = self._loop.create_task(self._carry_out())
        self._task.add_done_callback(self._on_done)

    async def _carry_out(self) -> None:
        try:
            self._result.set_result(await self._coroutine)
        except BaseException as error:
            self._result.set_exception(error)

    def _on_done(self, _: asyncio.Task[None]) -> None:
        if not self._result.done():  # It was cancelled before it began.
            self._coroutine.close()
            self._result.set_exception(asyncio.CancelledError())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


class EventStream:
    """The events of one subscription: hookgate.EventStream, for a thread at a time.

    A loop that is left by `break` should stand in `with client.subscribe(...) as events`, which
    closes the stream at once.
    """

    def __init__(self, loop: _Loop, stream: event_stream.EventStream) -> None:
        self._loop = loop
        self._stream = stream
        self._subscriber = stream._subscriber
        # At once, whenever the loop's thread gets to hear of it.
        self._stopped = False
        # It came while Ctrl-C was raised here, so that nobody has seen it.
        self._unseen: event_pb2.Event | None = None

    @property
    def cursor(self) -> str:
        """The position: everything up to here is handled."""
        return self._stream.cursor

    def __iter__(self) -> EventStream:
        return self

    def __next__(self) -> event_pb2.Event:
        if self._unseen is not None:
            event, self._unseen = self._unseen, None
            return event
        # Without the loop's thread: to go there and back takes far longer than all else here.
        if not self._stopped:
            for ready in self._subscriber.ready:
                self._subscriber.in_hand = ready
                return ready

        async def advance() -> None:
            async for event in self._stream:
                self._unseen = event
                break

        self._loop.run(advance())
        if self._unseen is None:
            raise StopIteration
        event, self._unseen = self._unseen, None
        return event

    def commit(self) -> None:
        """The event in hand is handled; returns when the position after it is stored."""
        if self._unseen is None:
            self._loop.run(self._stream.commit())
        else:
            self._loop.run(self._subscriber.save())

    def stop(self) -> None:
        """Ends the loop: what it has in hand counts as handled then. For any thread."""
        self._stopped = True
        self._loop.call_soon(self._stream.stop)

    def close(self) -> None:
        """Closes the stream and stores the position. The event in hand counts as not handled."""
        self._loop.run(self._stream.aclose())

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()


def _mirror(method: Callable[Concatenate[asynchronous.Client, _P], Coroutine[Any, Any, _R]]
            ) -> Callable[Concatenate[Client, _P], _R]:
    @functools.wraps(method)
    def call(self: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        return self._loop.run(method(self._client, *args, **kwargs))

    return call


def _mirror_listing(method: Callable[Concatenate[asynchronous.Client, _P], AsyncIterator[_R]]
                    ) -> Callable[Concatenate[Client, _P], Iterator[_R]]:
    @functools.wraps(method)
    def call(self: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> Iterator[_R]:
        return self._loop.iterate(method(self._client, *args, **kwargs))

    return call


def _mirror_stream(method: Callable[Concatenate[asynchronous.Client, _P], event_stream.EventStream]
                   ) -> Callable[Concatenate[Client, _P], EventStream]:
    @functools.wraps(method)
    def call(self: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> EventStream:
        return EventStream(self._loop, method(self._client, *args, **kwargs))

    return call


class Client:
    """hookgate.Client with calls that block. It takes the same arguments."""

    def __init__(self, target: str, **options: Any) -> None:
        self._client = asynchronous.Client(target, **options)
        self._loop = _Loop()

    subscribe = _mirror_stream(asynchronous.Client.subscribe)
    pull = _mirror(asynchronous.Client.pull)
    settle = _mirror(asynchronous.Client.settle)
    call = _mirror(asynchronous.Client.call)
    get_event = _mirror(asynchronous.Client.get_event)
    list_events = _mirror_listing(asynchronous.Client.list_events)
    list_failures = _mirror_listing(asynchronous.Client.list_failures)
    explain = _mirror(asynchronous.Client.explain)
    create_subscription = _mirror(asynchronous.Client.create_subscription)
    get_subscription = _mirror(asynchronous.Client.get_subscription)
    list_subscriptions = _mirror_listing(asynchronous.Client.list_subscriptions)
    update_subscription = _mirror(asynchronous.Client.update_subscription)
    delete_subscription = _mirror(asynchronous.Client.delete_subscription)
    seek_subscription = _mirror(asynchronous.Client.seek_subscription)
    pause_subscription = _mirror(asynchronous.Client.pause_subscription)
    resume_subscription = _mirror(asynchronous.Client.resume_subscription)
    redeliver = _mirror(asynchronous.Client.redeliver)
    list_deliveries = _mirror_listing(asynchronous.Client.list_deliveries)
    list_dead_letters = _mirror_listing(asynchronous.Client.list_dead_letters)
    redrive_dead_letters = _mirror(asynchronous.Client.redrive_dead_letters)
    discard_dead_letters = _mirror(asynchronous.Client.discard_dead_letters)

    def consume(self, subscription: str, handler: Callable[[Delivery], Any], *,
                concurrency: int = 1, **options: Any) -> None:
        """hookgate.Client.consume: blocks until KeyboardInterrupt, `max_events`, or an error.

        A thread cannot be cancelled: a handler whose event is lost goes on, and finds out by
        `Delivery.lost`. What it returns, or raises, counts all the same.
        """
        if inspect.iscoroutinefunction(handler):
            raise UsageError("the handler is a coroutine; use a plain function here")

        def call(delivery: Delivery) -> None:
            try:
                handler(delivery)
            except StopIteration as error:  # No future takes it.
                raise RuntimeError("the handler raised StopIteration") from error

        async def consume() -> None:
            loop = asyncio.get_running_loop()
            with concurrent.futures.ThreadPoolExecutor(concurrency, "hookgate-handler") as pool:

                async def handle(delivery: Delivery) -> None:
                    running = loop.run_in_executor(pool, call, delivery)
                    while not running.done():
                        try:
                            await asyncio.wait({running})
                        except asyncio.CancelledError:
                            continue  # Lost: Delivery.lost tells the thread.
                    running.result()

                await self._client.consume(subscription, handle, concurrency=concurrency, **options)

        self._loop.run(consume())

    def close(self) -> None:
        """Closes all streams, and the connection. Nothing can be called afterwards."""
        if self._loop.closed:
            return
        try:
            self._loop.run(self._client.aclose())
        finally:
            self._loop.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self.close()
