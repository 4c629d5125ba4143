"""The Python client as tests/clients drives it, by the protocol of tests/clients/README.md.

The package `hookgate` is the one that is installed in this interpreter's environment.
"""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import os
import sys

from google.protobuf import json_format

import hookgate
from hookgate.connection import METHODS
from hookgate.v1 import subscription_service_pb2 as api

_END_SECONDS = 8.0  # How long closing may take at the end of the input; the suite allows 10.


class HandlerFailed(Exception):
    """What the suite tells the handler of a subscription to fail with."""


def write(message: dict) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def error_json(error: BaseException) -> dict:
    if isinstance(error, hookgate.CallError):
        return {"kind": "call", "code": error.code.name, "reason": error.reason,
                "retryable": error.retryable, "metadata": dict(error.metadata),
                "message": str(error)}
    kinds = {hookgate.CursorStoreError: "cursor_store", HandlerFailed: "handler",
             hookgate.UsageError: "usage"}
    return {"kind": kinds.get(type(error), type(error).__name__), "message": str(error)}


def event_json(event: hookgate.Event, command: dict) -> dict:
    made = {"sequence": event.sequence, "cursor": event.cursor, "source": event.source,
            "webhook_id": event.webhook_id, "type": event.type, "subject": event.subject,
            "payload": event.WhichOneof("payload") or ""}
    if command.get("include_raw_body"):
        made["raw_body"] = base64.b64encode(event.raw_body).decode()
    if command.get("json"):
        made["json"] = json_format.MessageToDict(event)
    return made


def delivery_json(delivery: hookgate.Delivery, command: dict) -> dict:
    return {"delivery_id": delivery.delivery_id, "attempt": delivery.attempt,
            "reason": delivery.reason, "nack_reason": delivery.nack_reason,
            "event": event_json(delivery.event, command)}


def options(command: dict, names: dict[str, str]) -> dict:
    """The library's options: members that end in _ms are seconds there."""
    return {ours: command[theirs] / 1000 if theirs.endswith("_ms") else command[theirs]
            for theirs, ours in names.items() if theirs in command}


def stream_options(command: dict) -> dict:
    made = options(command, {"heartbeat_ms": "heartbeat", "open_timeout_ms": "open_timeout",
                             "include_raw_body": "include_raw_body"})
    bounds = options(command, {"backoff_initial_ms": "initial", "backoff_maximum_ms": "maximum"})
    number = command["id"]

    def on_state(state: hookgate.State) -> None:
        told: dict = {"id": number, "state": type(state).__name__.lower()}
        if isinstance(state, hookgate.CaughtUp):
            told["state"] = "caught_up"
        if getattr(state, "cursor", ""):
            told["cursor"] = state.cursor
        if isinstance(state, hookgate.Opened):
            told["capabilities"] = sorted(state.capabilities)
        if isinstance(state, (hookgate.Draining, hookgate.Disconnected)):
            told["delay_ms"] = round(state.delay * 1000)
        if isinstance(state, hookgate.Disconnected):
            told["error"] = error_json(state.error)
        write(told)

    return {**made, "backoff": hookgate.Backoff(**bounds), "on_state": on_state}


def start_of(command: dict) -> hookgate.Start:
    start = command.get("start", "latest")
    if isinstance(start, str):
        return {"latest": hookgate.LATEST, "earliest": hookgate.EARLIEST}[start]
    if "after" in start:
        return hookgate.After(start["after"])
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)
    return epoch + datetime.timedelta(milliseconds=start["since_ms"])


def verdict_of(verdict: dict) -> hookgate.Verdict | None:
    delay = verdict.get("delay_ms")
    reason = verdict.get("reason", "")
    return {"ack": None,
            "nack": hookgate.Nack(reason, delay=None if delay is None else delay / 1000),
            "dead_letter": hookgate.DeadLetter(reason),
            "give_back": hookgate.GiveBack()}[verdict["kind"]]


class Adapter:
    def __init__(self) -> None:
        # By the command's id: what stops it, and its handlers that wait for their verdicts.
        self._stops: dict = {}
        self._early: dict = {}
        self._held: dict = {}

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        write({"ready": {"language": "python", "version": hookgate.__version__}})
        lines = asyncio.StreamReader(limit=1 << 28)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
        tasks = set()
        while line := await lines.readline():
            command = json.loads(line)
            if command["do"] == "verdict":
                key = (command["of"], command.get("delivery_id", command.get("sequence")))
                held = self._held.pop(key, None)
                if held is not None and not held.done():
                    held.set_result(command)
            elif command["do"] == "stop":
                stop = self._stops.get(command["of"])
                if stop is not None:
                    stop(command.get("mode", "wait"))
            else:
                # A stop may be the next line, before the command's task has begun.
                early = self._early[command["id"]] = []
                self._stops[command["id"]] = early.append
                task = loop.create_task(self._carry_out(command))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        for stop in list(self._stops.values()):
            stop("give_back")
        for held in self._held.values():
            held.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=_END_SECONDS)

    async def _carry_out(self, command: dict) -> None:
        number = command["id"]
        try:
            answer = await getattr(self, "_" + command["do"])(command)
            message = {"end": {"ok": True}} if answer is None else {"answer": answer}
        except Exception as error:  # pylint: disable=broad-except
            message = {"end": {"error": error_json(error)}}
        self._stops.pop(number, None)
        self._early.pop(number, None)
        write({"id": number, **message})

    def _can_stop(self, number: int, stop) -> None:
        self._stops[number] = stop
        for mode in self._early[number]:
            stop(mode)

    def _client(self, command: dict) -> hookgate.Client:
        connection = command["connection"]
        names = {"tls": "tls", "tls_ca_file": "tls_ca", "tls_certificate_file": "tls_cert",
                 "tls_key_file": "tls_key", "token": "token", "token_file": "token_file"}
        return hookgate.Client(connection["target"],
                               **{ours: connection[theirs] for theirs, ours in names.items()
                                  if connection.get(theirs) not in (None, "", False)})

    async def _verdict(self, key: tuple) -> dict:
        held = self._held[key] = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.shield(held)
        finally:
            if held.done():
                self._held.pop(key, None)

    async def _subscribe(self, command: dict) -> None:
        number = command["id"]
        given = command.get("filter", {})
        cursors = command.get("cursor_file")
        async with self._client(command) as client:
            stream = client.subscribe(
                **{name: given.get(name, ()) for name in ("sources", "types", "subjects")},
                start=start_of(command),
                cursors=None if cursors is None else hookgate.FileCursorStore(cursors),
                **options(command, {"save_interval_ms": "save_interval",
                                    "client_name": "client_name"}),
                **stream_options(command))
            self._can_stop(number, lambda mode: stream.stop())

            async def handle(event: hookgate.Event) -> None:
                write({"id": number, "event": event_json(event, command)})
                if command.get("hold"):
                    verdict = await self._verdict((number, event.sequence))
                    if verdict["kind"] != "ack":
                        raise HandlerFailed(verdict.get("reason", ""))

            if command.get("form") == "iterator":
                async with stream:
                    async for event in stream:
                        await handle(event)
            else:
                await stream.run(handle)

    async def _consume(self, command: dict) -> None:
        number = command["id"]

        async def handle(delivery: hookgate.Delivery) -> None:
            write({"id": number, "delivery": delivery_json(delivery, command)})
            key = (number, delivery.delivery_id)
            held = self._held[key] = asyncio.get_running_loop().create_future()
            while not held.done():
                try:
                    await asyncio.wait({held})
                except asyncio.CancelledError:
                    write({"id": number, "lost": {"delivery_id": delivery.delivery_id}})
            self._held.pop(key, None)
            verdict = verdict_of(held.result())  # Raises CancelledError at the end of the input.
            if verdict is not None:
                raise verdict

        async with self._client(command) as client:
            consumer = client.consumer(
                command["subscription"], handle,
                **options(command, {"consumer_name": "consumer_name",
                                    "concurrency": "concurrency",
                                    "longest_lease_ms": "longest_lease",
                                    "stop_grace_ms": "stop_timeout",
                                    "give_back_grace_ms": "give_back_timeout"}),
                **stream_options(command))
            self._can_stop(number, consumer.stop)
            await consumer.run()

    async def _pull(self, command: dict) -> dict:
        async with self._client(command) as client:
            deliveries = await client.pull(
                command["subscription"], command["max_events"],
                **options(command, {"consumer_name": "consumer_name", "wait_ms": "wait",
                                    "include_raw_body": "include_raw_body"}))
        return {"deliveries": [delivery_json(delivery, command) for delivery in deliveries]}

    async def _settle(self, command: dict) -> dict:
        groups: dict[str, list] = {"ack": [], "nack": [], "extend": []}
        places: dict[str, list[int]] = {"ack": [], "nack": [], "extend": []}
        for place, verdict in enumerate(command["verdicts"]):
            delivery_id, kind = verdict["delivery_id"], verdict["kind"]
            group = "nack" if kind == "dead_letter" else kind
            places[group].append(place)
            deadline = verdict.get("deadline_ms")
            groups[group].append({
                "ack": lambda: delivery_id,
                "nack": lambda: (delivery_id, verdict_of(verdict)),
                "extend": lambda: (delivery_id, None if deadline is None else deadline / 1000),
            }[group]())
        async with self._client(command) as client:
            settled = await client.settle(command["subscription"], **groups)
        results: list = [None] * len(command["verdicts"])
        for place, result in zip(sum(places.values(), []), settled):
            name = api.AckResult.Result.Name(result.result).removeprefix("RESULT_")
            results[place] = {"delivery_id": result.delivery_id, "result": name}
        return {"results": results}

    async def _call(self, command: dict) -> dict:
        path = "/hookgate.v1." + command["method"].replace(".", "/")
        request_class = next(r for r, method in METHODS.items() if method.path == path)
        request = json_format.ParseDict(command.get("request", {}), request_class())
        async with self._client(command) as client:
            response = await client.call(request, **options(command, {"timeout_ms": "timeout"}))
        return json_format.MessageToDict(response)


if __name__ == "__main__":
    asyncio.run(Adapter().run())
    os._exit(0)  # A handler that hangs holds up nobody.
