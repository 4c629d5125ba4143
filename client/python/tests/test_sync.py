"""hookgate.sync: the same, from threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import signal
import threading
import unittest
from unittest import mock

import hookgate
import hookgate.sync
from hookgate.testing import FakeGateway
from support import PATIENCE, QUICK


class SyncTest(unittest.TestCase):

    def setUp(self) -> None:
        self.gateway = FakeGateway()
        self.gateway.__enter__()
        self.addCleanup(self.gateway.__exit__, None, None, None)
        self.client = hookgate.sync.Client(self.gateway.target)
        self.addCleanup(self.client.close)

    def test_loops_queries_and_errors(self):
        for number in (1, 2, 3):
            self.gateway.add(type="batch.failed", subject=f"batch_{number}")
        store = hookgate.MemoryCursorStore()
        with self.client.subscribe(start=hookgate.EARLIEST, cursors=store) as stream:
            for event in stream:
                if event.sequence == 2:
                    stream.commit()
                    break
        self.assertEqual(store.cursor, "fake-2")
        self.assertEqual(self.client.get_event(3).subject, "batch_3")
        self.assertEqual([e.sequence for e in self.client.list_events()], [3, 2, 1])
        with self.assertRaises(hookgate.EventNotFound):
            self.client.get_event(4)

    def test_a_loop_that_is_stopped_gets_no_further_event_though_some_are_at_hand(self):
        for _ in range(300):
            self.gateway.add(type="batch.failed")
        store = hookgate.MemoryCursorStore()
        seen: list[int] = []
        stream = self.client.subscribe(start=hookgate.EARLIEST, cursors=store)
        for event in stream:
            seen.append(event.sequence)
            if event.sequence == 200:
                stream.stop()
        self.assertEqual(seen, list(range(1, 201)))
        self.assertEqual(store.cursor, "fake-200")

    def test_positions_are_stored_while_events_are_at_hand(self):
        for _ in range(50):
            self.gateway.add(type="batch.failed")
        saved: list[str] = []

        class Store(hookgate.MemoryCursorStore):
            async def save(self, cursor: str) -> None:
                saved.append(cursor)

        with self.client.subscribe(start=hookgate.EARLIEST, cursors=Store(),
                                   save_interval=0) as stream:
            for event in stream:
                if event.sequence == 50:
                    break
        self.assertEqual(saved[-1], "fake-49")
        self.assertIn("fake-20", saved)

    def test_handlers_run_in_threads_and_find_out_that_their_event_is_lost(self):
        subscription = self.gateway.create_subscription("billing")
        self.gateway.add(type="batch.failed")
        lost = threading.Event()
        threads: set = set()

        def handle(delivery: hookgate.Delivery) -> None:
            threads.add(threading.current_thread().name)
            if delivery.attempt == 1 and delivery.reason == "NEW":
                self.gateway.end_streams()
                until = threading.Event()
                for _ in range(int(PATIENCE / 0.01)):
                    if delivery.lost:
                        lost.set()
                        return
                    until.wait(0.01)

        self.client.consume("billing", handle, max_events=1, backoff=QUICK)
        self.assertTrue(lost.is_set())
        self.assertTrue(all(name.startswith("hookgate-handler") for name in threads))
        self.assertIn(subscription.acked, ([], [1]))

    def test_keyboard_interrupt_ends_a_call_in_good_order(self):
        # Python leaves the signal as it is where it was started with it ignored, as a shell's background jobs are.
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, before)
        subscription = self.gateway.create_subscription("billing")
        self.gateway.add(type="batch.failed")

        def handle(delivery: hookgate.Delivery) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        with self.assertRaises(KeyboardInterrupt):
            self.client.consume("billing", handle)
        self.assertEqual(subscription.acked, [1])
        with self.assertRaises(KeyboardInterrupt):
            threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
            next(self.client.subscribe())

    def test_an_event_that_came_with_an_interrupt_is_not_passed_over(self):
        for _ in range(3):
            self.gateway.add(type="batch.failed")
        store = hookgate.MemoryCursorStore()
        stream = self.client.subscribe(start=hookgate.EARLIEST, cursors=store, save_interval=0)
        self.assertEqual(next(stream).sequence, 1)
        run = stream._loop.run

        def interrupted(coroutine):
            run(coroutine)
            raise KeyboardInterrupt

        with mock.patch.object(stream._loop, "run", interrupted):
            with self.assertRaises(KeyboardInterrupt):
                next(stream)
        stream.commit()
        self.assertEqual(store.cursor, "fake-1")
        self.assertEqual(next(stream).sequence, 2)
        self.assertEqual(next(stream).sequence, 3)

    def test_what_ends_programs_ends_the_call_and_not_the_loop(self):
        # It ended the loop's thread in silence, and the call that waited for it never returned.
        self.gateway.create_subscription("billing")
        for ending in (SystemExit(3), KeyboardInterrupt()):
            with self.subTest(ending=ending):
                self.gateway.add(type="batch.failed")

                def handle(delivery: hookgate.Delivery, ending=ending) -> None:
                    raise ending

                with self.assertRaises(type(ending)):
                    self.client.consume("billing", handle)
                self.assertEqual(self.client.get_event(1).sequence, 1)

        def tell(state: hookgate.State) -> None:
            raise SystemExit(4)

        for start in (lambda: self.client.consume("billing", print, on_state=tell),
                      lambda: next(self.client.subscribe(on_state=tell))):
            with self.assertRaises(SystemExit):
                start()
            self.assertEqual(self.client.get_event(1).sequence, 1)

    def test_a_handler_that_raises_stop_iteration_is_nacked(self):
        # No future takes it: the delivery was held until its lease ended, and a stop waited for it.
        subscription = self.gateway.create_subscription("billing")
        self.gateway.add(type="batch.failed")

        def handle(delivery: hookgate.Delivery) -> None:
            if delivery.attempt == 1:
                next(iter(()))

        self.client.consume("billing", handle, max_events=2, backoff=QUICK)
        self.assertEqual(subscription.acked, [1])

    def test_a_call_that_is_cancelled_before_it_begins_ends(self):
        loop = self.client._loop._loop
        held_up, go_on = threading.Event(), threading.Event()
        self.addCleanup(go_on.set)
        loop.call_soon_threadsafe(lambda: (held_up.set(), go_on.wait(PATIENCE)))
        self.assertTrue(held_up.wait(PATIENCE))

        async def never() -> None:
            raise AssertionError("it has begun")

        begun = hookgate.sync._Begun(loop, never())
        loop.call_soon_threadsafe(begun._cancel)
        go_on.set()
        with self.assertRaises(asyncio.CancelledError):
            begun.wait()

    def test_closing_ends_calls_of_other_threads(self):
        self.gateway.create_subscription("billing")
        waiting = concurrent.futures.ThreadPoolExecutor(2)
        self.addCleanup(waiting.shutdown)
        stream = self.client.subscribe()
        calls = [waiting.submit(self.client.pull, "billing", 1, wait=PATIENCE),
                 waiting.submit(next, stream, None)]
        self.gateway.wait_until(lambda: len(self.gateway.requests) >= 2)
        self.client.close()
        concurrent.futures.wait(calls, PATIENCE)
        self.assertTrue(all(call.done() for call in calls))

    def test_a_closed_client_says_so_and_closes_once(self):
        self.client.close()
        self.client.close()
        with self.assertRaisesRegex(hookgate.UsageError, "closed"):
            self.client.get_event(1)

    def test_stop_from_another_thread(self):
        stream = self.client.subscribe()
        threading.Timer(0.05, stream.stop).start()
        self.assertEqual(list(stream), [])


if __name__ == "__main__":
    unittest.main()
