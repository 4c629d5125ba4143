"""What the tests share: a gateway in memory and a client of it, and waits that end."""

from __future__ import annotations

import asyncio
import contextlib
import unittest
from collections.abc import AsyncIterator, Callable

import hookgate
from hookgate.testing import FakeGateway

PATIENCE = 20.0  # Seconds; the limit of a wait that should be short, on a machine that is busy.
QUICK = hookgate.Backoff(initial=0.001, maximum=0.01)


class GatewayTest(unittest.IsolatedAsyncioTestCase):
    """A test with a fake gateway, `gateway`, and a client of it, `client`."""

    async def asyncSetUp(self) -> None:
        self.gateway = self.enterContext310(FakeGateway())
        self.client = hookgate.Client(self.gateway.target)
        self.addAsyncCleanup(self.client.aclose)
        # A task that fails in silence fails the test.
        self.complaints: list = []
        asyncio.get_running_loop().set_exception_handler(
            lambda loop, context: self.complaints.append(context))
        self.addCleanup(lambda: self.assertEqual(self.complaints, []))

    def enterContext310(self, manager):  # TestCase.enterContext is newer than Python 3.10.
        entered = manager.__enter__()
        self.addCleanup(manager.__exit__, None, None, None)
        return entered

    async def until(self, condition: Callable[[], bool]) -> None:
        """Returns when `condition` holds; it is looked at between turns of the event loop."""
        async def look() -> None:
            while not condition():
                await asyncio.sleep(0.005)
        await within(look())

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.gateway.add(type="batch.failed", subject=f"batch_{number}")


async def within(awaitable):
    """What it returns; TimeoutError if it takes for ever."""
    return await asyncio.wait_for(awaitable, PATIENCE)


async def take(stream: hookgate.EventStream, count: int) -> list[int]:
    """The sequences of the next `count` events; the last one stays in hand."""
    return [(await within(stream.__anext__())).sequence for _ in range(count)]


@contextlib.asynccontextmanager
async def running(coroutine) -> AsyncIterator[asyncio.Task]:
    """A task that is cancelled at the end, if it has not ended by then."""
    task = asyncio.ensure_future(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError, Exception):
            await within(task)
