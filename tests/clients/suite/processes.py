"""Programs that run beside a scenario, and end with it."""

import asyncio
import os
import signal

from waiting import Failure, within

# Lines may hold an event with its raw body.
LONGEST_LINE = 64 << 20


class Program:
    """A program with its standard error in a file."""

    def __init__(self, name, command, log_path, environment=None):
        self.name = name
        self._command = command
        self._log_path = log_path
        self._environment = environment
        self._process = None

    async def start(self, stdin=asyncio.subprocess.DEVNULL):
        environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
        environment.update(self._environment or {})
        with open(self._log_path, "ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=environment,
                limit=LONGEST_LINE,
                # A Ctrl-C is the suite's alone: it ends them.
                start_new_session=True,
            )

    @property
    def stdin(self):
        return self._process.stdin

    @property
    def running(self):
        return self._process is not None and self._process.returncode is None

    async def read_line(self):
        """b"": it has closed its output."""
        return await self._process.stdout.readline()

    def signal(self, number):
        if self.running:
            self._process.send_signal(number)

    async def wait(self, patience=60.0):
        """Its exit code, or minus the signal."""
        return await within(self._process.wait(), f"{self.name} ends", patience)

    async def kill(self):
        """SIGKILL, also for what it has started; returns when it is gone."""
        if self._process is None:
            return
        if self.running:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        await self._process.wait()
        # So that the loop does not find its pipes open when it ends.
        self._process._transport.close()  # pylint: disable=protected-access

    def log(self):
        try:
            with open(self._log_path, encoding="utf-8", errors="replace") as log:
                return log.read()
        except FileNotFoundError:
            return ""


async def run_program(*command):
    """Runs it to its end; fails unless its exit code is 0."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    output, _ = await within(process.communicate(), f"{command[0]} ends")
    if process.returncode != 0:
        raise Failure(f"{' '.join(command[:3])} failed: {output.decode(errors='replace')[-500:]}")
