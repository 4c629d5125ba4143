"""Subscribing: order, positions, broken streams, and the ways in which asyncio can leave a loop."""

from __future__ import annotations

import asyncio
import datetime
import os
import tempfile
import threading
import unittest

import grpc

import hookgate
from hookgate.testing import FakeError
from hookgate.v1 import event_service_pb2 as events
from support import QUICK, GatewayTest, running, take, within


class EventStreamTest(GatewayTest):

    def subscribe(self, **options) -> hookgate.EventStream:
        options.setdefault("start", hookgate.EARLIEST)
        options.setdefault("backoff", QUICK)
        return self.client.subscribe(**options)

    async def test_goes_on_after_the_last_handled_event_over_broken_streams(self):
        self.add(1, 2, 3)
        stream = self.subscribe()
        self.assertEqual(await take(stream, 3), [1, 2, 3])
        self.gateway.end_streams(FakeError(grpc.StatusCode.UNAVAILABLE))
        self.add(4)
        self.assertEqual(await take(stream, 1), [4])
        self.gateway.end_streams()
        self.add(5)
        self.assertEqual(await take(stream, 1), [5])

    async def test_starts_where_the_stream_was_opened_even_if_that_breaks_at_once(self):
        # "latest" at the second stream would leave out what was stored between the two.
        states: list = []
        stream = self.subscribe(start=hookgate.LATEST, on_state=states.append)
        async with running(stream.__anext__()) as first:
            await self.until(lambda: any(isinstance(s, hookgate.CaughtUp) for s in states))
            self.gateway.fail("Subscribe", FakeError(grpc.StatusCode.UNAVAILABLE))
            self.gateway.end_streams()
            self.add(1)
            self.assertEqual((await within(first)).sequence, 1)

    async def test_filters_and_since(self):
        self.gateway.add(type="batch.completed")
        self.add(1)
        async for event in self.subscribe(types=["batch.failed"]):
            self.assertEqual(event.sequence, 2)
            break
        after = self.gateway.events[1].receive_time.ToDatetime(datetime.timezone.utc)
        self.assertEqual(await take(self.subscribe(start=after), 1), [2])
        self.assertEqual(await take(self.subscribe(start=hookgate.After("fake-1")), 1), [2])

    async def test_position_moves_when_the_loop_asks_for_the_next_event(self):
        self.add(1, 2, 3)
        store = hookgate.MemoryCursorStore()
        async for event in self.subscribe(cursors=store, save_interval=0):
            if event.sequence == 2:
                break  # Not handled: it comes again.
        async with self.subscribe(cursors=store) as stream:
            self.assertEqual(await take(stream, 1), [2])
            await stream.commit()
        self.assertEqual(store.cursor, "fake-2")

    async def test_a_loop_that_is_left_closes_the_stream_and_stores_its_position(self):
        self.add(1, 2, 3)
        store = hookgate.MemoryCursorStore()
        async for event in self.subscribe(cursors=store, save_interval=3600):
            if event.sequence == 3:
                break
        await self.until(lambda: store.cursor == "fake-2")
        await self.until(lambda: all(s.over for s in self.client._open))

    async def test_a_wait_that_is_cancelled_loses_nothing(self):
        stream = self.subscribe()
        for _ in range(3):
            with self.assertRaises(asyncio.TimeoutError):
                await asyncio.wait_for(stream.__anext__(), 0.02)
        self.add(1)
        self.assertEqual(await take(stream, 1), [1])
        self.assertEqual(len(self.gateway.requests), 1)  # The same stream all the time.

    async def test_a_stream_that_waits_holds_no_events(self):
        self.add(1, 2, 3)
        stream = self.subscribe()
        await take(stream, 3)
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.__anext__(), 0.02)
        self.assertEqual(stream._subscriber._batch, [])
        self.assertEqual(stream.cursor, "fake-3")

    async def test_a_wait_for_the_back_off_can_be_cancelled_and_goes_on(self):
        told: list = []
        self.gateway.fail("Subscribe", FakeError(grpc.StatusCode.UNAVAILABLE))
        stream = self.subscribe(backoff=hookgate.Backoff(0.2, 0.2), on_state=told.append)
        async with running(stream.__anext__()):
            await self.until(lambda: bool(told))
        self.add(1)
        self.assertEqual(await take(stream, 1), [1])

    async def test_a_cancelled_save_is_finished_before_the_next(self):
        # The first save hangs in a thread; a second one beside it could be overtaken by the first.
        gate = threading.Event()
        self.addCleanup(gate.set)
        gate.set()
        saved: list = []

        class Store(hookgate.MemoryCursorStore):
            async def save(self, cursor: str) -> None:
                await asyncio.to_thread(gate.wait)
                saved.append(cursor)

        self.add(1, 2)
        stream = self.subscribe(cursors=Store(), save_interval=0)
        await take(stream, 1)
        gate.clear()
        with self.assertRaises(asyncio.TimeoutError):
            await asyncio.wait_for(stream.__anext__(), 0.02)
        gate.set()
        self.assertEqual(await take(stream, 1), [2])
        await stream.aclose()
        self.assertEqual(saved, ["fake-0", "fake-1"])

    async def test_an_error_of_the_store_ends_the_loop(self):
        def fail(*_) -> None:
            raise OSError("disk is gone")

        self.add(1)
        for store in (hookgate.CallbackCursorStore(fail, fail),
                      hookgate.CallbackCursorStore(lambda: None, fail)):
            with self.assertRaisesRegex(hookgate.CursorStoreError, "disk is gone"):
                await within(self.subscribe(cursors=store).run(lambda event: None))

    async def test_a_refused_cursor_stays_as_it_is(self):
        store = hookgate.MemoryCursorStore("of-another-log")
        stream = self.subscribe(cursors=store)
        for _ in range(2):  # It does not end in silence when asked again.
            with self.assertRaises(hookgate.CursorOfAnotherLog) as caught:
                await take(stream, 1)
        self.assertEqual(caught.exception.earliest_cursor, "fake-0")
        self.assertIn("start from the earliest event (cursor fake-0)", str(caught.exception))
        self.assertEqual(store.cursor, "of-another-log")

    async def test_file_store_survives_the_process(self):
        self.add(1, 2)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "cursor")
            async with self.subscribe(cursors=hookgate.FileCursorStore(path)) as stream:
                await take(stream, 2)
                await stream.commit()
            with open(path, encoding="ascii") as file:
                self.assertEqual(file.read(), "fake-2\n")
            self.add(3)
            async with self.subscribe(cursors=hookgate.FileCursorStore(path)) as stream:
                self.assertEqual(await take(stream, 1), [3])

    async def test_draining_is_told_and_its_delay_is_kept(self):
        told: list = []
        stream = self.subscribe(on_state=told.append)
        async with running(stream.__anext__()) as first:
            await self.until(lambda: len(told) == 2)  # Opened, CaughtUp.
            self.gateway.end_streams(0.05)
            self.add(1)
            await within(first)
        kinds = [type(state).__name__ for state in told]
        self.assertEqual(kinds[:4], ["Opened", "CaughtUp", "Draining", "Disconnected"])
        self.assertEqual(told[2].delay, 0.05)
        self.assertEqual(told[3].delay, 0.05)
        self.assertEqual(told[3].error.reason, "DRAINING")

    async def test_a_silent_stream_is_dead(self):
        self.gateway.silent = True
        told: list = []
        stream = self.subscribe(heartbeat=0.1, on_state=told.append)
        async with running(stream.__anext__()):
            await self.until(lambda: any(isinstance(s, hookgate.Disconnected) for s in told))
        error = next(s.error for s in told if isinstance(s, hookgate.Disconnected))
        self.assertIn("nothing came from the gateway", str(error))
        self.assertTrue(error.retryable)

    async def test_a_busy_application_is_not_a_silent_stream(self):
        # The loop was held up for longer than the patience; the frames had come meanwhile.
        told: list = []
        stream = self.subscribe(heartbeat=0.1, on_state=told.append)
        async with running(stream.__anext__()) as first:
            await self.until(lambda: bool(told))
            threading.Event().wait(0.5)  # Nothing else runs on this loop.
            await self.until(lambda: any(isinstance(s, hookgate.Heartbeat) for s in told))
            self.add(1)
            await within(first)
        self.assertFalse([s for s in told if isinstance(s, hookgate.Disconnected)])

    async def test_what_a_callback_raises_comes_out_of_the_loop(self):
        def on_state(state: hookgate.State) -> None:
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            await take(self.subscribe(on_state=on_state), 1)

    async def test_stop_ends_the_loop_and_counts_what_is_in_hand(self):
        self.add(1, 2)
        store = hookgate.MemoryCursorStore()
        stream = self.subscribe(cursors=store)
        async for _ in stream:
            stream.stop()
        self.assertEqual(store.cursor, "fake-1")
        waiting = self.subscribe(start=hookgate.LATEST)
        async with running(waiting.run(print)) as run:
            await asyncio.sleep(0)
            waiting.stop()
            await within(run)

    async def test_handler_form_hands_out_each_once_and_stops_within_a_frame(self):
        for plain in (True, False):
            with self.subTest(plain=plain):
                self.add(*range(10))
                store = hookgate.MemoryCursorStore()
                stream = self.subscribe(cursors=store, save_interval=3600)
                seen: list[int] = []

                async def handle(event: hookgate.Event) -> None:
                    seen.append(event.sequence)
                    if event.sequence == 3:
                        await stream.commit()
                        self.assertEqual(store.cursor, "fake-3")
                    if event.sequence == 7:
                        stream.stop()

                def handle_plainly(event: hookgate.Event) -> None:
                    seen.append(event.sequence)
                    if event.sequence > 1:
                        self.assertEqual(stream.cursor, f"fake-{event.sequence - 1}")
                    if event.sequence == 7:
                        stream.stop()

                await within(stream.run(handle_plainly if plain else handle))
                self.assertEqual(seen, list(range(1, 8)))
                self.assertEqual(store.cursor, "fake-7")

    async def test_handler_form_ends_with_the_handlers_error(self):
        self.add(1, 2)
        store = hookgate.MemoryCursorStore()

        async def handle(event: hookgate.Event) -> None:
            if event.sequence == 2:
                raise LookupError("no such batch")

        with self.assertRaisesRegex(LookupError, "no such batch"):
            await within(self.subscribe(cursors=store).run(handle))
        self.assertEqual(store.cursor, "fake-1")

    async def test_two_tasks_cannot_read_one_stream(self):
        stream = self.subscribe()
        async with running(stream.__anext__()):
            await asyncio.sleep(0)
            with self.assertRaises(RuntimeError):
                await stream.__anext__()

    async def test_a_final_error_ends_the_loop_and_others_are_tried_again(self):
        self.add(1)
        for error in (FakeError(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"),
                      FakeError(grpc.StatusCode.NOT_FOUND), FakeError(grpc.StatusCode.INTERNAL)):
            self.gateway.fail("Subscribe", error)
        self.gateway.fail("Subscribe", FakeError(grpc.StatusCode.PERMISSION_DENIED,
                                                 "MISSING_RIGHT", "not allowed"))
        with self.assertRaises(hookgate.MissingRight) as caught:
            await take(self.subscribe(), 1)
        self.assertEqual(len(self.gateway.requests), 4)
        self.assertIn("Ask the gateway's operator for access", str(caught.exception))

    async def test_a_renewed_token_is_tried_before_giving_up(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "token")
            write(path, "old\n")
            client = hookgate.Client(self.gateway.target, token_file=path)
            self.addAsyncCleanup(client.aclose)
            self.add(1, 2)
            stream = client.subscribe(start=hookgate.EARLIEST, backoff=QUICK)
            await take(stream, 1)
            write(path, "new\n")
            refused = FakeError(grpc.StatusCode.UNAUTHENTICATED, "UNAUTHENTICATED", "who is that")
            self.gateway.end_streams(refused)
            self.add(3)
            self.assertEqual(await take(stream, 2), [2, 3])
            self.gateway.end_streams(refused)
            with self.assertRaises(hookgate.Unauthenticated):  # The token is as it was.
                await take(stream, 1)

    async def test_a_token_that_another_call_has_shown_is_new_to_the_stream_all_the_same(self):
        # The token was compared with that of the client's last call, whichever that was.
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "token")
            write(path, "old\n")
            client = hookgate.Client(self.gateway.target, token_file=path)
            self.addAsyncCleanup(client.aclose)
            self.add(1, 2)
            stream = client.subscribe(start=hookgate.EARLIEST, backoff=QUICK)
            await take(stream, 1)
            write(path, "new\n")
            await client.get_event(1)
            # Without a reason: it may be a proxy that wants a token.
            self.gateway.end_streams(FakeError(grpc.StatusCode.UNAUTHENTICATED, "", "who is that"))
            self.add(3)
            self.assertEqual(await take(stream, 2), [2, 3])

    async def test_an_event_that_is_taken_is_in_hand_before_whoever_takes_it_says_so(self):
        # Ctrl-C may come in between, and the position must not move past what nobody has seen.
        self.add(1, 2, 3)
        stream = self.subscribe(cursors=hookgate.MemoryCursorStore(), save_interval=3600)
        await take(stream, 1)
        self.assertEqual(next(stream._subscriber.ready).sequence, 2)
        self.assertEqual(stream.cursor, "fake-1")

    async def test_closing_the_client_closes_its_streams(self):
        self.add(1, 2)
        store = hookgate.MemoryCursorStore()
        async with hookgate.Client(self.gateway.target) as client:
            stream = client.subscribe(start=hookgate.EARLIEST, cursors=store, save_interval=3600)
            await take(stream, 2)
        self.assertEqual(store.cursor, "fake-1")
        with self.assertRaises(StopAsyncIteration):
            await stream.__anext__()

    async def test_requests_that_cannot_be_right_are_refused_at_once(self):
        for options in ({"types": "batch.failed"}, {"heartbeat": float("nan")},
                        {"start": "earliest"}, {"open_timeout": 0}, {"save_interval": -1}):
            with self.subTest(options), self.assertRaises(hookgate.UsageError):
                self.client.subscribe(**options)
        self.assertEqual(self.gateway.requests, [])

    async def test_the_request_says_what_was_asked_for(self):
        self.add(1)
        await take(self.subscribe(client_name="me", heartbeat=2.5, include_raw_body=True), 1)
        self.assertEqual(self.gateway.requests[0], events.SubscribeRequest(
            client_name="me", include_raw_body=True,
            heartbeat_interval={"seconds": 2, "nanos": 500_000_000}, filter={},
            start_position=events.START_POSITION_EARLIEST))


def write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


if __name__ == "__main__":
    unittest.main()
