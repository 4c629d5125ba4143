"""Runs the steps of a page with the hookgated and hookgate of this build. README.md explains what is substituted."""

import os
import re
import selectors
import signal
import subprocess
import sys
import time

from pages import matches

STEP_SECONDS = 60  # For each command, and for what a background step has to print.
END_SECONDS = 20  # From SIGTERM to SIGKILL, for what still runs at the end of a page.
MAX_OUTPUT = 1 << 20  # Bytes that are kept of each step.

# The ports that documents name, by the door of hookgated that has them.
PORTS = {"http": "8080", "grpc": "50051", "admin": "9090"}
_FOLDERS = ("/etc/hookgate", "/var/lib/hookgate", "/backup")
_BASH = ["bash", "-eu", "-o", "pipefail", "-c"]


class StepFailed(Exception):
    """What a step did, and what the page says that it does."""


class _Process:
    """A step's commands, in a process group of their own."""

    def __init__(self, command, folder, environment):
        self.output = b""
        self.errors = b""
        self._process = subprocess.Popen(
            _BASH + [command], cwd=folder, env=environment, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._selector = selectors.DefaultSelector()
        for pipe in (self._process.stdout, self._process.stderr):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)

    def read_until(self, done, seconds=STEP_SECONDS):
        """Reads what it prints until done() or both pipes are closed. False if the time is up before."""
        deadline = time.monotonic() + seconds
        while not done() and self._selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            for key, _ in self._selector.select(left):
                data = key.fileobj.read(65536)
                if not data:
                    self._selector.unregister(key.fileobj)
                elif key.fileobj is self._process.stdout:
                    self.output = (self.output + data)[-MAX_OUTPUT:]
                else:
                    self.errors = (self.errors + data)[-MAX_OUTPUT:]
        return True

    def exit_code(self, seconds=STEP_SECONDS):
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def signal(self, number):
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            pass

    def end(self):
        """Ends all that the step has started."""
        self.signal(signal.SIGTERM)
        if self.exit_code(END_SECONDS) is None:
            self.signal(signal.SIGKILL)
            self.exit_code()
        self.signal(signal.SIGKILL)  # What its shell has left behind.
        self._selector.close()
        self._process.stdout.close()
        self._process.stderr.close()


class Page:
    """One page's folder, addresses and background steps. Use as a context manager, which ends all it started."""

    def __init__(self, folder, hookgated, hookgate):
        self._folder = folder
        self._addresses = {}  # door: (host, port), once hookgated has said them
        self._background = []  # (step, process), oldest first
        self._last = None
        programs = os.path.join(folder, ".bin")
        os.makedirs(programs)
        # As typed on the page, it would take the ports that the documents name.
        self._write_program(os.path.join(programs, "hookgated"),
                            f'exec "{hookgated}" --http_address="${{DOCS_HTTP}}" --grpc_address="${{DOCS_GRPC}}" '
                            '--admin_address="${DOCS_ADMIN}" "$@"')
        self._write_program(os.path.join(programs, "hookgate"), f'exec "{hookgate}" "$@"')
        for path in _FOLDERS:
            os.makedirs(folder + path, mode=0o700)
        os.makedirs(os.path.join(folder, "work"))
        self._path = programs + ":" + os.environ.get("PATH", "/usr/bin:/bin")

    @staticmethod
    def _write_program(path, line):
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\n{line}\n")
        os.chmod(path, 0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for _, process in reversed(self._background):
            process.end()

    def run(self, step):
        """Raises StepFailed if the step does not do what the page says."""
        if step.kind == "output":
            self._check_output(step)
            return
        process = _Process(self._substituted(step.text), os.path.join(self._folder, "work"), self._environment())
        if step.kind == "background":
            self._background.append((step, process))
            self._last = process
            self._await_start(step, process)
            return
        try:
            # Not by its pipes alone: what it leaves in the background may hold them.
            if not process.read_until(lambda: False) or process.exit_code() is None:
                raise StepFailed(f"did not end within {STEP_SECONDS} s" + self._printed(process))
            code = process.exit_code()
            if code != step.exit_code:
                raise StepFailed(f"exit code {code}, not {step.exit_code}" + self._printed(process))
            self._last = process
        finally:
            process.end()

    def _environment(self):
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HOOKGATE_")}
        environment.pop("OPENAI_WEBHOOK_SECRET", None)
        environment.update(PATH=self._path, HOME=os.path.join(self._folder, "work"), LC_ALL="C.UTF-8", TZ="UTC")
        for door in PORTS:
            host, port = self._addresses.get(door, ("127.0.0.1", "0"))
            environment["DOCS_" + door.upper()] = f"{host}:{port}"
        if self._addresses:
            environment["HOOKGATE_GRPC"] = "{}:{}".format(*self._addresses["grpc"])
            environment["HOOKGATE_URL"] = "http://{}:{}".format(*self._addresses["http"])
            environment["HOOKGATE_ADMIN_URL"] = "http://{}:{}".format(*self._addresses["admin"])
        return environment

    def _substituted(self, text):
        """Commands as they are typed, with the ports and folders of this run."""
        for door, port in PORTS.items():
            taken = self._addresses.get(door, ("", "0"))[1]
            text = re.sub(rf"\b(127\.0\.0\.1|localhost):{port}\b", rf"\g<1>:{taken}", text)
        for path in _FOLDERS:
            text = re.sub(rf"(?<![\w./-]){path}(?![\w-])", self._folder + path, text)
        return text

    def _shown(self, output):
        """Output of this run, with the ports and folders that the documents name."""
        text = output.decode(errors="replace").replace(self._folder, "")
        for door, (_, taken) in self._addresses.items():
            text = re.sub(rf"\b(127\.0\.0\.1|localhost):{taken}\b", rf"\g<1>:{PORTS[door]}", text)
        return text

    def _printed(self, process):
        text = ""
        for name, output in (("it printed", process.output), ("on standard error", process.errors)):
            if output:
                text += f"\n{name}:\n{self._shown(output)[-4000:]}"
        return text

    def _await_start(self, step, process):
        is_gateway = re.search(r"(^|\s)hookgated\s", step.text) is not None
        until = step.until.encode() or (b"ready " if is_gateway else b"\n")
        started = process.read_until(lambda: until in process.output + process.errors)
        if not started or until not in process.output + process.errors:
            raise StepFailed(f'did not print "{until.decode().strip()}" within {STEP_SECONDS} s, or ended before'
                             + self._printed(process))
        ready = re.search(rb"^ready (.*)$", process.output, re.MULTILINE)
        if is_gateway and ready is not None:
            for part in ready.group(1).decode().split():
                door, _, address = part.partition("=")
                if door in PORTS:
                    self._addresses[door] = tuple(address.rsplit(":", 1))

    def _check_output(self, step):
        process = self._background[-1][1] if step.of_background and self._background else self._last
        if process is None:
            raise StepFailed("no step has printed this")
        fits = lambda: matches(step.text, self._shown(process.output))
        if any(process is other for _, other in self._background):
            process.read_until(fits)
        if not fits():
            raise StepFailed(f"the page shows\n{step.text}\nbut{self._printed(process) or ' nothing was printed'}")


def run_page(name, steps, folder, hookgated, hookgate, report=sys.stdout):
    """Runs the steps in order and stops at the first that fails. True if all were as the page says."""
    with Page(folder, hookgated, hookgate) as page:
        for step in steps:
            try:
                page.run(step)
            except StepFailed as error:
                print(f"{name}:{step.line}: NOT AS THE PAGE SAYS: {error}\nthe step:\n{step.text}", file=report)
                return False
            print(f"{name}:{step.line}: ok: {step.kind}: {step.text.strip().splitlines()[0]}", file=report, flush=True)
    return True
