"""Reads the frames of a stream, and finds it dead when it is silent for too long."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import grpc
import grpc.aio

from hookgate.errors import CallError, call_error, transport_error

# Heartbeats may be late once and lost never: two and a half intervals tell a dead stream from a
# slow network.
INTERVALS_UNTIL_DEAD = 2.5

# A loop that was held up for so much of a wait has not looked at what came meanwhile: the silence is
# its own.
_LATE = 0.1


class FrameReader:
    """The frames of one call. `what` is what the call is for, such as "cannot subscribe".

    By next() or by receive(), not by both.
    """

    def __init__(self, call: Any, what: str, target: str) -> None:
        self._call = call
        self._what = what
        self._target = target
        self._loop = asyncio.get_running_loop()
        self._read: asyncio.Task[Any] | None = None
        self._interrupted = False
        # Of next()'s wait for a read: what wakes it up.
        self._bell: asyncio.Future[None] | None = None
        # Of receive(): whether it waits, how many times it has, for how long, and what it was ended by.
        self._receiving = False
        self._reads = 0
        self._patience = 0.0
        self._silence: CallError | None = None
        # When the silence has lasted for too long.
        self._due = 0.0
        # Looks at _due. It is left alone while frames come, since to set a timer for each of them
        # takes longer than to read one.
        self._watchdog: asyncio.TimerHandle | None = None

    async def next(self, patience: float) -> Any:
        """The next frame, or a CallError (not raised) that says how the stream ended.

        None after interrupt(). After `patience` seconds of silence the call is cancelled. A wait
        that is cancelled loses nothing: the next one goes on with the same read.
        """
        if self._read is None:
            self._read = self._loop.create_task(self._receive())
        read = self._read
        while not read.done():
            if self._interrupted:
                return None
            due = self._loop.time() + patience
            await self._wait(due)
            silent = not read.done() and not self._interrupted
            if silent and self._loop.time() - due < _LATE * patience:
                self._call.cancel()
                return self._nothing_came(patience)
        self._read = None
        # By cancel() of the call, or by the end of the loop.
        return self._ended("the stream was cancelled") if read.cancelled() else read.result()

    async def receive(self, patience: float) -> Any:
        """As next(), but the task that waits reads by itself, and is not interrupted.

        A task for each frame, which wakes another, cost as much as ten events of that frame. If the
        wait is cancelled, so is the call.
        """
        self._patience = patience
        self._reads += 1
        self._watch(self._loop.time() + patience)
        self._receiving = True
        try:
            return await self._read_frame()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            # The end of a call that was cancelled looks the same. Python 3.10 cannot tell; there the
            # stream counts as broken, and whoever cancels all tasks cancels its owner as well.
            if sys.version_info >= (3, 11) and task is not None and task.cancelling():
                raise
            return self._silence or self._ended("the stream was cancelled")
        finally:
            self._receiving = False

    def interrupt(self) -> None:
        """Nobody is to wait for a frame any more."""
        self._interrupted = True
        self._ring()

    async def close(self) -> None:
        """Cancels the call, and waits until nothing of it runs any more."""
        if self._watchdog is not None:
            self._watchdog.cancel()
        self._call.cancel()
        if self._read is not None:
            await asyncio.wait({self._read})
            self._read = None

    async def _receive(self) -> Any:
        try:
            return await self._read_frame()
        finally:
            # The end of this task would be noticed a turn of the loop later: with asyncio.wait() a
            # frame took as long as a hundred of its events.
            self._ring()

    async def _read_frame(self) -> Any:
        try:
            frame = await self._call.read()
        except grpc.aio.AioRpcError as error:
            return call_error(error, self._what, self._target)
        except Exception as error:
            return self._ended(f"the stream broke: {error!r}")
        return self._ended("the gateway ended the stream") if frame is grpc.aio.EOF else frame

    async def _wait(self, due: float) -> None:
        """Until the read is over, interrupt(), or `due`."""
        self._watch(due)
        self._bell = self._loop.create_future()
        try:
            await self._bell
        finally:
            self._bell = None

    def _watch(self, due: float) -> None:
        self._due = due
        if self._watchdog is not None and self._watchdog.when() > due:
            self._watchdog.cancel()
            self._watchdog = None
        if self._watchdog is None:
            self._watchdog = self._loop.call_at(due, self._look)

    def _look(self) -> None:
        self._watchdog = None
        if self._bell is None and not self._receiving:
            return  # Nobody waits: the next wait begins with all of its patience.
        late = self._loop.time() - self._due
        if late < 0:  # Of a later wait.
            self._watchdog = self._loop.call_at(self._due, self._look)
        elif self._receiving:
            # A frame that has come is seen by its reader in this turn of the loop.
            self._loop.call_soon(self._end_silence, self._reads, late)
        else:
            self._ring()

    def _end_silence(self, reads: int, late: float) -> None:
        if not self._receiving or reads != self._reads:
            return
        if late < _LATE * self._patience:
            self._silence = self._nothing_came(self._patience)
            self._call.cancel()
        else:
            self._watch(self._loop.time() + self._patience)

    def _ring(self) -> None:
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    def _nothing_came(self, patience: float) -> CallError:
        return transport_error(f"{self._what}: nothing came from the gateway at {self._target} for "
                               f"{patience:g} s")

    def _ended(self, how: str) -> CallError:
        return transport_error(f"{self._what} at {self._target}: {how}")
