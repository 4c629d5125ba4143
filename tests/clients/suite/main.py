"""Runs the scenarios against one adapter, and counts what passed."""

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
import time

import calls  # noqa: F401  pylint: disable=unused-import
import consume  # noqa: F401  pylint: disable=unused-import
import subscribe  # noqa: F401  pylint: disable=unused-import
from waiting import Failure
from world import SCENARIOS, World

# No scenario takes longer, even on a busy machine.
LONGEST = 240


def parse():
    parser = argparse.ArgumentParser(
        prog="tests/clients/run", description="Runs the clients' suite against the library behind an adapter."
    )
    parser.add_argument("--hookgated", required=True, help="the gateway's program")
    parser.add_argument("--control", required=True, help="the C++ adapter, to look at the gateway with")
    parser.add_argument("--jobs", type=int, default=4, help="scenarios that run at a time; they mostly wait")
    parser.add_argument("--list", action="store_true", help="the names of all scenarios, and of their groups")
    parser.add_argument("words", nargs="*", metavar="SCENARIO... -- ADAPTER [ARGUMENT...]")
    words = sys.argv[1:]
    split = words.index("--") if "--" in words else len(words)
    options = parser.parse_args(words[:split])
    options.adapter = words[split + 1 :]
    if not options.adapter and not options.list:
        parser.error("needs an adapter behind --")
    return options


def chosen(names):
    """Scenarios by name or group; all of them without names."""
    groups = {group for group, _ in SCENARIOS.values()}
    for name in names:
        if name not in SCENARIOS and name not in groups:
            print(f"tests/clients/run: there is no scenario or group {name}; --list tells", file=sys.stderr)
            sys.exit(2)
    return [name for name, (group, _) in SCENARIOS.items() if not names or name in names or group in names]


async def run_one(options, name, folder):
    """Why it failed; "": it passed."""
    os.mkdir(folder)
    world = World(options, folder)
    try:
        await asyncio.wait_for(SCENARIOS[name][1](world), LONGEST)
        return ""
    except Failure as failure:
        return f"{failure}\n{world.logs()}"
    except (asyncio.TimeoutError, TimeoutError):
        return f"not over after {LONGEST} s\n{world.logs()}"
    except Exception as error:  # pylint: disable=broad-except
        trace = error.__traceback__
        while trace.tb_next is not None:
            trace = trace.tb_next
        where = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"
        return f"{where}: {type(error).__name__}: {error}\n{world.logs()}"
    finally:
        await world.close()


async def run_all(options):
    names = chosen(options.words)
    turn = asyncio.Semaphore(options.jobs)
    failed = 0

    async def run(name, folder):
        nonlocal failed
        async with turn:
            begin = time.monotonic()
            why = await run_one(options, name, folder)
            seconds = time.monotonic() - begin
            failed += 1 if why else 0
            print(f"{'FAILED' if why else 'ok    '} {name} ({seconds:.1f} s)", flush=True)
            if why:
                print("       " + why.replace("\n", "\n       "), flush=True)

    with tempfile.TemporaryDirectory(prefix="hookgate-clients-") as folder:
        await asyncio.gather(*(run(name, os.path.join(folder, name)) for name in names))
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed or not names else 0


async def run_until_signal(options):
    task = asyncio.ensure_future(run_all(options))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        return await task
    return 130


def main():
    options = parse()
    if options.list:
        for name, (group, _) in SCENARIOS.items():
            print(f"{group:10} {name}")
        return 0
    return asyncio.run(run_until_signal(options))


if __name__ == "__main__":
    sys.exit(main())
