"""What tells a dead stream from one whose reader had no time to look."""

from __future__ import annotations

import asyncio
import sys
import time
import unittest

from hookgate.errors import TransportError
from hookgate.frame_reader import FrameReader
from support import within


class FakeCall:
    """A call whose frames the test sends."""

    def __init__(self) -> None:
        self.frames: asyncio.Queue = asyncio.Queue()
        self.reading = asyncio.Event()
        self.cancelled = False
        self._read: asyncio.Future | None = None

    async def read(self):
        self.reading.set()
        self._read = asyncio.ensure_future(self.frames.get())
        return await self._read

    def cancel(self) -> None:
        self.cancelled = True
        if self._read is not None:
            self._read.cancel()


class FrameReaderTest(unittest.IsolatedAsyncioTestCase):

    async def asyncSetUp(self) -> None:
        self.call = FakeCall()
        self.reader = FrameReader(self.call, "cannot consume billing", "localhost:1")
        self.addAsyncCleanup(self.reader.close)

    async def test_silence_ends_the_call_and_says_how_long_it_was(self):
        for wait in (self.reader.receive, self.reader.next):
            error = await within(wait(0.01))
            self.assertIsInstance(error, TransportError)
            self.assertIn("nothing came from the gateway at localhost:1 for 0.01 s", str(error))
            self.assertTrue(self.call.cancelled)

    async def test_a_wait_that_was_in_time_is_not_ended_by_an_earlier_one(self):
        self.call.frames.put_nowait("first")
        self.assertEqual(await within(self.reader.receive(0.01)), "first")
        # Its timer comes while the next wait, which is longer, goes on.
        asyncio.get_running_loop().call_later(0.1, self.call.frames.put_nowait, "second")
        self.assertEqual(await within(self.reader.receive(20)), "second")
        self.assertFalse(self.call.cancelled)

    async def test_an_event_loop_that_was_held_up_goes_on_waiting(self):
        loop = asyncio.get_running_loop()
        waiting = asyncio.ensure_future(self.reader.receive(0.2))
        await within(self.call.reading.wait())
        time.sleep(0.5)  # What is tested is a loop that cannot run.
        # The frame comes when the silence has been noticed, and before anything is done about it.
        loop.call_soon(lambda: loop.call_soon(self.call.frames.put_nowait, "late"))
        self.assertEqual(await within(waiting), "late")
        self.assertFalse(self.call.cancelled)

    async def test_a_call_that_is_cancelled_has_ended(self):
        waiting = asyncio.ensure_future(self.reader.receive(20))
        await within(self.call.reading.wait())
        self.call.cancel()
        self.assertIn("the stream was cancelled", str(await within(waiting)))

    @unittest.skipIf(sys.version_info < (3, 11), "Python 3.10 cannot tell the two apart")
    async def test_a_task_that_is_cancelled_is(self):
        waiting = asyncio.ensure_future(self.reader.receive(20))
        await within(self.call.reading.wait())
        waiting.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await within(waiting)


if __name__ == "__main__":
    unittest.main()
