"""Works off a durable subscription: the gateway keeps the position, this keeps the leases."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Union

from hookgate import states
from hookgate.backoff import Reconnects, StreamEnd
from hookgate.connection import Connection
from hookgate.consume_options import ConsumeOptions, StopMode
from hookgate.delivery import Delivery
from hookgate.errors import CallError
from hookgate.frame_reader import INTERVALS_UNTIL_DEAD, FrameReader
from hookgate.leases import NEVER, Leases
from hookgate.messages import seconds
from hookgate.v1 import subscription_service_pb2 as api
from hookgate.verdicts import GiveBack, Nack, Verdict
from hookgate.workers import Workers

DeliveryHandler = Callable[[Delivery], Union[Any, Awaitable[Any]]]

# How long a gateway may take to answer the end of a stream, before the stream is cut off: long
# enough for acks that wait for a slow disk.
_END_PATIENCE = 10.0

_log = logging.getLogger("hookgate")


class _Held(Delivery):
    """A delivery that has not been settled, and what its Consumer knows about it."""

    __slots__ = ("sequence", "newest_id", "task", "again")

    def __init__(self, message: api.Delivery) -> None:
        self.message = message
        self.event = message.event
        self._lost = False
        self.sequence: int = self.event.sequence
        self.newest_id: str = message.delivery_id  # Of the event.
        self.task: asyncio.Task[Any] | None = None  # That runs its handler.
        # The newer delivery, if the event came again on the open stream while that ran.
        self.again: api.Delivery | None = None

    def lose(self) -> None:
        """Tells the handler, once."""
        if self.task is not None and not self._lost:
            self._lost = True
            self.task.cancel()


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
        # Looked at for each event.
        self._concurrency = options.concurrency
        self._max_events = options.max_events
        self._handler: Callable[[Delivery], Any] = handler
        # A coroutine function only makes its coroutine; anything else is called in one.
        self._handling: Callable[[Delivery], Coroutine[Any, Any, Any]] = (
            handler if inspect.iscoroutinefunction(handler) else self._handle)
        self._reconnects = Reconnects(options.backoff)
        self._engine: asyncio.Task[None] | None = None
        self._failure: BaseException | None = None  # What a callback or a handler let out.
        # Where the two loops, _run and _write, sleep until something changes.
        self._alarms: list[asyncio.Future[None]] = []
        self._stopped = False
        self._abandoned = False
        # When a stop begins to give back, when it ends the stream, and when it cuts it off.
        self._stop_deadline = NEVER
        self._end_deadline = NEVER
        self._cut_deadline = NEVER
        self._must_end = False  # The second has come.
        # For the first of these, or of what is to be done about leases. It may come too early: to
        # set another for each event would take longer than to look once in vain.
        self._timer: asyncio.TimerHandle | None = None
        # Of the stream that is open.
        self._call: Any = None
        self._token: str | None = None  # That its call showed.
        self._sent_open = False
        self._opened = False  # The gateway has answered Open.
        self._ended = False  # Our side has been closed.
        self._heartbeat = options.heartbeat
        self._leases = Leases(options.longest_lease)
        # By sequence, and those of them that have not begun. The limits that were asked for bound it.
        self._held: dict[int, _Held] = {}
        self._waiting: deque[_Held] = deque()
        self._begun = 0
        self._workers: Workers[_Held] | None = None

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
        self._workers = Workers(self._can_begin, self._begin, self._on_done, self._fail)
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
                if not self._connection.may_try_again(end.error, self._token):
                    raise end.error
                delay = self._reconnects.delay_after(end)
                self._tell(states.Disconnected(end.error, delay))
                until = self._now() + delay
                while not self._stopped and self._now() < until:
                    await self._sleep(until - self._now())
        finally:
            await self._end_handlers()
            if self._timer is not None:
                self._timer.cancel()
        if self._failure is not None:
            raise self._failure

    async def _run_stream(self, end: StreamEnd) -> None:
        what = f"cannot consume {self._options.subscription}"
        self._call, self._token = self._connection.consume()
        reader = FrameReader(self._call, what, self._connection.target)
        writer = asyncio.ensure_future(self._write(self._call))
        writer.add_done_callback(self._on_writer_done)
        self._heartbeat = self._options.heartbeat
        patience = self._options.open_timeout
        try:
            while True:
                frame = await reader.receive(patience)
                if isinstance(frame, CallError):
                    end.error = frame
                    return
                self._on_frame(frame, end)
                patience = INTERVALS_UNTIL_DEAD * self._heartbeat
        finally:
            writer.cancel()
            await asyncio.wait({writer})
            await reader.close()
            self._end_stream()

    def _on_writer_done(self, writer: asyncio.Future[None]) -> None:
        error = None if writer.cancelled() else writer.exception()
        if error is not None:
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """run() raises it, and the stream is not waited for."""
        self._fail(error)
        if self._call is not None:
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
            for delivery_id in self._leases.answer(frame.ack_results.results):
                self._lose(delivery_id)
        elif kind == "heartbeat":
            end.useful = True
            self._tell(states.Heartbeat("", frame.heartbeat))
        elif kind == "draining":
            delay = seconds(frame.draining.reconnect_delay)
            if frame.draining.HasField("reconnect_delay"):
                end.reconnect_delay = delay
            self._tell(states.Draining(delay))
        if kind == "opened" or self._stopped:
            self._wake()

    def _accept(self, deliveries: api.ConsumeResponse.Deliveries) -> None:
        if self._stopped:
            return  # Given back when the stream ends.
        arrived = [_Held(delivery) for delivery in deliveries.deliveries]
        self._leases.add([held.newest_id for held in arrived], self._now())
        self._set_timer()
        for held in arrived:
            older = self._held.setdefault(held.sequence, held)
            if older is held:
                self._waiting.append(held)
            else:
                self._take_over(older, held)
        assert self._workers is not None
        self._workers.start()
        # The writer comes after the worker in the same turn of the loop, and so finds the acks of
        # handlers that did not wait. Woken by the first of them, it came a turn later.
        self._wake()

    def _take_over(self, older: _Held, newer: _Held) -> None:
        """Of one event only the newest delivery matters."""
        self._leases.drop(older.newest_id)
        if older.task is None:
            self._waiting[self._waiting.index(older)] = self._held[newer.sequence] = newer
        else:
            older.newest_id, older.again = newer.newest_id, newer.message

    def _end_stream(self) -> None:
        """The gateway has back what was delivered. Verdicts without an answer are sent again."""
        self._call = None
        self._sent_open = self._opened = self._ended = False
        self._drop_waiting()
        for running in self._held.values():
            running.again = None
        self._leases.end_stream()
        self._lose_all()

    # --- Handlers ---

    def _can_begin(self) -> int:
        waiting = len(self._waiting)
        return min(waiting, self._concurrency - (len(self._held) - waiting))

    def _begin(self, task: asyncio.Task[Any]) -> tuple[_Held, Coroutine[Any, Any, Any]] | None:
        waiting = self._waiting
        if not waiting or len(self._held) - len(waiting) >= self._concurrency:
            return None
        held = waiting[0]
        handling = self._handling(held)
        held.task = task
        waiting.popleft()
        self._begun += 1
        if self._begun == self._max_events:
            self._stop_taking()
        return held, handling

    def _drop_waiting(self) -> None:
        """Nobody is to handle them: the gateway has them back, or will when the stream ends."""
        for held in self._waiting:
            self._leases.drop(held.newest_id)
            del self._held[held.sequence]
        self._waiting.clear()

    async def _handle(self, delivery: Delivery) -> None:
        result = self._handler(delivery)
        if inspect.isawaitable(result):
            await result

    def _on_done(self, held: _Held, error: BaseException | None) -> None:
        del self._held[held.sequence]
        if error is None:
            self._leases.ack(held.newest_id)
        else:
            self._settle(held, self._verdict_of(held, error))
        if self._alarms:
            self._wake()

    def _verdict_of(self, held: _Held, error: BaseException) -> Verdict:
        if isinstance(error, Verdict):
            return error
        if isinstance(error, asyncio.CancelledError):
            return GiveBack() if held.lost else Nack("its handler was cancelled")
        if not isinstance(error, Exception):  # SystemExit: the process is about to end.
            self._fail(error)
            return GiveBack()
        _log.warning("the handler of %r failed, and so it is nacked", held, exc_info=error)
        return Nack(_text_of(error))

    def _settle(self, held: _Held, verdict: Verdict) -> None:
        if not isinstance(verdict, GiveBack):
            self._leases.settle(held.newest_id, verdict)
        elif not held.lost:
            self._stop_taking()  # The lease stays, and is extended, until the stream ends.
        elif held.again is not None and not self._stopped:
            again = self._held[held.sequence] = _Held(held.again)
            self._waiting.appendleft(again)

    async def _end_handlers(self) -> None:
        while self._held and not self._abandoned:
            await self._sleep()

    def _lose_all(self) -> None:
        for held in self._held.values():
            held.lose()

    def _lose(self, delivery_id: str) -> None:
        self._leases.drop(delivery_id)
        held = next((h for h in self._held.values() if h.newest_id == delivery_id), None)
        if held is None:
            return
        if held.task is None:
            self._waiting.remove(held)
            del self._held[held.sequence]
        held.again = None
        held.lose()

    # --- What is written ---

    async def _write(self, call: Any) -> None:
        """Writes verdicts and extensions, and closes our side of the stream after a stop."""
        if not await _written(call.write(self._open_frame)):
            return
        self._sent_open = True
        while not self._ended:
            # Whatever has become ready while the last one was written goes together.
            frame = self._leases.next_frame() if self._opened else None
            if frame is not None:
                if not await _written(call.write(frame)):
                    return
            elif self._may_end():
                self._ended = True
                self._cut_deadline = min(self._cut_deadline, self._now() + _END_PATIENCE)
                self._set_timer()
                await _written(call.done_writing())
            else:
                await self._sleep()

    def _may_end(self) -> bool:
        if not self._stopped:
            return False
        settled = not self._held and self._leases.settled
        return settled or not self._opened or self._must_end

    def _set_timer(self) -> None:
        """To be called when one of the times has come nearer."""
        due = min(self._stop_deadline, self._end_deadline, self._cut_deadline,
                  self._leases.next_time)
        if self._timer is not None:
            if self._timer.when() <= due:
                return
            self._timer.cancel()
            self._timer = None
        if due < NEVER:
            self._timer = asyncio.get_running_loop().call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        try:
            self._look(self._now())
        except Exception as error:
            self._break(error)
        self._wake()
        self._set_timer()

    def _look(self, now: float) -> None:
        """Does what it is time for, and forgets that time."""
        if now >= self._leases.next_time:
            for delivery_id in self._leases.look(now, self._opened and not self._ended):
                self._lose(delivery_id)
        if now >= self._stop_deadline:
            self._begin_giving_back()
            self._lose_all()
        if now >= self._end_deadline:
            self._end_deadline, self._must_end = NEVER, True
        if now >= self._cut_deadline:
            self._cut_deadline = NEVER
            if self._call is not None:
                self._call.cancel()

    # --- Stopping, and waiting ---

    def _stop_taking(self) -> None:
        if self._stopped:
            return
        self._stopped = True
        self._stop_deadline = self._now() + self._options.stop_timeout
        self._drop_waiting()
        # What has not reached a gateway has nothing to finish.
        if self._call is not None and not self._sent_open and not self._opened:
            self._call.cancel()
        self._set_timer()
        self._wake()

    def _begin_giving_back(self) -> None:
        self._stop_deadline = NEVER
        self._end_deadline = min(self._end_deadline,
                                 self._now() + self._options.give_back_timeout)
        # Also if the gateway takes nothing of what is written.
        self._cut_deadline = min(self._cut_deadline, self._end_deadline + _END_PATIENCE)
        self._set_timer()
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

    async def _sleep(self, most: float = NEVER) -> None:
        loop = asyncio.get_running_loop()
        alarm: asyncio.Future[None] = loop.create_future()
        timer = None if most == NEVER else loop.call_later(max(most, 0.0), _ring, alarm)
        self._alarms.append(alarm)
        try:
            await alarm
        finally:
            if alarm in self._alarms:
                self._alarms.remove(alarm)
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        alarms, self._alarms = self._alarms, []
        for alarm in alarms:
            _ring(alarm)


def _text_of(error: BaseException) -> str:
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except Exception:  # Its own text fails.
        return name


async def _written(write: Awaitable[None]) -> bool:
    try:
        await write
    except Exception:
        return False  # The stream has ended: its reader finds out why.
    return True


def _ring(alarm: asyncio.Future[None]) -> None:
    if not alarm.done():
        alarm.set_result(None)
