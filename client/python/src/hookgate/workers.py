"""Tasks that run a consumer's handlers, several at a time."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import time
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

_Job = TypeVar("_Job")
_Handling = Coroutine[Any, Any, Any]

# A worker leaves the event loop to others when handlers that did not wait have taken so many
# seconds: acks are to be written, and leases to be looked at, before the last of many has begun. It
# is long for a hundred fast handlers: acks that are written apart come back as frames apart.
_TURN = 0.05

# What the first step of a handler gives when it is the last one as well.
_RETURNED = object()


class Workers(Generic[_Job]):
    """Runs handlers for what comes.

    To make a task for each event took longer than all else that is done for it, and most handlers
    that are fast never wait. So a task, called a worker, runs one handler after another until one
    waits for something. That one has the task to itself from then on, and it ends with it: whoever
    cancels the task cancels this handler and no other. Other workers begin with what is left.

    Each handler has a context of its own (contextvars), a copy of the one in which this was made.

      count   how many handlers may begin now
      take    takes the next job, to be run by this task: the job, and a coroutine to run; or None
      done    a job's coroutine has returned (None), or raised this
      failed  one of the three above has raised this
    """

    def __init__(self, count: Callable[[], int],
                 take: Callable[[asyncio.Task[Any]], tuple[_Job, _Handling] | None],
                 done: Callable[[_Job, BaseException | None], None],
                 failed: Callable[[BaseException], None]) -> None:
        self._count = count
        self._take = take
        self._done = done
        self._failed = failed
        self._context = contextvars.copy_context()
        self._starting: set[asyncio.Task[None]] = set()  # Workers that have not begun.

    def start(self) -> None:
        """There is something to begin with. One worker is enough for handlers that do not wait."""
        if self._starting and all(worker.done() for worker in self._starting):
            self._starting.clear()  # Cancelled before they began.
        if not self._starting and self._count() > 0:
            self._start_worker()

    def _start_others(self) -> None:
        """A handler waits: whatever else there is may begin meanwhile."""
        while len(self._starting) < self._count():
            self._start_worker()

    def _start_worker(self) -> None:
        # Not by the task factory: an eager one would begin here, each worker within another.
        self._starting.add(asyncio.Task(self._work(), loop=asyncio.get_running_loop()))

    async def _work(self) -> None:
        worker = asyncio.current_task()
        assert worker is not None
        self._starting.discard(worker)
        is_cancelled = _cancellations_of(worker)
        now, take, done, context_of_all = time.monotonic, self._take, self._done, self._context
        turn_ends = now() + _TURN
        try:
            while (taken := take(worker)) is not None:
                job, handling = taken
                context = context_of_all.copy()
                error: BaseException | None = None
                waited = False
                try:
                    # The first step of what a task does. There are more only if the handler waits.
                    # By next(), since the StopIteration with which send() tells the end took longer
                    # than all the rest of the step.
                    awaited = context.run(next, handling.__await__(), _RETURNED)
                except BaseException as raised:
                    error = raised
                else:
                    if awaited is not _RETURNED:
                        waited = True
                        self._start_others()
                        error = await _finish(context, handling, awaited)
                done(job, error)
                if isinstance(error, (KeyboardInterrupt, SystemExit)):
                    worker.add_done_callback(asyncio.Task.exception)  # It has been told.
                    raise error  # Out of the event loop, as from every task.
                error = None  # It refers to this frame.
                if waited or is_cancelled() or now() >= turn_ends:
                    break
            self.start()
        except Exception as own:
            self._failed(own)


@types.coroutine
def _finish(context: contextvars.Context, handling: _Handling,
            awaited: Any) -> Generator[Any, Any, BaseException | None]:
    """Runs a coroutine that waits to its end. None, or what it has raised."""
    step: Callable[[Any], Any]
    while True:
        try:
            step, value = handling.send, (yield awaited)
        except GeneratorExit:  # Nobody will go on with this task.
            context.run(handling.close)
            raise
        except BaseException as thrown:
            step, value = handling.throw, thrown
        try:
            awaited = context.run(step, value)
        except StopIteration:
            return None
        except BaseException as raised:
            return raised
        finally:
            value = None  # It may be an error that refers to this frame.


def _cancellations_of(task: asyncio.Task[Any]) -> Callable[[], int]:
    """Tells whether a handler that did not wait leaves the task cancelled, by itself or a stop."""
    if sys.version_info >= (3, 11):
        return task.cancelling
    return lambda: int(getattr(task, "_must_cancel", False))  # Python 3.10 has no other way.
