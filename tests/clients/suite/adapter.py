"""An adapter that runs, and what goes to and fro; README.md has the protocol."""

import asyncio
import json
import time

from processes import Program
from waiting import PATIENCE, Failure, check, check_equal, within

# Durations of the client that let scenarios be quick. A scenario that is about one of them says so itself.
QUICK = {"heartbeat_ms": 1000, "backoff_initial_ms": 20, "backoff_maximum_ms": 100, "open_timeout_ms": 10_000}


class CallError(Exception):
    """A call has ended with an error, which is `error`."""

    def __init__(self, error):
        super().__init__(json.dumps(error))
        self.error = error


class Adapter:
    def __init__(self, command, log_path, connection):
        self._command = command
        self._log_path = log_path
        self.connection = connection  # where its commands connect to, unless they say otherwise
        self._program = Program("the adapter", command, log_path)
        self._messages = {}  # by id: a queue
        self._last_id = 0
        self._reading = None
        self.ready = None
        self._broken = ""

    async def start(self):
        await self._program.start(stdin=asyncio.subprocess.PIPE)
        first = json.loads(await within(self._program.read_line(), "the adapter is ready") or b"{}")
        check("ready" in first, f"the adapter's first line is {first}\n{self.log()[-2000:]}")
        self.ready = first["ready"]
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self):
        try:
            while line := await self._program.read_line():
                message = json.loads(line)
                queue = self._messages.get(message.get("id"))
                if queue is None:
                    self._broken = f"a message about nothing that runs: {message}"
                    break
                queue.put_nowait(message)
                if "end" in message or "answer" in message:
                    del self._messages[message["id"]]
            else:
                self._broken = "it has closed its output"
        except ValueError as error:
            self._broken = f"a line is not JSON: {error}"
        for queue in self._messages.values():
            queue.put_nowait({"broken": self._broken})

    def send(self, command):
        try:
            self._program.stdin.write(json.dumps(command).encode() + b"\n")
        except (OSError, RuntimeError):
            pass  # It was killed; its output tells.

    def begin(self, command):
        """Sends a command; its id and the queue of its messages."""
        self._last_id += 1
        queue = asyncio.Queue()
        self._messages[self._last_id] = queue
        self.send({"id": self._last_id, "connection": self.connection, **command})
        return self._last_id, queue

    def subscribe(self, **options):
        return Stream(self, {"do": "subscribe", "start": "earliest", **QUICK, **options})

    def consume(self, **options):
        return Stream(self, {"do": "consume", "subscription": "work", **QUICK, **options})

    async def ask(self, command):
        """The answer of a command that has one; CallError."""
        _, queue = self.begin(command)
        message = await within(queue.get(), f"{command['do']} is answered")
        check("broken" not in message, f"the adapter: {message.get('broken')}\n{self.log()[-2000:]}")
        if "answer" in message:
            return message["answer"]
        raise CallError(message["end"]["error"])

    async def call(self, method, request=None, **more):
        return await self.ask({"do": "call", "method": method, "request": request or {}, **more})

    async def pull(self, **options):
        answer = await self.ask({"do": "pull", "subscription": "work", "consumer_name": "puller", **options})
        return answer["deliveries"]

    async def settle(self, *verdicts):
        answer = await self.ask({"do": "settle", "subscription": "work", "verdicts": list(verdicts)})
        return [result["result"] for result in answer["results"]]

    async def finish(self):
        """The end of its input: it has to end by itself."""
        self._program.stdin.close()
        check_equal(await self._program.wait(30), 0, "the adapter's exit code")

    async def kill(self):
        """As a crash: SIGKILL."""
        await self._program.kill()
        if self._reading is not None:
            await self._reading

    def log(self):
        return self._program.log()


class Stream:
    """One subscribe or consume, until its end."""

    def __init__(self, adapter, command):
        self.adapter = adapter
        self.id, self._queue = adapter.begin(command)
        self.seen = []  # all messages so far

    async def next(self, what="a message", patience=PATIENCE):
        message = await within(self._queue.get(), f"{what} (the last that came: {self.seen[-3:]})", patience)
        check("broken" not in message, f"the adapter, instead of {what}: {message.get('broken')}")
        self.seen.append(message)
        return message

    async def _find(self, wanted, what, may_pass):
        """The next message that has the member `wanted`; those with one of `may_pass` are passed over."""
        end = time.monotonic() + PATIENCE
        while True:
            message = await self.next(what, max(end - time.monotonic(), 0.01))
            if wanted(message):
                return message
            check(any(name in message for name in may_pass), f"instead of {what}: {message}")

    def states(self, state):
        """Those that were told so far."""
        return [message for message in self.seen if message.get("state") == state]

    async def state(self, state):
        """The next message about this state; other states may be told before, but no event and no end."""
        return await self._find(lambda message: message.get("state") == state, f"the state {state}", ["state"])

    async def event(self):
        """The next event; states may be told before."""
        return (await self._find(lambda message: "event" in message, "an event", ["state"]))["event"]

    async def sequences(self, count):
        """Those of the next events."""
        return [(await self.event())["sequence"] for _ in range(count)]

    async def delivery(self):
        """The next delivery; states and losses may be told before."""
        found = await self._find(lambda message: "delivery" in message, "a delivery", ["state", "lost"])
        return found["delivery"]

    async def deliveries(self, count):
        return [await self.delivery() for _ in range(count)]

    async def lost(self):
        """The id of the next delivery that is told to be lost; states may be told before."""
        return (await self._find(lambda message: "lost" in message, "a loss", ["state"]))["lost"]["delivery_id"]

    async def end(self):
        """How it ends, whatever is told before."""
        anything = ["state", "event", "delivery", "lost"]
        return (await self._find(lambda message: "end" in message, "the end", anything))["end"]

    async def error(self):
        end = await self.end()
        check("error" in end, f"it ended with {end}, and not with an error")
        return end["error"]

    async def expect_call_error(self, code, reason):
        """Ends with this error, which is final; the error."""
        error = await self.error()
        check_equal((error["kind"], error["code"], error["reason"]), ("call", code, reason), "the error")
        check_equal(error["retryable"], False, "whether it is retryable")
        check(error["message"], "the error has no message")
        return error

    def handled(self, event):
        """An event of `hold` is handled."""
        self.adapter.send({"do": "verdict", "of": self.id, "sequence": event["sequence"], "kind": "ack"})

    def fails(self, event, reason):
        self.adapter.send(
            {"do": "verdict", "of": self.id, "sequence": event["sequence"], "kind": "nack", "reason": reason}
        )

    def settle(self, delivery, kind="ack", **more):
        self.adapter.send(
            {"do": "verdict", "of": self.id, "delivery_id": delivery["delivery_id"], "kind": kind, **more}
        )

    def begin_stop(self, mode="wait"):
        self.adapter.send({"do": "stop", "of": self.id, "mode": mode})

    async def stop(self, mode="wait"):
        """Stops it; fails unless it ends without an error."""
        self.begin_stop(mode)
        check_equal(await self.end(), {"ok": True}, "the end after a stop")
