"""The tasks that run handlers: few, and each handler as if it had one of its own."""

from __future__ import annotations

import asyncio
import contextvars
import sys
import unittest
from collections import deque

from hookgate.workers import Workers
from support import within

NOTE: contextvars.ContextVar[str] = contextvars.ContextVar("NOTE", default="")


class WorkersTest(unittest.IsolatedAsyncioTestCase):

    def setUp(self) -> None:
        self.waiting: deque = deque()
        self.most = 1000
        self.running: dict = {}  # Their tasks, by name.
        self.done: dict = {}
        self.failures: list = []
        self.tasks: list[asyncio.Task] = []  # One for each that has begun.

    def workers(self) -> Workers:
        return Workers(self.count, self.take, self.on_done, self.failures.append)

    def count(self) -> int:
        return min(len(self.waiting), self.most - len(self.running))

    def take(self, task: asyncio.Task):
        if self.count() == 0:
            return None
        name, handler = self.waiting.popleft()
        self.running[name] = task
        self.tasks.append(task)
        return name, handler()

    def on_done(self, name: str, error: BaseException | None) -> None:
        del self.running[name]
        self.done[name] = error

    async def until_done(self, count: int) -> None:
        async def look() -> None:
            while len(self.done) < count:
                await asyncio.sleep(0)
        await within(look())

    async def test_handlers_that_do_not_wait_share_a_task(self):
        # A task for each event was most of what an event cost.
        async def handle() -> None:
            pass

        self.waiting.extend((number, handle) for number in range(100))
        self.workers().start()
        await self.until_done(100)
        self.assertEqual(set(self.done.values()), {None})
        self.assertLess(len(set(self.tasks)), 100)

    async def test_handlers_that_wait_run_at_the_same_time_and_are_cancelled_one_by_one(self):
        go = asyncio.Event()

        async def handle() -> None:
            await go.wait()

        self.most = 3
        self.waiting.extend((number, handle) for number in range(5))
        self.workers().start()
        while len(self.running) < 3:
            await asyncio.sleep(0)
        self.assertEqual(len(set(self.tasks)), 3)
        self.running[1].cancel()
        await self.until_done(1)
        self.assertIsInstance(self.done[1], asyncio.CancelledError)
        go.set()
        await self.until_done(5)
        self.assertEqual([self.done[number] for number in (0, 2, 3, 4)], [None] * 4)

    async def test_a_handler_that_leaves_its_task_cancelled_harms_no_other(self):
        async def cancel_itself() -> None:
            asyncio.current_task().cancel()

        async def swallow() -> None:
            asyncio.current_task().cancel()
            try:
                await asyncio.sleep(0)
            except asyncio.CancelledError:
                pass

        async def wait() -> None:
            await asyncio.sleep(0)

        self.waiting.extend(enumerate([cancel_itself, wait, swallow, wait, swallow, cancel_itself]))
        self.workers().start()
        await self.until_done(6)
        self.assertEqual(self.done, dict.fromkeys(range(6)))
        self.assertEqual(self.failures, [])

    async def test_each_handler_has_a_context_of_its_own(self):
        seen: list[str] = []

        async def handle() -> None:
            seen.append(NOTE.get())
            NOTE.set("mine")
            await asyncio.sleep(0)
            seen.append(NOTE.get())

        async def handle_at_once() -> None:
            seen.append(NOTE.get())
            NOTE.set("mine")

        NOTE.set("of the caller")
        workers = self.workers()
        NOTE.set("later")
        self.most = 1
        self.waiting.extend(enumerate([handle_at_once, handle_at_once, handle, handle]))
        workers.start()
        await self.until_done(4)
        self.assertEqual(seen, ["of the caller", "of the caller", "of the caller", "mine",
                                "of the caller", "mine"])

    async def test_what_a_handler_raises_is_told(self):
        async def fail() -> None:
            raise LookupError("no such batch")

        async def fail_later() -> None:
            await asyncio.sleep(0)
            raise LookupError("no such batch")

        async def time_out() -> None:  # A cancellation that asyncio makes an error of its own.
            await asyncio.wait_for(asyncio.Event().wait(), 0.001)

        self.waiting.extend(enumerate([fail, fail_later, time_out]))
        self.workers().start()
        await self.until_done(3)
        self.assertEqual([type(error) for error in self.done.values()],
                         [LookupError, LookupError, asyncio.TimeoutError])

    async def test_slow_handlers_leave_the_event_loop_to_others(self):
        turns = 0
        at: list[int] = []

        def count_turns() -> None:
            nonlocal turns
            turns += 1
            asyncio.get_running_loop().call_soon(count_turns)

        async def handle() -> None:
            at.append(turns)
            ends = asyncio.get_running_loop().time() + 0.06
            while asyncio.get_running_loop().time() < ends:
                pass

        count_turns()
        self.waiting.extend((number, handle) for number in range(3))
        self.workers().start()
        await self.until_done(3)
        self.assertEqual(len(set(at)), 3, at)

    async def test_a_worker_that_is_cancelled_before_it_began_is_replaced(self):
        async def handle() -> None:
            pass

        self.waiting.append(("one", handle))
        workers = self.workers()
        workers.start()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        self.assertEqual(self.done, {})
        workers.start()
        await self.until_done(1)

    async def test_an_error_of_its_owner_is_told(self):
        def handle() -> None:
            raise TypeError("it takes no arguments")

        self.waiting.append(("one", handle))
        self.workers().start()
        while not self.failures:
            await asyncio.sleep(0)
        self.assertIsInstance(self.failures[0], TypeError)

    @unittest.skipIf(sys.version_info < (3, 12), "asyncio.eager_task_factory is of Python 3.12")
    async def test_eager_tasks_do_not_begin_one_within_another(self):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
        go = asyncio.Event()

        async def handle() -> None:
            await go.wait()

        self.waiting.extend((number, handle) for number in range(1000))
        self.workers().start()
        while len(self.running) < 1000:
            await asyncio.sleep(0)
        go.set()
        await self.until_done(1000)
        self.assertEqual(self.failures, [])


if __name__ == "__main__":
    unittest.main()
