"""Receives a gateway's events, in order, over any number of broken streams."""

from __future__ import annotations

import asyncio
import bisect
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from hookgate import states
from hookgate.backoff import Backoff, Reconnects, StreamEnd
from hookgate.connection import Connection
from hookgate.cursor_store import CursorStore
from hookgate.errors import CallError, CursorStoreError, HookgateError, UsageError
from hookgate.frame_reader import INTERVALS_UNTIL_DEAD, FrameReader
from hookgate.messages import End, Start, duration, seconds, set_start
from hookgate.v1 import event_pb2
from hookgate.v1 import event_service_pb2 as events


@dataclass(frozen=True)
class SubscribeOptions:
    """See Client.subscribe. Durations are in seconds."""

    start: Start = End.LATEST
    filter: event_pb2.EventFilter = field(default_factory=event_pb2.EventFilter)
    cursors: CursorStore | None = None
    heartbeat: float = 15.0
    open_timeout: float = 20.0
    client_name: str = ""
    include_raw_body: bool = False
    save_interval: float = 1.0
    backoff: Backoff = Backoff()
    on_state: states.OnState | None = None

    def request(self) -> events.SubscribeRequest:
        """The request, but for the position. UsageError if something in it cannot be right."""
        request = events.SubscribeRequest(
            filter=self.filter, client_name=self.client_name,
            heartbeat_interval=duration(self.heartbeat, "heartbeat"),
            include_raw_body=self.include_raw_body)
        set_start(request, self.start)
        if not self.open_timeout > 0 or not self.save_interval >= 0:
            raise UsageError("open_timeout takes seconds above 0, save_interval 0 or more")
        return request


class Subscriber:
    """What an EventStream is a handle of: the position, and the stream that is open, if any.

    Runs only while somebody waits in next(), but for aclose(): what the application does not ask
    for stays in the connection, and so holds back the gateway.
    """

    def __init__(self, connection: Connection, options: SubscribeOptions) -> None:
        self._connection = connection
        self._options = options
        self._request = options.request()
        self._reconnects = Reconnects(options.backoff)
        self._reader: FrameReader | None = None
        self._token: str | None = None  # That its call showed.
        self._end = StreamEnd()  # Of the stream that is open.
        self._not_before = 0.0  # By the loop's clock: no stream is opened earlier.
        self._patience = options.open_timeout
        self._heartbeat = options.heartbeat
        # The events of the frame that was read last, and those that were not handed out.
        self._batch: list[event_pb2.Event] = []
        self._pending: Iterator[event_pb2.Event] = iter(())
        # Those of them that next() would return at once. Who takes one says so in the field below,
        # as EventStream does, and no more: all else that is done for each event would be felt.
        self.ready: Iterator[event_pb2.Event] = iter(())
        self.in_hand: event_pb2.Event | None = None
        self._position = ""
        self._saved = ""
        self._saved_at = 0.0
        self._loaded = False
        self._storing: asyncio.Future[None] | None = None
        self._stop: asyncio.Future[None] | None = None
        self._stopping = False
        self._over = False
        self._error: BaseException | None = None
        self._busy = False
        self._closing: asyncio.Task[None] | None = None

    @property
    def position(self) -> str:
        """Everything up to here is handled. "": begin at options.start."""
        if self.in_hand is not None:  # Those of its frame that came before it are handled.
            at = bisect.bisect_left(self._batch, self.in_hand.sequence, key=_sequence)
            if at > 0:
                self._end.useful = True
                self._move_to(self._batch[at - 1].cursor)
        return self._position

    @property
    def over(self) -> bool:
        return self._over

    async def next(self) -> event_pb2.Event | None:
        """The next event; what was handed out before is handled. None after stop() or aclose()."""
        if self._busy:
            raise RuntimeError("another task waits for the next event of this stream already")
        self._busy = True
        self.ready = iter(())
        try:
            return await self._next()
        except asyncio.CancelledError:
            raise  # Goes on with the next call.
        except BaseException as error:
            self._error = self._error or error
            with contextlib.suppress(CursorStoreError):  # The first error is the one to be told.
                await self.aclose()
            raise
        finally:
            self._busy = False

    async def commit(self) -> None:
        """The event that was handed out last is handled; returns when that is stored."""
        self._settle()
        await self._save()

    async def save(self) -> None:
        """Returns when the position is stored."""
        await self._save()

    def stop(self) -> None:
        self._stopping = True
        self.ready = iter(())
        if self._stop is not None and not self._stop.done():
            self._stop.set_result(None)
        if self._reader is not None:
            self._reader.interrupt()

    async def aclose(self) -> None:
        """Ends the stream and stores the position. What was handed out last is not handled."""
        self._over = True
        self.stop()
        self._pending = iter(())
        await self._close_reader()
        if not isinstance(self._error, CursorStoreError):  # It has been told.
            await self._save()

    def close_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Closes in a task of its own. Its errors have nobody to go to but the loop's handler."""
        if not self._over:
            self._closing = loop.create_task(self.aclose())

    async def _next(self) -> event_pb2.Event | None:
        loop = asyncio.get_running_loop()
        if self._stop is None:
            self._stop = loop.create_future()
        if not self._loaded:
            await self._load()
        self._settle()
        while True:
            if self._error is not None:
                raise self._error
            if self._stopping:
                await self.aclose()
                return None
            if time.monotonic() - self._saved_at >= self._options.save_interval:
                await self._save()
            self.in_hand = next(self._pending, None)
            if self.in_hand is not None:
                if not self._stopping:
                    self.ready = self._until_save()
                return self.in_hand
            # Everything up to the frame before has been handled.
            await self._save()
            # With those of two frames alive, each frame would begin a garbage collection.
            self._batch = []
            if self._reader is None:
                await self._open()
            else:
                await self._read(self._reader)

    def _until_save(self) -> Iterator[event_pb2.Event]:
        if self._options.cursors is None:
            return self._pending
        return self._pending_until(self._saved_at + self._options.save_interval)

    def _pending_until(self, due: float) -> Iterator[event_pb2.Event]:
        if time.monotonic() >= due:
            return
        for event in self._pending:
            # Here, too: Ctrl-C may end this loop before whoever takes the event has said so, and
            # what is taken and not in hand would count as handled with the next one.
            self.in_hand = event
            yield event
            if time.monotonic() >= due:
                return

    def _settle(self) -> None:
        if self.in_hand is not None:
            self._end.useful = True
            self._move_to(self.in_hand.cursor)
            self.in_hand = None

    async def _load(self) -> None:
        self._saved_at = time.monotonic()
        if self._options.cursors is not None:
            try:
                self._position = self._saved = await self._options.cursors.load() or ""
            except HookgateError:
                raise
            except Exception as error:
                raise CursorStoreError(f"cannot load the position: {error!r}") from error
        self._loaded = True

    async def _save(self) -> None:
        if self._options.cursors is None:
            self._saved = self.position
        # One save at a time, also if the wait for one was cancelled: it goes on.
        while self._storing is not None or self.position != self._saved:
            if self._storing is None:
                self._storing = asyncio.ensure_future(self._store(self.position))
            storing = self._storing
            await asyncio.wait({storing})
            if self._storing is storing:
                self._storing = None
            storing.result()
        self._saved_at = time.monotonic()

    async def _store(self, cursor: str) -> None:
        assert self._options.cursors is not None
        try:
            await self._options.cursors.save(cursor)
        except HookgateError:
            raise
        except Exception as error:
            raise CursorStoreError(f"cannot save the position: {error!r}") from error
        self._saved = cursor

    def _move_to(self, cursor: str) -> None:
        if cursor:
            self._position = cursor

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        assert self._stop is not None
        left = self._not_before - loop.time()
        if left > 0:
            await asyncio.wait({self._stop}, timeout=left)
            return
        if self.position:
            self._request.after_cursor = self.position
        self._patience = self._options.open_timeout
        self._heartbeat = self._options.heartbeat
        self._end = StreamEnd()
        call, self._token = self._connection.subscribe(self._request)
        self._reader = FrameReader(call, "cannot subscribe", self._connection.target)

    async def _read(self, reader: FrameReader) -> None:
        # Only the wait for a frame counts: the application may take its time with an event.
        frame = await reader.next(self._patience)
        if frame is None:
            return
        if isinstance(frame, CallError):
            await self._on_end(frame)
            return
        self._on_frame(frame)
        self._patience = INTERVALS_UNTIL_DEAD * self._heartbeat

    async def _on_end(self, error: CallError) -> None:
        await self._close_reader()
        self._end.error = error
        if not self._connection.may_try_again(error, self._token):
            raise error
        delay = self._reconnects.delay_after(self._end)
        self._not_before = asyncio.get_running_loop().time() + delay
        self._tell(states.Disconnected(error, delay))

    async def _close_reader(self) -> None:
        if self._reader is not None:
            reader, self._reader = self._reader, None
            await reader.close()

    def _on_frame(self, frame: events.SubscribeResponse) -> None:
        kind = frame.WhichOneof("frame")
        if kind == "event_batch":
            # All at once: one by one, gRPC's messages are made more slowly.
            self._batch = frame.event_batch.events[:]
            self._pending = iter(self._batch)
        elif kind == "opened":
            self._on_opened(frame.opened)
        # Cursors of the frames below cover events that did not match as well. Everything sent
        # before them has been handled when they are read.
        elif kind == "caught_up":
            self._move_to(frame.caught_up.cursor)
            self._tell(states.CaughtUp(frame.caught_up.cursor, frame.caught_up))
        elif kind == "heartbeat":
            self._end.useful = True
            self._move_to(frame.heartbeat.cursor)
            self._tell(states.Heartbeat(frame.heartbeat.cursor, frame.heartbeat))
        elif kind == "draining":
            self._move_to(frame.draining.cursor)
            delay = seconds(frame.draining.reconnect_delay)
            if frame.draining.HasField("reconnect_delay"):
                self._end.reconnect_delay = delay
            self._tell(states.Draining(delay))
        # Otherwise it is a frame of a newer gateway: a sign of life, and no more.

    def _on_opened(self, opened: events.SubscribeResponse.Opened) -> None:
        # The start is fixed here: whatever is stored from now on is found from this cursor, even if
        # the stream breaks before its first event.
        if not self.position:
            self._move_to(opened.cursor)
        interval = seconds(opened.heartbeat_interval)
        if interval > 0:
            self._heartbeat = interval
        self._tell(states.Opened(opened.cursor, opened))

    def _tell(self, state: states.State) -> None:
        if self._options.on_state is not None and not self._stopping:
            self._options.on_state(state)


def _sequence(event: event_pb2.Event) -> int:
    return event.sequence
