"""Programs that run beside the tests, and end with them."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import time

STARTING = 30  # seconds that a program has, on a busy machine


class Failure(Exception):
    """What a person is told."""


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Background:
    """A program in the background. `with` ends it."""

    def __init__(self, name, command, environment=None):
        self.name = name
        self._log = tempfile.TemporaryFile(mode="w+b")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env=None if environment is None else {**os.environ, **environment},
            start_new_session=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """SIGTERM, and SIGKILL for what is left of it after some seconds. The exit code."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            pass
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        return self._process.wait()

    def log(self):
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def _wait(self, condition, what):
        deadline = time.monotonic() + STARTING
        while True:
            found = condition()
            if found:
                return found
            if self._process.poll() is not None:
                raise Failure(f"{self.name} ended instead of {what}:\n{self.log()[-2000:]}")
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} is not {what} after {STARTING} s:\n{self.log()[-2000:]}")
            time.sleep(0.05)

    def wait_for(self, pattern):
        """The match of `pattern` in what it prints."""
        return self._wait(lambda: re.search(pattern, self.log(), re.MULTILINE), f"printing {pattern}")

    def wait_for_port(self, port):
        def answers():
            with socket.socket() as client:
                return client.connect_ex(("127.0.0.1", port)) == 0

        self._wait(answers, f"listening on port {port}")


def run(command, timeout, environment=None, stdin=None):
    """Exit code and output of a program that ends by itself. A program that does not has the code 124."""
    try:
        done = subprocess.run(
            command,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            env=None if environment is None else {**os.environ, **environment},
            check=False,
        )
        return done.returncode, done.stdout.decode(errors="replace")
    except subprocess.TimeoutExpired as late:
        output = (late.stdout or b"").decode(errors="replace")
        return 124, f"{output}\nnot over after {timeout} s"
