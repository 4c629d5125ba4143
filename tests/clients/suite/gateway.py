"""A real hookgated, over any number of starts, and webhooks for it."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
import os
import re
import secrets
import signal
import sqlite3
import time

from processes import Program, run_program
from waiting import PATIENCE, Failure, check_equal, poll, within

_SOURCES = 'sources {{ name: "openai" secrets {{ name: "only" file: "{secret_file}" }} }}\n'


class Gateway:
    """One data folder, and the process that has it. `grpc` and `http` are (host, port) while it runs.

    `prefix` is what its command line begins with, such as taskset.
    """

    def __init__(self, binary, folder, config="", prefix=()):
        self._binary = binary
        self._prefix = prefix
        self._folder = folder
        self.data = os.path.join(folder, "data")
        self._config_path = os.path.join(folder, "hookgate.textproto")
        self._secret = secrets.token_bytes(32)
        self._secret_path = os.path.join(folder, "secret")
        with open(self._secret_path, "w", encoding="ascii") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write("whsec_" + base64.b64encode(self._secret).decode())
        self.write_config(config)
        self._program = None
        self._rest = None
        self.grpc = None
        self.http = None
        self._sent = 0

    def write_config(self, config):
        with open(self._config_path, "w", encoding="ascii") as file:
            file.write(_SOURCES.format(secret_file=self._secret_path) + config)

    async def start(self, http_port=0, grpc_port=0):
        ports = {"http": http_port, "grpc": grpc_port, "admin": 0}
        addresses = [f"--{door}_address=127.0.0.1:{port}" for door, port in ports.items()]
        command = [*self._prefix, self._binary, *addresses, f"--data_dir={self.data}", f"--config={self._config_path}"]
        self._program = Program("hookgated", command, os.path.join(self._folder, "hookgated.log"))
        await self._program.start()
        line = (await within(self._program.read_line(), "hookgated is ready")).decode()
        if not line.startswith("ready "):
            raise Failure(f"hookgated is not ready: {line!r}\n{self.log()[-2000:]}")
        for part in line.split()[1:]:
            name, _, address = part.partition("=")
            if name in ("http", "grpc"):
                host, _, port = address.rpartition(":")
                setattr(self, name, (host, int(port)))
        self._rest = asyncio.ensure_future(self._drop_output())

    async def _drop_output(self):
        while await self._program.read_line():
            pass

    async def stop(self):
        """A graceful shutdown."""
        self._program.signal(signal.SIGTERM)
        check_equal(await self._program.wait(), 0, "hookgated's exit code")
        await self._gone()

    def begin_stop(self):
        self._program.signal(signal.SIGTERM)

    async def kill(self):
        if self._program is not None:
            await self._program.kill()
            await self._gone()

    async def _gone(self):
        self.grpc = self.http = None
        if self._rest is not None:
            await self._rest

    async def reload(self, config):
        """Has it take another config."""

        def reloads():
            return self.log().count('"config applied"')

        before = reloads()
        self.write_config(config)
        self._program.signal(signal.SIGHUP)

        async def done():
            return reloads() > before

        await poll(done, "the config is applied")

    def log(self):
        return self._program.log() if self._program is not None else ""

    # Webhooks.

    async def send(self, count=1, *, kind="batch.failed", subject=None, padding=0, repeat=False):
        """Sends `count` webhooks one after another; their (webhook_id, body). With `repeat` each is sent twice."""
        sent = []
        for _ in range(count):
            self._sent += 1
            webhook_id = f"wh_{self._sent}"
            body = make_body(kind, subject or f"batch_{self._sent}", padding)
            for answer in ["stored", "duplicate"][: 2 if repeat else 1]:
                check_equal((await self.post(webhook_id, body))["status"], answer, f"the answer to {webhook_id}")
            sent.append((webhook_id, body))
        return sent

    async def send_many(self, count, senders=16, repeat_every=10):
        """`count` webhooks by several senders at a time, each tenth of them twice. Returns when all are stored."""
        numbers = iter(range(self._sent + 1, self._sent + count + 1))
        self._sent += count

        async def send_some():
            sender = _Sender(self)
            try:
                for number in numbers:
                    body = make_body("batch.failed", f"batch_{number}")
                    for _ in range(2 if number % repeat_every == 0 else 1):
                        await sender.post(f"wh_{number}", body)
            finally:
                sender.close()

        await asyncio.gather(*(send_some() for _ in range(senders)))

    async def post(self, webhook_id, body):
        """Sends one webhook as often as it takes until it is answered 200; the answer."""
        sender = _Sender(self)
        try:
            return await sender.post(webhook_id, body)
        finally:
            sender.close()

    def sign(self, webhook_id, body):
        """The header of its request."""
        stamp = str(int(time.time()))
        signed = f"{webhook_id}.{stamp}.".encode() + body
        signature = base64.b64encode(hmac.new(self._secret, signed, hashlib.sha256).digest()).decode()
        return (
            f"POST /webhooks/openai HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nwebhook-id: {webhook_id}\r\n"
            f"webhook-timestamp: {stamp}\r\nwebhook-signature: v1,{signature}\r\n\r\n"
        ).encode()

    # What operators do to the log.

    def back_up(self, path):
        """A copy of the log as it is, while the gateway runs."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.data, "events.db"))) as source:
            with contextlib.closing(sqlite3.connect(path)) as copy:
                source.backup(copy)

    async def restore(self, path):
        """Puts the log back to a backup; the gateway must not run."""
        await run_program(self._binary, f"--restore={path}", "--force", f"--data_dir={self.data}")

    def age(self, days, up_to):
        """Has all up to sequence `up_to` be that much older; the gateway must not run."""
        microseconds = days * 24 * 3600 * 1_000_000
        with contextlib.closing(sqlite3.connect(os.path.join(self.data, "events.db"))) as log, log:
            # As if it had been open for so long since.
            log.execute("UPDATE age_clock SET running_us = running_us + ?1, sum = sum - 3 * trusted + ?1, "
                        "trusted = 0", (microseconds,))
            log.execute("DELETE FROM age_marks")
            log.execute("INSERT INTO age_marks VALUES (1, ?1, 0, 0, 1 + 3 * ?1)", (up_to,))


class _Sender:
    """One connection of a sender, made again where it breaks."""

    def __init__(self, gateway):
        self._gateway = gateway
        self._connection = None

    def close(self):
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None

    async def post(self, webhook_id, body):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                if self._gateway.http is not None:
                    return await within(self._exchange(webhook_id, body), f"{webhook_id} is answered", 20)
            except (OSError, asyncio.IncompleteReadError):
                self.close()  # It was killed, or goes down: a sender tries again.
            if time.monotonic() > end:
                raise Failure(f"webhook {webhook_id} is not taken")
            await asyncio.sleep(0.02)

    async def _exchange(self, webhook_id, body):
        if self._connection is None:
            self._connection = await asyncio.open_connection(*self._gateway.http)
        reader, writer = self._connection
        writer.write(self._gateway.sign(webhook_id, body) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        content = await reader.readexactly(int(re.search(r"\r\ncontent-length: *(\d+)", head)[1]))
        status = head.split()[1]
        if status == "200":
            return json.loads(content)
        if status in ("429", "503"):
            raise ConnectionError(status)
        raise Failure(f"webhook {webhook_id} was answered {status}: {content[:300]!r}")


def make_body(kind, subject, padding=0):
    """As OpenAI sends it; blanks behind it change nothing."""
    return (
        json.dumps(
            {"id": "evt_1", "object": "event", "created_at": 1750000000, "type": kind, "data": {"id": subject}}
        )
        + " " * padding
    ).encode()


def as_an_older_gateway(names):
    """For Proxy.rewrite: the capabilities become fields that nobody knows, and neither Opened nor the status names one."""

    def rewrite(data):
        for name in names:
            value = bytes([len(name)]) + name.encode()
            # The tags of field 6 and of field 7 become that of field 14, and that of field 16 (GetStatus) the one of
            # field 30; the length stays as it is.
            data = data.replace(b"\x82\x01" + value, b"\xf2\x01" + value)
            for tag in (b"\x32", b"\x3a"):
                data = data.replace(tag + value, b"\x72" + value)
        return data

    return rewrite
