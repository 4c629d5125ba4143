"""Works off a durable subscription: the gateway keeps the position, this keeps the leases."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Union

from hookgate import states
from hookgate.backoff import Reconnects, StreamEnd
from hookgate.connection import Connection
from hookgate.consume_options import ConsumeOptions, StopMode
from hookgate.delivery import Delivery
from hookgate.errors import CallError, Unauthenticated
from hookgate.frame_reader import INTERVALS_UNTIL_DEAD, FrameReader
from hookgate.leases import NEVER, Leases
from hookgate.messages import seconds
from hookgate.v1 import subscription_service_pb2 as api
from hookgate.verdicts import GiveBack, Nack, Verdict

DeliveryHandler = Callable[[Delivery], Union[Any, Awaitable[Any]]]

# How long a gateway may take to answer the end of a stream, before the stream is cut off: long
# enough for acks that wait for a slow disk.
_END_PATIENCE = 10.0

_log = logging.getLogger("hookgate")


@dataclass(slots=True)
class _Running:
    """An event that a handler works on."""

    delivery: Delivery
    delivery_id: str  # The newest of the event.
    task: asyncio.Task[None]
    # The newer delivery, if the event came again on the open stream.
    again: api.Delivery | None = None


class Consumer:
    """Hands the events of a durable subscription to a handler: made by Client.consumer.

    The law: an event is acked only after its handler has returned, so each is handled at least
    once. It comes twice if a stream breaks, or a lease ends, before the gateway has the ack;
    handlers should be idempotent, and (source, webhook_id) is the key. Within one Consumer no event
    is handled twice at a time: when one comes again while its handler runs, that handler's verdict
    counts for the newer delivery, unless it gives the event back: then it is handled again.

    A handler is cancelled, once, when its event may be offered to another consumer: the stream has
    ended, the lease was lost or has run out, or a stop gives it back. If it ends by that
    cancellation, no verdict is sent. If it catches it and returns all the same, the event is acked,
    which counts unless somebody else has settled it.

    All of it runs on one event loop; nothing here is for other threads.
    """

    def __init__(self, connection: Connection, options: ConsumeOptions,
                 handler: DeliveryHandler) -> None:
        self._connection = connection
        self._options = options
        self._open_frame = options.open_frame()
        self._handler: Callable[[Delivery], Any] = handler
        self._handler_is_async = inspect.iscoroutinefunction(handler)
        self._reconnects = Reconnects(options.backoff)
        self._engine: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None  # What a callback or a handler let out.
        # Where the two loops, _run and _keep, sleep until something changes.
        self._alarms: set[asyncio.Future[None]] = set()
        self._stopped = False
        self._abandoned = False
        # When a stop begins to give back, when it ends the stream, and when it cuts it off.
        self._stop_deadline = NEVER
        self._end_deadline = NEVER
        self._cut_deadline = NEVER
        # Of the stream that is open.
        self._call: Any = None
        self._sent_open = False
        self._opened = False  # The gateway has answered Open.
        self._ended = False  # Our side has been closed.
        self._heartbeat = options.heartbeat
        self._leases = Leases(options.longest_lease)
        # Not begun; the limits that were asked for bound it.
        self._waiting: OrderedDict[int, api.Delivery] = OrderedDict()  # By sequence.
        self._begun = 0
        self._running: dict[int, _Running] = {}  # By sequence.

    @property
    def name(self) -> str:
        """The consumer name, as the gateway shows it."""
        return self._options.consumer_name

    async def run(self) -> None:
        """Handles deliveries until a stop, or an error that trying again would not help. Once only.

        Being cancelled is a stop, in the mode of the option `stop`, after which CancelledError goes
        on; a second cancellation gives back what runs, a third one waits for nothing any more.
        """
        if self._engine is not None:
            raise RuntimeError("a consumer runs once")
        engine = self._engine = asyncio.ensure_future(self._run())
        cancellations = 0
        while not engine.done():
            try:
                await asyncio.wait({engine})
            except asyncio.CancelledError:
                cancellations += 1
                if cancellations == 1:
                    self.stop(self._options.stop)
                elif cancellations == 2:
                    self.stop("give_back")
                else:
                    self._abandon()
        error = None if engine.cancelled() else engine.exception()
        if cancellations or engine.cancelled():
            raise asyncio.CancelledError from error
        if error is not None:
            raise error

    def stop(self, mode: StopMode = "wait") -> None:
        """Takes nothing more; run() returns when all is settled. Stays in force.

        What has not begun is given back, which counts as no attempt.
          "wait"       what runs is finished and acked, or given back when stop_timeout has passed
          "give_back"  handlers that run are cancelled, and their events are given back as soon as
                       they have ended, or give_back_timeout has passed. May follow "wait"
        The stream is closed, not cancelled, unless the gateway does not answer that for 10 s.
        """
        self._stop_taking()
        if mode == "give_back":
            self._begin_giving_back()
            self._lose_all()

    async def aclose(self) -> None:
        """Gives back what runs; returns when run() has ended, or has waited for too long."""
        if self._engine is None or self._engine.done():
            return
        self.stop("give_back")
        await asyncio.wait({self._engine}, timeout=self._options.give_back_timeout + _END_PATIENCE)
        self._abandon()

    @property
    def over(self) -> bool:
        """It has run, and does no more."""
        return self._engine is not None and self._engine.done()

    # --- The stream ---

    async def _run(self) -> None:
        try:
            while not self._stopped:
                end = StreamEnd()
                await self._run_stream(end)
                if self._stopped or end.error is None:
                    break
                # Somebody may have replaced the token since the call was made.
                renewed = (isinstance(end.error, Unauthenticated) and
                           self._connection.token_has_changed())
                if not end.error.retryable and not renewed:
                    raise end.error
                delay = self._reconnects.delay_after(end)
                self._tell(states.Disconnected(end.error, delay))
                until = self._now() + delay
                while not self._stopped and self._now() < until:
                    await self._sleep(until - self._now())
        finally:
            await self._end_handlers()
        if self._failure is not None:
            raise self._failure

    async def _run_stream(self, end: StreamEnd) -> None:
        what = f"cannot consume {self._options.subscription}"
        self._call = self._connection.consume()
        reader = FrameReader(self._call, what, self._connection.target)
        keeper = asyncio.ensure_future(self._keep(self._call))
        keeper.add_done_callback(self._on_keeper_done)
        self._heartbeat = self._options.heartbeat
        patience = self._options.open_timeout
        try:
            while True:
                frame = await reader.next(patience)
                if isinstance(frame, CallError):
                    end.error = frame
                    return
                self._on_frame(frame, end)
                patience = INTERVALS_UNTIL_DEAD * self._heartbeat
        finally:
            keeper.cancel()
            await asyncio.wait({keeper})
            await reader.close()
            self._end_stream()

    def _on_keeper_done(self, keeper: asyncio.Future[None]) -> None:
        if not keeper.cancelled() and keeper.exception() is not None:
            self._fail(keeper.exception())
            self._call.cancel()

    def _on_frame(self, frame: api.ConsumeResponse, end: StreamEnd) -> None:
        kind = frame.WhichOneof("frame")
        if kind == "opened":
            self._heartbeat = seconds(frame.opened.heartbeat_interval) or self._heartbeat
            self._leases.ack_deadline = (seconds(frame.opened.ack_deadline) or
                                         self._leases.ack_deadline)
            self._opened = True
            self._tell(states.Opened("", frame.opened))
        elif kind == "deliveries":
            end.useful = True
            self._accept(frame.deliveries)
        elif kind == "ack_results":
            for result in frame.ack_results.results:
                if self._leases.answer(result):
                    self._lose(result.delivery_id)
        elif kind == "heartbeat":
            end.useful = True
            self._tell(states.Heartbeat("", frame.heartbeat))
        elif kind == "draining":
            delay = seconds(frame.draining.reconnect_delay)
            if frame.draining.HasField("reconnect_delay"):
                end.reconnect_delay = delay
            self._tell(states.Draining(delay))
        self._wake()

    def _accept(self, deliveries: api.ConsumeResponse.Deliveries) -> None:
        if self._stopped:
            return  # Given back when the stream ends.
        now = self._now()
        for delivery in deliveries.deliveries:
            self._leases.add(delivery.delivery_id, now)
            self._take_over(delivery)
        self._start_handlers()

    def _take_over(self, delivery: api.Delivery) -> None:
        """Of one event only the newest delivery matters."""
        sequence = delivery.event.sequence
        running = self._running.get(sequence)
        if running is not None:
            self._leases.drop(running.delivery_id)
            running.delivery_id, running.again = delivery.delivery_id, delivery
            return
        other = self._waiting.get(sequence)
        if other is not None:
            self._leases.drop(other.delivery_id)
        self._waiting[sequence] = delivery  # In the place of the other.

    def _end_stream(self) -> None:
        """The gateway has back what was delivered. Verdicts without an answer are sent again."""
        self._call = None
        self._sent_open = self._opened = self._ended = False
        for running in self._running.values():
            running.again = None
        self._waiting.clear()
        self._leases.end_stream()
        self._lose_all()

    # --- Handlers ---

    def _start_handlers(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting and len(self._running) < self._options.concurrency:
            sequence, message = self._waiting.popitem(last=False)
            delivery = Delivery(message)
            # A coroutine function only makes its coroutine here; anything else is to be called in
            # the task.
            handling = self._handler if self._handler_is_async else self._handle
            task = loop.create_task(handling(delivery))
            self._running[sequence] = _Running(delivery, message.delivery_id, task)
            task.add_done_callback(functools.partial(self._on_done, sequence))
            self._begun += 1
            if self._begun == self._options.max_events:
                self._stop_taking()

    async def _handle(self, delivery: Delivery) -> None:
        result = self._handler(delivery)
        if inspect.isawaitable(result):
            await result

    def _on_done(self, sequence: int, task: asyncio.Task[None]) -> None:
        running = self._running.pop(sequence)
        self._settle(sequence, running, self._verdict_of(running, task))
        self._start_handlers()
        self._wake()

    def _verdict_of(self, running: _Running, task: asyncio.Task[None]) -> Verdict | None:
        """None: it is to be acked."""
        if task.cancelled():
            return GiveBack() if running.delivery.lost else Nack("its handler was cancelled")
        error = task.exception()
        if error is None or isinstance(error, Verdict):
            return error
        if not isinstance(error, Exception):  # SystemExit: the process is about to end.
            self._fail(error)
            return GiveBack()
        _log.warning("the handler of %r failed, and so it is nacked", running.delivery,
                     exc_info=error)
        return Nack(f"{type(error).__name__}: {error}")

    def _settle(self, sequence: int, running: _Running, verdict: Verdict | None) -> None:
        if not isinstance(verdict, GiveBack):
            self._leases.settle(running.delivery_id, verdict)
        elif not running.delivery.lost:
            self._stop_taking()  # The lease stays, and is extended, until the stream ends.
        elif running.again is not None and not self._stopped:
            self._waiting[sequence] = running.again
            self._waiting.move_to_end(sequence, last=False)

    async def _end_handlers(self) -> None:
        while self._running and not self._abandoned:
            await self._sleep(NEVER)

    def _lose_all(self) -> None:
        for running in self._running.values():
            _tell_lost(running)

    def _lose(self, delivery_id: str) -> None:
        self._leases.drop(delivery_id)
        for sequence, waiting in self._waiting.items():
            if waiting.delivery_id == delivery_id:
                del self._waiting[sequence]
                return
        for running in self._running.values():
            if running.delivery_id == delivery_id:
                running.again = None
                _tell_lost(running)

    # --- What is written ---

    async def _keep(self, call: Any) -> None:
        """Writes verdicts and extensions, and ends the stream after a stop."""
        writing: asyncio.Future[None] | None = self._writing(call.write(self._open_frame))
        try:
            while True:
                if writing is not None and writing.done():
                    if writing.cancelled() or writing.exception() is not None:
                        return  # The stream has ended: its reader finds out why.
                    self._sent_open, writing = True, None
                now = self._now()
                if now >= self._leases.next_time:
                    extends = self._opened and not self._ended
                    for delivery_id in self._leases.look(now, extends):
                        self._lose(delivery_id)
                if now >= self._stop_deadline:
                    self._begin_giving_back()
                    self._lose_all()
                # What has not reached a gateway has nothing to finish.
                if now >= self._cut_deadline or (self._stopped and not self._sent_open):
                    call.cancel()
                    return
                if writing is None and not self._ended:
                    writing = self._begin_write(call, now)
                await self._sleep(self._next_time(writing is None) - now)
        finally:
            if writing is not None:
                writing.cancel()

    def _begin_write(self, call: Any, now: float) -> asyncio.Future[None] | None:
        frame = self._leases.next_frame() if self._opened else None
        if frame is not None:
            return self._writing(call.write(frame))
        settled = not self._running and self._leases.settled
        if self._stopped and (settled or not self._opened or now >= self._end_deadline):
            self._ended = True
            self._cut_deadline = now + _END_PATIENCE
            return self._writing(call.done_writing())
        return None

    def _writing(self, write: Coroutine[Any, Any, None]) -> asyncio.Future[None]:
        writing = asyncio.ensure_future(write)
        writing.add_done_callback(lambda _: self._wake())
        return writing

    def _next_time(self, can_write: bool) -> float:
        ends = self._end_deadline if can_write and not self._ended else NEVER
        return min(self._stop_deadline, self._cut_deadline, ends, self._leases.next_time)

    # --- Stopping, and waiting ---

    def _stop_taking(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._stop_deadline = self._now() + self._options.stop_timeout
        for delivery in self._waiting.values():  # The stream's end gives them back.
            self._leases.drop(delivery.delivery_id)
        self._waiting.clear()
        self._wake()

    def _begin_giving_back(self) -> None:
        self._stop_deadline = NEVER
        self._end_deadline = min(self._end_deadline,
                                 self._now() + self._options.give_back_timeout)
        # Also if the gateway takes nothing of what is written.
        self._cut_deadline = min(self._cut_deadline, self._end_deadline + _END_PATIENCE)
        self._wake()

    def _abandon(self) -> None:
        self._abandoned = True
        self._lose_all()
        if self._call is not None:
            self._call.cancel()
        self._wake()

    def _tell(self, state: states.State) -> None:
        if self._options.on_state is None or self._stopped:
            return
        try:
            self._options.on_state(state)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: BaseException | None) -> None:
        """run() raises it, once all is settled."""
        self._failure = self._failure or error
        self._stop_taking()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    async def _sleep(self, most: float) -> None:
        loop = asyncio.get_running_loop()
        alarm: asyncio.Future[None] = loop.create_future()
        timer = None if most == NEVER else loop.call_later(max(most, 0.0), _ring, alarm)
        self._alarms.add(alarm)
        try:
            await alarm
        finally:
            self._alarms.discard(alarm)
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        for alarm in self._alarms:
            _ring(alarm)


def _ring(alarm: asyncio.Future[None]) -> None:
    if not alarm.done():
        alarm.set_result(None)


def _tell_lost(running: _Running) -> None:
    if not running.delivery.lost:
        running.delivery._lost = True
        running.task.cancel()
