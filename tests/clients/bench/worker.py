"""The Python side of the bench of client libraries: README.md says what a worker does and prints.

Its bare side makes the calls as the stubs that protoc generates do: the package has none.
"""

import argparse
import asyncio
import contextlib
import json
import resource
import sys
import time

import grpc.aio
import hookgate
from hookgate.v1 import event_service_pb2 as events_api
from hookgate.v1 import subscription_service_pb2 as api


def write(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def memory_kib(field):
    with open("/proc/self/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith(field))


def report_held(count, before_kib):
    write({"held": count, "before_kib": before_kib, "kib": memory_kib("VmRSS:"), "peak_kib": memory_kib("VmHWM:")})


async def end_of_input():
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    await lines.read()


class Handled:
    """What a handler does with an event: something that cannot be left out."""

    def __init__(self):
        self.bytes = 0

    def handle(self, event):
        self.bytes += len(event.subject)


class Library:
    """By the package."""

    def __init__(self, options):
        self._options = options
        self._handled = Handled()

    async def subscribe(self):
        # The bare loop looks once a frame whether it is at its end; this one can only for each event.
        seen, last = 0, self._options.events

        def handle(event):
            nonlocal seen
            self._handled.handle(event)
            seen += 1
            if seen == last:
                stream.stop()

        async with hookgate.Client(self._options.target) as client:
            stream = client.subscribe(start=hookgate.EARLIEST)
            await stream.run(handle)

    async def iterate(self):
        async with hookgate.Client(self._options.target) as client:
            seen, last = 0, self._options.events
            async with contextlib.aclosing(client.subscribe(start=hookgate.EARLIEST)) as stream:
                async for event in stream:
                    self._handled.handle(event)
                    seen += 1
                    if seen == last:
                        break

    async def consume(self):
        async def handle(delivery):
            self._handled.handle(delivery.event)

        async with hookgate.Client(self._options.target) as client:
            await client.consume(self._options.subscription, handle, concurrency=self._options.concurrency,
                                 max_events=self._options.events)

    async def hold(self):
        before_kib = memory_kib("VmRSS:")
        over = asyncio.Event()
        held = 0

        async def handle(_):
            nonlocal held
            held += 1
            if held == self._options.events:
                report_held(held, before_kib)
            await over.wait()

        async with hookgate.Client(self._options.target) as client:
            consumer = client.consumer(self._options.subscription, handle, concurrency=self._options.concurrency)
            running = asyncio.ensure_future(consumer.run())
            await end_of_input()
            over.set()
            consumer.stop()
            await running

    async def watch_subscribe(self):
        async with hookgate.Client(self._options.target) as client:
            stream = client.subscribe(on_state=report_opened)

            async def watch():
                async for event in stream:
                    write({"event": event.webhook_id})

            await until_end_of_input(watch())

    async def watch_consume(self):
        async def handle(delivery):
            write({"event": delivery.event.webhook_id})

        async with hookgate.Client(self._options.target) as client:
            await until_end_of_input(client.consume(self._options.subscription, handle, on_state=report_opened))


def report_opened(state):
    if isinstance(state, hookgate.Opened):
        write({"opened": True})


async def until_end_of_input(running):
    """Fails if `running` ends before."""
    task = asyncio.ensure_future(running)
    ended = asyncio.ensure_future(end_of_input())
    await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        raise RuntimeError(f"it has ended: {task.exception()!r}")
    task.cancel()
    await asyncio.wait({task})


class Bare:
    """By gRPC's own calls."""

    def __init__(self, options):
        self._options = options
        self._handled = Handled()

    async def subscribe(self):
        async with grpc.aio.insecure_channel(self._options.target) as channel:
            call = channel.unary_stream(
                "/hookgate.v1.EventService/Subscribe",
                request_serializer=events_api.SubscribeRequest.SerializeToString,
                response_deserializer=events_api.SubscribeResponse.FromString,
            )(events_api.SubscribeRequest(start_position=events_api.START_POSITION_EARLIEST))
            seen = 0
            async for response in call:
                for event in response.event_batch.events:
                    self._handled.handle(event)
                    seen += 1
                if seen >= self._options.events:
                    break
            call.cancel()

    # It has one form.
    iterate = subscribe

    def _consume(self, channel):
        return channel.stream_stream(
            "/hookgate.v1.SubscriptionService/Consume",
            request_serializer=api.ConsumeRequest.SerializeToString,
            response_deserializer=api.ConsumeResponse.FromString,
        )()

    def _open(self):
        limits = api.FlowLimits(max_outstanding_messages=self._options.concurrency)
        return api.ConsumeRequest(
            open=api.ConsumeRequest.Open(
                subscription=self._options.subscription, consumer_name="bare", limits=limits
            )
        )

    async def consume(self):
        """Acks the deliveries of a frame in one."""
        async with grpc.aio.insecure_channel(self._options.target) as channel:
            call = self._consume(channel)
            await call.write(self._open())
            acked = 0
            while acked < self._options.events:
                response = await call.read()
                acked += len(response.ack_results.results)
                ids = []
                for delivery in response.deliveries.deliveries:
                    self._handled.handle(delivery.event)
                    ids.append(delivery.delivery_id)
                if ids:
                    await call.write(api.ConsumeRequest(ack=api.Ack(delivery_ids=ids)))
            await call.done_writing()
            while await call.read() is not grpc.aio.EOF:
                pass

    async def hold(self):
        before_kib = memory_kib("VmRSS:")
        async with grpc.aio.insecure_channel(self._options.target) as channel:
            call = self._consume(channel)
            await call.write(self._open())
            held = []
            while len(held) < self._options.events:
                held.extend((await call.read()).deliveries.deliveries)
            report_held(len(held), before_kib)
            await end_of_input()
            call.cancel()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--by", default="library", choices=["library", "bare"])
    parser.add_argument("--do", required=True)
    parser.add_argument("--events", type=int, default=0)
    parser.add_argument("--passes", type=int, default=1)
    parser.add_argument("--concurrency", type=int, default=1)
    parser.add_argument("--subscription", default="")
    options = parser.parse_args()
    worker = (Library if options.by == "library" else Bare)(options)
    if options.do not in ("subscribe", "iterate", "consume"):
        await getattr(worker, options.do)()
        return
    passes = 1 if options.do == "consume" else options.passes
    began, cpu_before = time.perf_counter(), cpu_seconds()
    for _ in range(passes):
        await getattr(worker, options.do)()
    write({"events": options.events * passes, "seconds": time.perf_counter() - began,
           "cpu_seconds": cpu_seconds() - cpu_before})


if __name__ == "__main__":
    asyncio.run(main())
