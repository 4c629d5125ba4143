"""Streams through a proxy that are open for longer than its idle time-outs."""

import re
from concurrent.futures import ThreadPoolExecutor

from processes import run
from proxies import IDLE_SECONDS

OPEN_SECONDS = 3 * IDLE_SECONDS


def check_open_streams(tools, proxy, gateways, interop):
    """Pairs of a case and what was wrong, of targets that lead to gateways, and of one to the interop service."""

    def one(call, target):
        security = ["--ca_file", target.ca_file] if target.tls else []
        token = ["--token", target.token] if target.token else []
        command = [tools.python, tools.source("peers/idle_stream.py"), "--target", target.address]
        timing = ["--seconds", str(OPEN_SECONDS), call]
        _, output = run([*command, *security, *token, *timing], OPEN_SECONDS + 60, tools.python_environment())
        return output.strip()[-500:]

    tools.python_environment()  # It makes the stubs, once.
    with ThreadPoolExecutor() as pool:
        # At the same time, since each takes as long as it takes.
        open_ones = [
            (call, target, pool.submit(one, call, target)) for call in ("subscribe", "consume") for target in gateways
        ]
        silent = pool.submit(one, "silent", interop) if proxy.cuts_idle_streams else None
    results = []
    for call, target, future in open_ones:
        output = future.result()
        found = re.fullmatch(r"open, (\d+) messages", output)
        well = found is not None and int(found[1]) > OPEN_SECONDS / 2
        results.append((f"{call} stays open for {OPEN_SECONDS} s ({target.name})", "" if well else output))
    if silent is not None:
        # Otherwise the streams above would stay open for no merit of the heartbeats.
        output = silent.result()
        results.append(
            (f"a silent stream is cut after {IDLE_SECONDS} s", "" if output.startswith("ended") else output)
        )
    return results
