"""Reads the frames of a stream, and finds it dead when it is silent for too long."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio

from hookgate.errors import CallError, call_error, transport_error

# Heartbeats may be late once and lost never: two and a half intervals tell a dead stream from a
# slow network.
INTERVALS_UNTIL_DEAD = 2.5


class FrameReader:
    """The frames of one call. `what` is what the call is for, such as "cannot subscribe".

    A wait that is cancelled loses nothing: the next one goes on with the same read.
    """

    def __init__(self, call: Any, what: str, target: str) -> None:
        self._call = call
        self._what = what
        self._target = target
        self._read: asyncio.Future[Any] | None = None
        self._bell: asyncio.Future[None] | None = None  # Of the wait for it.

    async def next(self, patience: float, stop: asyncio.Future[None] | None = None) -> Any:
        """The next frame, or a CallError (not raised) that says how the stream ended.

        None if `stop` is done before. After `patience` seconds of silence the call is cancelled.
        """
        if self._read is None:
            self._read = asyncio.ensure_future(self._receive())
            # Its error is looked at below, or by nobody if the stream is given up.
            self._read.add_done_callback(lambda read: read.cancelled() or read.exception())
        read = self._read
        loop = asyncio.get_running_loop()
        while not read.done():
            if stop is not None and stop.done():
                return None
            due = loop.time() + patience
            await self._wait(loop, due, stop)
            silent = not read.done() and (stop is None or not stop.done())
            # A loop that was held up has not looked at what came meanwhile: the silence is its own.
            if silent and loop.time() - due < 0.1 * patience:
                self._call.cancel()
                return transport_error(f"{self._what}: nothing came from the gateway at "
                                       f"{self._target} for {patience:g} s")
        self._read = None
        if read.cancelled():  # By cancel().
            return self._ended("the stream was cancelled")
        error = read.exception()
        if isinstance(error, grpc.aio.AioRpcError):
            return call_error(error, self._what, self._target)
        if error is not None:
            return self._ended(f"the stream broke: {error!r}")
        frame = read.result()
        return self._ended("the gateway ended the stream") if frame is grpc.aio.EOF else frame

    async def _receive(self) -> Any:
        try:
            return await self._call.read()
        finally:
            # The end of this task would be noticed a turn of the loop later: with asyncio.wait() a
            # frame took as long as a hundred of its events.
            _ring(self._bell)

    async def _wait(self, loop: asyncio.AbstractEventLoop, due: float,
                    stop: asyncio.Future[None] | None) -> None:
        """Until the read is over, `stop` is done, or `due` has come."""
        bell = self._bell = loop.create_future()

        def ring(_: Any = None) -> None:
            _ring(bell)

        timer = loop.call_at(due, ring)
        if stop is not None:
            stop.add_done_callback(ring)
        try:
            await bell
        finally:
            timer.cancel()
            if stop is not None:
                stop.remove_done_callback(ring)

    async def close(self) -> None:
        """Cancels the call, and waits until nothing of it runs any more."""
        self._call.cancel()
        if self._read is not None:
            await asyncio.wait({self._read})
            self._read = None

    def _ended(self, how: str) -> CallError:
        return transport_error(f"{self._what} at {self._target}: {how}")


def _ring(bell: asyncio.Future[None] | None) -> None:
    if bell is not None and not bell.done():
        bell.set_result(None)
