"""Consuming: verdicts, leases, and the ways to stop, with all that asyncio can do to a task."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import unittest

import grpc
from google.protobuf import duration_pb2

import hookgate
from hookgate.testing import FakeError
from hookgate.v1 import subscription_service_pb2 as api
from support import PATIENCE, QUICK, GatewayTest, running, within


class ConsumerTest(GatewayTest):

    async def asyncSetUp(self) -> None:
        await super().asyncSetUp()
        self.subscription = self.gateway.create_subscription("billing")
        self.begun: list[hookgate.Delivery] = []
        self.let_go = asyncio.Event()

    def consumer(self, handler, **options) -> hookgate.Consumer:
        options.setdefault("backoff", QUICK)
        return self.client.consumer("billing", handler, **options)

    async def hold(self, delivery: hookgate.Delivery) -> None:
        """A handler that ends when the test says so."""
        self.begun.append(delivery)
        await self.let_go.wait()

    async def test_returning_acks(self):
        self.add(1, 2, 3)
        handled: list = []
        consumer = self.consumer(lambda delivery: handled.append(delivery.event.sequence),
                                 max_events=3)
        await within(consumer.run())
        self.assertEqual(handled, [1, 2, 3])
        self.assertEqual(self.subscription.acked, [1, 2, 3])

    async def test_raising_nacks_and_dead_letters(self):
        self.add(1)
        seen: list = []

        async def handle(delivery: hookgate.Delivery) -> None:
            seen.append((delivery.attempt, delivery.reason, delivery.nack_reason))
            if delivery.attempt == 1:
                raise LookupError("no such batch")
            if delivery.attempt == 2:
                raise hookgate.Nack("busy", delay=0.01)
            raise hookgate.DeadLetter("never")

        with self.assertLogs("hookgate", "WARNING") as logs:
            await within(self.consumer(handle, max_events=3).run())
        self.assertIn("no such batch", logs.output[0])
        self.assertEqual(seen, [(1, "NEW", ""), (2, "NACKED", "LookupError: no such batch"),
                                (3, "NACKED", "busy")])
        self.assertEqual(self.subscription.dead_letters, {1: "never"})

    async def test_no_more_than_concurrency_are_handled_at_a_time(self):
        self.add(*range(1, 10))
        consumer = self.consumer(self.hold, concurrency=3)
        async with running(consumer.run()) as run:
            await self.until(lambda: len(self.begun) == 3)
            self.assertEqual(self.gateway.requests[-1].open.limits.max_outstanding_messages, 3)
            consumer.stop()
            self.let_go.set()
            await within(run)
        self.assertEqual(len(self.begun), 3)
        self.assertEqual(sorted(self.subscription.acked), [1, 2, 3])

    async def test_cancellation_waits_for_handlers_and_their_acks(self):
        self.add(1, 2)
        task = asyncio.ensure_future(self.client.consume("billing", self.hold))
        await self.until(lambda: bool(self.begun))
        task.cancel()
        await asyncio.sleep(0)
        self.assertFalse(task.done())
        self.let_go.set()
        with self.assertRaises(asyncio.CancelledError):
            await within(task)
        self.assertEqual(self.subscription.acked, [1])  # Durable before the call returned.

    async def test_a_second_cancellation_gives_back(self):
        self.add(1)
        task = asyncio.ensure_future(self.client.consume("billing", self.hold))
        await self.until(lambda: bool(self.begun))
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await within(task)
        self.assertTrue(self.begun[0].lost)
        self.assertEqual(self.subscription.acked, [])
        self.assertEqual(self.given_back(), (1, api.DELIVERY_REASON_STREAM_ENDED))

    def given_back(self) -> tuple[int, int]:
        """Attempt and reason with which event 1 will come again."""
        entries = self.subscription._entries
        self.gateway.wait_until(lambda: not entries[1].delivery_id)
        return entries[1].attempt, entries[1].reason

    async def test_a_third_cancellation_waits_for_nobody(self):
        self.add(1)
        stubborn_over = asyncio.Event()

        async def stubborn(delivery: hookgate.Delivery) -> None:
            self.begun.append(delivery)
            while not stubborn_over.is_set():
                try:
                    await stubborn_over.wait()
                except asyncio.CancelledError:
                    continue

        task = asyncio.ensure_future(self.client.consume("billing", stubborn))
        await self.until(lambda: bool(self.begun))
        for _ in range(3):
            task.cancel()
            await asyncio.sleep(0)
        with self.assertRaises(asyncio.CancelledError):
            await within(task)
        stubborn_over.set()

    async def test_stop_give_back_option(self):
        self.add(1)
        task = asyncio.ensure_future(self.client.consume("billing", self.hold, stop="give_back"))
        await self.until(lambda: bool(self.begun))
        task.cancel()
        with self.assertRaises(asyncio.CancelledError):
            await within(task)
        self.assertEqual(self.given_back(), (1, api.DELIVERY_REASON_STREAM_ENDED))

    async def test_stop_timeout_turns_waiting_into_giving_back(self):
        self.add(1)
        consumer = self.consumer(self.hold, stop_timeout=0.05)
        async with running(consumer.run()) as run:
            await self.until(lambda: bool(self.begun))
            consumer.stop()
            await within(run)
        self.assertEqual(self.given_back(), (1, api.DELIVERY_REASON_STREAM_ENDED))

    async def test_a_handler_that_swallows_its_cancellation_and_returns_acks(self):
        self.add(1)

        async def handle(delivery: hookgate.Delivery) -> None:
            self.begun.append(delivery)
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                pass  # It had finished its work.

        consumer = self.consumer(handle)
        async with running(consumer.run()) as run:
            await self.until(lambda: bool(self.begun))
            consumer.stop("give_back")
            await within(run)
        self.assertEqual(self.subscription.acked, [1])

    async def test_a_handler_that_hangs_is_given_back_all_the_same(self):
        self.add(1)

        async def handle(delivery: hookgate.Delivery) -> None:
            self.begun.append(delivery)
            while not self.let_go.is_set():
                try:
                    await self.let_go.wait()
                except asyncio.CancelledError:
                    continue

        consumer = self.consumer(handle, give_back_timeout=0.05)
        async with running(consumer.run()) as run:
            await self.until(lambda: bool(self.begun))
            consumer.stop("give_back")
            self.assertEqual(await asyncio.to_thread(self.given_back),
                             (1, api.DELIVERY_REASON_STREAM_ENDED))
            self.assertFalse(run.done())  # It returns when no handler runs any more.
            self.let_go.set()
            await within(run)

    async def test_leases_are_extended_while_a_handler_runs(self):
        subscription = self.gateway.create_subscription("short", ack_deadline=0.3)
        self.add(1)
        consumer = self.client.consumer("short", self.hold)
        async with running(consumer.run()) as run:
            await self.until(lambda: bool(self.begun))
            entry = subscription._entries[1]
            first_end = entry.lease_ends
            await self.until(lambda: entry.lease_ends > first_end + 0.4)
            self.assertFalse(self.begun[0].lost)
            self.let_go.set()
            consumer.stop()
            await within(run)
        self.assertEqual(subscription.acked, [1])

    async def test_a_lease_that_is_not_extended_any_more_is_lost(self):
        subscription = self.gateway.create_subscription("short", ack_deadline=0.2, max_attempts=1)
        self.add(1)
        consumer = self.client.consumer("short", self.hold, longest_lease=0)
        async with running(consumer.run()):
            await self.until(lambda: bool(self.begun) and self.begun[0].lost)
            self.assertEqual(subscription.acked, [])

    async def test_an_extension_that_is_refused_cancels_the_handler(self):
        self.gateway.create_subscription("short", ack_deadline=0.3)
        self.add(1)
        consumer = self.client.consumer("short", self.hold)
        async with running(consumer.run()):
            await self.until(lambda: bool(self.begun))
            with self.gateway._changed:  # As a seek does.
                self.gateway.subscriptions["short"]._entries.clear()
            await self.until(lambda: self.begun[0].lost)

    async def test_a_broken_stream_cancels_handlers_and_the_event_comes_again(self):
        self.add(1)
        told: list = []
        consumer = self.consumer(self.hold, on_state=told.append)
        async with running(consumer.run()) as run:
            await self.until(lambda: bool(self.begun))
            self.gateway.end_streams(FakeError(grpc.StatusCode.UNAVAILABLE))
            await self.until(lambda: len(self.begun) == 2)
            self.assertTrue(self.begun[0].lost)
            self.assertEqual(self.begun[1].reason, "STREAM_LOST")
            self.let_go.set()
            consumer.stop()
            await within(run)
        self.assertEqual(self.subscription.acked, [1])
        self.assertEqual([type(s).__name__ for s in told],
                         ["Opened", "Disconnected", "Opened"])

    async def test_no_event_is_handled_twice_at_a_time(self):
        # The handler goes on after its stream broke; the event comes again meanwhile, and the
        # handler's verdict counts for the newer delivery.
        self.add(1)

        async def handle(delivery: hookgate.Delivery) -> None:
            self.begun.append(delivery)
            while not self.let_go.is_set():
                try:
                    await self.let_go.wait()
                except asyncio.CancelledError:
                    continue

        consumer = self.consumer(handle, concurrency=2)
        async with running(consumer.run()) as run:
            await self.until(lambda: bool(self.begun))
            self.gateway.end_streams()
            await self.until(lambda: consumer._held[1].again is not None)
            self.let_go.set()
            await self.until(lambda: self.subscription.acked == [1])
            consumer.stop()
            await within(run)
        self.assertEqual(len(self.begun), 1)

    async def test_of_what_waits_for_a_handler_the_newest_delivery_counts(self):
        self.add(1)

        def deliveries(*ids: str) -> api.ConsumeResponse.Deliveries:
            made = [api.Delivery(delivery_id=id, event={"sequence": int(id[0])}) for id in ids]
            return api.ConsumeResponse.Deliveries(deliveries=made)

        consumer = self.consumer(self.hold, max_events=3)
        async with running(consumer.run()) as run:
            await self.until(lambda: bool(self.begun))
            consumer._accept(deliveries("2-old", "3-old", "4-old"))
            consumer._accept(deliveries("2-new"))
            consumer._lose("3-old")
            self.let_go.set()
            await within(run)
        self.assertEqual([delivery.delivery_id for delivery in self.begun][1:], ["2-new", "4-old"])

    async def test_give_back_stops_the_consumer(self):
        self.add(1, 2)

        def handle(delivery: hookgate.Delivery) -> None:
            raise hookgate.GiveBack()

        await within(self.consumer(handle).run())
        self.assertEqual(self.given_back(), (1, api.DELIVERY_REASON_STREAM_ENDED))
        self.assertEqual(self.subscription.acked, [])

    async def test_a_handler_that_was_cancelled_by_somebody_else_nacks(self):
        self.add(1)

        async def handle(delivery: hookgate.Delivery) -> None:
            if delivery.attempt == 1:
                raise asyncio.CancelledError

        await within(self.consumer(handle, max_events=2).run())
        self.assertEqual(self.subscription.acked, [1])

    async def test_a_handler_that_stops_the_consumer_and_returns_acks(self):
        # It had not waited for anything, so its task ended by the cancellation, and it was given
        # back although it had returned.
        self.add(1)

        async def handle(delivery: hookgate.Delivery) -> None:
            consumer.stop("give_back")
            self.assertTrue(delivery.lost)

        consumer = self.consumer(handle)
        await within(consumer.run())
        self.assertEqual(self.subscription.acked, [1])

    async def test_acks_of_fast_handlers_go_together(self):
        self.add(*range(1, 101))
        acks: list[int] = []
        settle = self.gateway._settle
        self.gateway._settle = lambda found, frame: (acks.append(len(frame.ack.delivery_ids)),
                                                     settle(found, frame))[1]

        async def handle(delivery: hookgate.Delivery) -> None:
            pass

        await within(self.consumer(handle, concurrency=100, max_events=100).run())
        self.assertEqual(sorted(self.subscription.acked), list(range(1, 101)))
        self.assertEqual(sum(acks), 100)
        self.assertLess(len(acks), 50)

    async def test_a_handler_that_cannot_be_called_ends_it(self):
        self.add(1)

        async def handle() -> None:
            pass

        with self.assertRaisesRegex(TypeError, "handle"):
            await within(self.consumer(handle).run())
        self.assertEqual(self.given_back(), (1, api.DELIVERY_REASON_STREAM_ENDED))

    async def test_final_errors_end_it_and_what_a_callback_raises(self):
        with self.assertRaises(hookgate.SubscriptionNotFound):
            await within(self.client.consume("nothing", self.hold))

        def on_state(state: hookgate.State) -> None:
            raise KeyError("mine")

        with self.assertRaisesRegex(KeyError, "mine"):
            await within(self.client.consume("billing", self.hold, on_state=on_state))

    async def test_a_stop_while_no_gateway_answers_ends_at_once(self):
        nobody = hookgate.Client("127.0.0.1:1")
        self.addAsyncCleanup(nobody.aclose)
        told: list = []
        consumer = nobody.consumer("billing", self.hold, on_state=told.append,
                                   backoff=hookgate.Backoff(3600, 3600))
        async with running(consumer.run()) as run:
            await self.until(lambda: bool(told))
            consumer.stop()
            await within(run)

    async def test_closing_the_client_gives_back(self):
        self.add(1)
        async with hookgate.Client(self.gateway.target) as client:
            run = asyncio.ensure_future(client.consume("billing", self.hold))
            await self.until(lambda: bool(self.begun))
        await within(run)
        self.assertEqual(self.given_back(), (1, api.DELIVERY_REASON_STREAM_ENDED))

    async def test_silence_is_the_end_of_a_stream(self):
        self.gateway.silent = True
        told: list = []
        consumer = self.consumer(self.hold, heartbeat=0.1, on_state=told.append)
        async with running(consumer.run()):
            await self.until(lambda: any(isinstance(s, hookgate.Disconnected) for s in told))

    async def test_options_that_cannot_be_right(self):
        for options in ({"concurrency": 0}, {"stop": "now"}, {"max_events": 0},
                        {"stop_timeout": -1}, {"heartbeat": float("inf")}):
            with self.subTest(options), self.assertRaises(hookgate.UsageError):
                self.consumer(self.hold, **options)
        with self.assertRaises(ValueError):
            hookgate.Nack("later", delay=-1)

    async def test_an_error_without_a_text_is_a_nack_all_the_same(self):
        class Mute(Exception):
            def __str__(self) -> str:
                raise RuntimeError("no text")

        async def handle(delivery: hookgate.Delivery) -> None:
            if delivery.attempt == 1:
                raise Mute

        self.add(1)
        with self.assertLogs("hookgate"):
            await within(self.consumer(handle, max_events=2).run())
        self.assertEqual(self.subscription.acked, [1])

    async def test_a_pull_by_its_request_may_wait_as_long_as_it_says(self):
        timeouts: list = []
        call = self.client._connection.call

        async def noted(request, timeout):
            timeouts.append(timeout)
            return await call(request, timeout)

        self.client._connection.call = noted
        self.add(1)
        await self.client.call(api.PullRequest(
            subscription="billing", max_events=1, wait=duration_pb2.Duration(seconds=30)))
        await self.client.pull("billing", 1, wait=0)
        await self.client.call(api.PullRequest(subscription="billing", max_events=1), timeout=3)
        self.assertEqual(timeouts, [50, 20, 3])

    async def test_pull_and_settle(self):
        self.add(1, 2, 3)
        first, second, third = await self.client.pull("billing", 10, wait=5)
        results = await self.client.settle(
            "billing", ack=[first], nack=[(second, hookgate.DeadLetter("no"))],
            extend=[(third.delivery_id, 60)])
        self.assertEqual([result.result for result in results], [api.AckResult.RESULT_OK] * 3)
        self.assertEqual(self.subscription.acked, [1])
        self.assertEqual(self.subscription.dead_letters, {2: "no"})


class SignalTest(unittest.TestCase):
    """hookgate.run in a process of its own, which is asked to stop while a handler runs."""

    PROGRAM = textwrap.dedent("""
        import asyncio, sys, hookgate
        from hookgate.testing import FakeGateway

        async def handle(delivery):
            print("begun", flush=True)
            await asyncio.to_thread(sys.stdin.readline)

        async def main(gateway):
            async with hookgate.Client(gateway.target) as client:
                await client.consume("billing", handle)

        with FakeGateway() as gateway:
            gateway.create_subscription("billing")
            gateway.add(type="batch.failed")
            hookgate.run(main(gateway))
            print("acked", gateway.subscriptions["billing"].acked, flush=True)
    """)

    def test_signals_stop_in_good_order(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            with self.subTest(number), subprocess.Popen(
                    [sys.executable, "-X", "dev", "-c", self.PROGRAM], text=True,
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
                self.addCleanup(program.kill)
                self.assertEqual(program.stdout.readline(), "begun\n")
                os.kill(program.pid, number)
                out, _ = program.communicate("finish\n", timeout=PATIENCE)
                self.assertEqual(out, "acked [1]\n")
                self.assertEqual(program.returncode, 0)


class LeftOpenTest(unittest.TestCase):

    def test_a_loop_that_closes_with_a_live_client_complains_of_nothing(self):
        program = textwrap.dedent("""
            import asyncio, hookgate
            from hookgate.testing import FakeGateway

            async def main(gateway):
                client = hookgate.Client(gateway.target)
                asyncio.ensure_future(client.consume("billing", print))
                stream = client.subscribe(start=hookgate.EARLIEST)
                await stream.__anext__()
                return stream

            with FakeGateway() as gateway:
                gateway.create_subscription("billing")
                gateway.add(type="batch.failed")
                asyncio.run(main(gateway))
        """)
        done = subprocess.run([sys.executable, "-X", "dev", "-c", program], text=True,
                              capture_output=True, timeout=PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for complaint in ("never retrieved", "was destroyed", "Exception ignored"):
            self.assertNotIn(complaint, done.stderr)


if __name__ == "__main__":
    unittest.main()
