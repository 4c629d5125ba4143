"""Measures each client library beside a loop on the bare stub, against a real hookgated. README.md has the rest."""

import argparse
import asyncio
import contextlib
import json
import os
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).absolute().parent
ROOT = HERE.parent.parent.parent
sys.path.insert(0, str(HERE.parent / "suite"))

# pylint: disable=wrong-import-position
from gateway import Gateway, make_body  # noqa: E402
from processes import Program, run_program  # noqa: E402
from waiting import Failure, within  # noqa: E402

KEPT = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "hookgate-clients"
LANGUAGES = ("cpp", "python", "go", "typescript")
NAMES = {"cpp": "C++", "python": "Python", "go": "Go", "typescript": "TypeScript"}
# What is timed. Python's Subscribe has two forms: a handler, as in the other languages, and `async for`.
CALLS = {language: ("subscribe", "consume") for language in LANGUAGES}
CALLS["python"] = ("subscribe", "iterate", "consume")
CALL_NAMES = {"subscribe": "Subscribe", "iterate": "Subscribe, `async for`", "consume": "Consume"}
# A library is to get so much of what the bare stub gets.
TARGET = 0.8
IN_FLIGHT = 1000
# How often subscribe reads the log in a round: fast clients would be done before a clock tells anything.
PASSES = {"cpp": 10, "python": 2, "go": 6, "typescript": 3}
# No round takes longer.
LONGEST = 300


def parse():
    parser = argparse.ArgumentParser(
        prog="tests/clients/bench/run",
        description="Measures each client library beside a loop on the bare stub, against a real hookgated.",
    )
    parser.add_argument("--hookgated", help="the gateway's program. Default: one that is built, optimised")
    parser.add_argument("--cpp-worker", help="the C++ worker. Default: one that is built, optimised")
    parser.add_argument("--languages", default=",".join(LANGUAGES), help="some of %(default)s")
    parser.add_argument("--events", type=int, default=50_000, help="webhooks in the log. Default: %(default)s")
    parser.add_argument("--rounds", type=int, default=5, help="turns of library and stub. Default: %(default)s")
    parser.add_argument("--kills", type=int, default=5, help="SIGKILLs of the gateway. Default: %(default)s")
    parser.add_argument(
        "--concurrency", type=int, default=100, help="deliveries in flight while Consume is timed. Default: %(default)s"
    )
    parser.add_argument("--quick", action="store_true", help="on 3,000 events, with 2 rounds and 1 kill")
    parser.add_argument("--no-build", action="store_true", help="take the workers that the last run built")
    parser.add_argument("--json", action="store_true", help="one JSON object, with every round, instead of the table")
    parser.add_argument("--folder", help="where the log is. Default: the folder for temporary files")
    options = parser.parse_args()
    if options.quick:
        options.events, options.rounds, options.kills = 3000, 2, 1
    options.languages = options.languages.split(",")
    for language in options.languages:
        if language not in LANGUAGES:
            parser.error(f"there is no language {language}; there are: {', '.join(LANGUAGES)}")
    if options.events < IN_FLIGHT:
        parser.error(f"--events is {options.events}; {IN_FLIGHT} or more are needed to hold so many")
    if min(options.rounds, options.kills, options.concurrency) < 1:
        parser.error("--rounds, --kills and --concurrency take 1 or more")
    return options


def tell(text):
    print(text, file=sys.stderr, flush=True)


# What is measured.


def build(command, folder=ROOT):
    environment = {**os.environ, "PATH": os.environ.get("PATH", "") + ":/usr/local/go/bin"}
    tell(f"building: {' '.join(map(str, command))}")
    ended = subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr, check=False)
    if ended.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))} failed")


def built_by_bazel(options, label):
    """A copy of the optimised program, which other builds leave alone."""
    kept = KEPT / f"bench_{label.rpartition(':')[2]}"
    if not options.no_build:
        KEPT.mkdir(parents=True, exist_ok=True)
        flags = ["-c", "opt", "--dynamic_mode=off"]
        build(["bazel", "build", "--noshow_progress", "--ui_event_filters=-info", *flags, label])
        found = subprocess.run(
            ["bazel", "info", *flags, "bazel-bin"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        path = pathlib.Path(found.stdout.strip()) / label.lstrip("/").replace(":", "/")
        new = kept.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.write_bytes(path.read_bytes())
        new.chmod(0o755)
        new.replace(kept)
    return str(kept)


def worker_of(language, options):
    """The command that runs it; built before."""
    if language == "cpp":
        return [options.cpp_worker]
    if language == "python":
        if not options.no_build:
            build([ROOT / "client/python/check", "--venv", KEPT / "python", "--no-tests"])
        return [str(KEPT / "python/bin/python"), str(HERE / "worker.py")]
    if language == "go":
        if not options.no_build:
            build(["go", "build", "-C", "client/go", "-o", KEPT / "go_bench", "./internal/bench"])
        return [str(KEPT / "go_bench")]
    folder = ROOT / "client/typescript"
    if not options.no_build:
        build(["npm", "install", "--silent", "--no-fund", "--no-audit"], folder)
        build(["npm", "run", "--silent", "build"], folder)
    return ["node", str(folder / "dist/test/bench.js")]


class Bench:
    """One gateway with its log, and the workers that read it one after another."""

    def __init__(self, options, folder):
        self._options = options
        self._folder = folder
        # The gateway and the client do not take each other's core.
        cores = sorted(os.sched_getaffinity(0))
        self._client_prefix = ["taskset", "-c", str(cores[-1])]
        self.gateway = Gateway(options.hookgated, folder, prefix=["taskset", "-c", str(cores[0])])
        self._subscriptions = 0
        self._webhooks = 0
        self._log = os.path.join(folder, "workers.log")

    async def run(self):
        await self.gateway.start()
        tell(f"storing {self._options.events} webhooks")
        await self.gateway.send_many(self._options.events, repeat_every=self._options.events + 1)
        commands = {language: worker_of(language, self._options) for language in self._options.languages}
        results = {}
        for language, command in commands.items():
            results[language] = {}
            for call in CALLS[language]:
                results[language][call] = await self._rates(language, command, call)
            results[language]["memory"] = await self._memory(language, command)
        for language, command in commands.items():
            for call in ("subscribe", "consume"):
                results[language][call]["recovery"] = await self._recovery(language, command, call)
        await self.gateway.stop()
        return results

    # Rates.

    async def _rates(self, language, command, call):
        """Library and stub take turns, and turns at being first."""
        rounds = {"library": [], "bare": []}
        for number in range(self._options.rounds):
            for by in ("library", "bare") if number % 2 == 0 else ("bare", "library"):
                result = await self._timed(language, command, call, by)
                rounds[by].append(result)
                rate, cpu = result["events"] / result["seconds"], result["cpu_seconds"] / result["events"]
                tell(f"{language} {call} {by}: {rate:,.0f}/s, {cpu * 1e6:.2f} us of CPU each")
        best = {by: max(each["events"] / each["seconds"] for each in rounds[by]) for by in rounds}
        cpu = {by: min(each["cpu_seconds"] / each["events"] for each in rounds[by]) * 1e6 for by in rounds}
        median = {by: statistics.median(each["events"] / each["seconds"] for each in rounds[by]) for by in rounds}
        return {
            "events_per_second": best,
            "cpu_us_per_event": cpu,
            "ratio": best["library"] / best["bare"],
            "ratio_of_medians": median["library"] / median["bare"],
            "rounds": rounds,
        }

    async def _timed(self, language, command, call, by):
        passes = 1 if call == "consume" else PASSES[language]
        flags = [f"--events={self._options.events}", f"--passes={passes}", f"--concurrency={self._options.concurrency}"]
        async with self._worker(command, call, by, flags, subscription=call == "consume") as worker:
            return await worker.message(LONGEST)

    # Memory.

    async def _memory(self, language, command):
        result = {}
        for by in ("library", "bare"):
            flags = [f"--events={IN_FLIGHT}", f"--concurrency={IN_FLIGHT}"]
            async with self._worker(command, "hold", by, flags, subscription=True) as worker:
                result[by] = await worker.message()
            tell(f"{language} with {IN_FLIGHT} in flight, {by}: {result[by]['peak_kib'] / 1024:.1f} MiB")
        return result

    # Recovery.

    async def _recovery(self, language, command, call):
        times = []
        async with self._worker(command, f"watch_{call}", "library", [], subscription=call == "consume") as worker:
            while "opened" not in await worker.message():
                pass
            await self._send_and_await(worker)
            for _ in range(self._options.kills):
                (_, http_port), (_, grpc_port) = self.gateway.http, self.gateway.grpc
                killed = time.monotonic()
                await self.gateway.kill()
                await self.gateway.start(http_port, grpc_port)
                ready = time.monotonic()
                await self._send_and_await(worker)
                times.append({"gateway": ready - killed, "total": time.monotonic() - killed})
                tell(f"{language} {call} recovered: gateway {ready - killed:.2f} s, event {times[-1]['total']:.2f} s")
        return {
            "gateway_seconds": statistics.median(each["gateway"] for each in times),
            "median_seconds": statistics.median(each["total"] for each in times),
            "longest_seconds": max(each["total"] for each in times),
            "kills": times,
        }

    async def _send_and_await(self, worker):
        self._webhooks += 1
        webhook_id = f"wh_recovery_{self._webhooks}"
        await self.gateway.post(webhook_id, make_body("batch.failed", f"batch_r{self._webhooks}"))
        while (await worker.message()).get("event") != webhook_id:
            pass

    # Workers.

    @contextlib.asynccontextmanager
    async def _worker(self, command, what, by, flags, subscription):
        name = ""
        if subscription:
            self._subscriptions += 1
            name = f"bench-{self._subscriptions}"
            await self._control("create", name)
        common = [f"--target={self._target()}", f"--do={what}", f"--by={by}", f"--subscription={name}"]
        worker = Worker([*self._client_prefix, *command, *common, *flags], self._log)
        try:
            await worker.program.start(stdin=asyncio.subprocess.PIPE)
            yield worker
            worker.program.stdin.close()
            if await worker.program.wait() != 0:
                raise Failure(f"the worker failed: {worker.program.log()[-2000:]}")
        finally:
            await worker.program.kill()
        if subscription:
            await self._control("delete", name)

    async def _control(self, what, subscription):
        await run_program(
            self._options.cpp_worker, f"--target={self._target()}", f"--do={what}", f"--subscription={subscription}"
        )

    def _target(self):
        return "{}:{}".format(*self.gateway.grpc)


class Worker:
    """One process of a language's worker, which prints JSON objects."""

    def __init__(self, command, log):
        self.program = Program("the worker", command, log)

    async def message(self, patience=60.0):
        line = await within(self.program.read_line(), "the worker prints something", patience)
        if not line:
            raise Failure(f"the worker has ended: {self.program.log()[-2000:]}")
        return json.loads(line)


# What is printed.


def table(results, options):
    """The whole of it, for people and for Markdown."""
    lines = [
        f"{options.events:,} events; best of {options.rounds} rounds; Consume with {options.concurrency} in flight; "
        f"recovery: median of {options.kills} SIGKILLs, and the longest.",
        "",
        "| client | call | library | bare stub | ratio | CPU per event: library, bare | recovery (gateway's part) |",
        "|---|---|---|---|---|---|---|",
    ]
    for language, result in results.items():
        for call in CALLS[language]:
            rates, cpu = result[call]["events_per_second"], result[call]["cpu_us_per_event"]
            back = result[call].get("recovery")
            recovery = (
                f"{back['median_seconds']:.2f} s ({back['gateway_seconds']:.2f} s), {back['longest_seconds']:.2f} s"
                if back
                else "as above"
            )
            below = "" if result[call]["ratio"] >= TARGET else f" (below {TARGET})"
            lines.append(
                f"| {NAMES[language]} | {CALL_NAMES[call]} | {rates['library']:,.0f}/s | {rates['bare']:,.0f}/s "
                f"| {result[call]['ratio']:.2f}{below} | {cpu['library']:.1f} us, {cpu['bare']:.1f} us "
                f"| {recovery} |"
            )
    lines += [
        "",
        f"| client | memory with {IN_FLIGHT:,} events in flight: library | bare stub |",
        "|---|---|---|",
    ]
    for language, result in results.items():
        cells = []
        for by in ("library", "bare"):
            held = result["memory"][by]
            grown = (held["kib"] - held["before_kib"]) / 1024
            cells.append(f"{held['peak_kib'] / 1024:.1f} MiB, {grown:.1f} of them since the call began")
        lines.append(f"| {NAMES[language]} | {cells[0]} | {cells[1]} |")
    return "\n".join(lines)


async def measure(options):
    with tempfile.TemporaryDirectory(prefix="hookgate-bench-", dir=options.folder) as folder:
        bench = Bench(options, folder)
        try:
            return await bench.run()
        finally:
            await bench.gateway.kill()


async def run(options):
    options.hookgated = options.hookgated or built_by_bazel(options, "//server:hookgated")
    options.cpp_worker = options.cpp_worker or built_by_bazel(options, "//tests/clients/bench:cpp_worker")
    task = asyncio.ensure_future(measure(options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        results = await task
    except asyncio.CancelledError:
        return 130
    if options.json:
        print(json.dumps({"events": options.events, "concurrency": options.concurrency, "languages": results}, indent=1))
    else:
        print(table(results, options))
    return 0


def main():
    options = parse()
    try:
        return asyncio.run(run(options))
    except Failure as failure:
        tell(f"tests/clients/bench/run: {failure}")
        return 1


if __name__ == "__main__":
    sys.exit(main())
