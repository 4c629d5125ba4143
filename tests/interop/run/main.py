"""Runs the peers of bazel/interop, and counts what passed."""

import argparse
import contextlib
import os
import signal
import sys
import tempfile

from gateway_tools import BufCurl, Grpcurl, H2spec, HealthProbe
from open_streams import check_open_streams
from peers import CppPeer, GoPeer, JavaPeer, NodePeer, PythonPeer
from processes import Failure
from proxies import PROXIES
from servers import Certificates, gateways, interop_servers
from tools import Tools


class Count:
    """Prints what each step has found."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def add(self, what, results):
        failures = [(case, why) for case, why in results if why]
        self.passed += len(results) - len(failures)
        self.failed += len(failures)
        print(f"   {what}: {len(results) - len(failures)} of {len(results)}", flush=True)
        for case, why in failures:
            print(f"   FAILED {what}, {case}: {why}", flush=True)


def parse():
    parser = argparse.ArgumentParser(prog="bazel/interop")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--tools", required=True)
    parser.add_argument("--python", required=True)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--interop_server", required=True)
    parser.add_argument("--cpp_peer", required=True)
    parser.add_argument("--hookgated", required=True)
    parser.add_argument("names", nargs="*")
    return parser.parse_args()


def run_peers(count, peers, names, targets):
    for peer in peers:
        if peer.name not in names:
            continue
        missing = peer.missing()
        if missing:
            print(f"== {peer.name}: skipped, {missing}")
            continue
        print(f"== {peer.name}")
        for target in targets:
            count.add(f"{peer.name}, {target.name}", peer.run(target))


def run_proxy(count, proxy, peers, tools, servers, folder, certificates):
    missing = proxy.missing()
    if missing:
        print(f"== {proxy.name}: skipped, {missing}")
        return
    print(f"== {proxy.name}")
    interop, hookgated = servers
    with (
        proxy.in_front_of(interop, folder, certificates) as to_interop,
        proxy.in_front_of(hookgated, folder, certificates) as to_gateways,
    ):
        for peer in peers:
            if peer.missing():
                print(f"   {peer.name}: skipped, {peer.missing()}")
                continue
            for target in to_interop:
                count.add(f"{peer.name}, {target.name}", peer.run(target))
        if tools.python_missing():
            print(f"   open streams: skipped, {tools.python_missing()}")
        else:
            results = check_open_streams(tools, proxy, to_gateways, to_interop[0])
            count.add(f"open streams through {proxy.name}", results)


def main():
    arguments = parse()
    # So that what runs in the background ends as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # All traffic stays on this machine.
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="hookgate-interop-") as folder:
        tools = Tools(arguments.tools, arguments.python, arguments.workspace, folder)
        peers = [
            CppPeer(arguments.cpp_peer),
            PythonPeer(tools),
            NodePeer(tools),
            GoPeer(tools),
            JavaPeer(tools, "netty"),
            JavaPeer(tools, "okhttp"),
        ]
        # Java starts again for each case, which would take minutes.
        of_proxies = [peer for peer in peers if not isinstance(peer, JavaPeer)]
        gateway_tools = [
            Grpcurl(tools, "grpcurl", "v1"),
            Grpcurl(tools, "grpcurl-1.8.6", "v1alpha"),
            HealthProbe(tools),
            BufCurl(tools),
            H2spec(tools),
        ]
        known = [step.name for step in (*peers, *gateway_tools, *PROXIES)]
        if arguments.list:
            print("\n".join(known))
            return 0
        names = arguments.names or known
        unknown = [name for name in names if name not in known]
        if unknown:
            print(f"bazel/interop: there is no {unknown[0]}; there are: {' '.join(known)}", file=sys.stderr)
            return 2

        count = Count()
        certificates = Certificates(folder)
        with contextlib.ExitStack() as running:
            interop = running.enter_context(interop_servers(arguments.interop_server, certificates))
            run_peers(count, peers, names, interop)
            if set(names) & {step.name for step in (*gateway_tools, *PROXIES)}:
                hookgated = running.enter_context(gateways(arguments.hookgated, folder, certificates))
                run_peers(count, gateway_tools, names, hookgated)
                for proxy in PROXIES:
                    if proxy.name in names:
                        run_proxy(count, proxy, of_proxies, tools, (interop, hookgated), folder, certificates)
        print(f"{count.passed} passed, {count.failed} failed")
        return 1 if count.failed or not count.passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print(f"bazel/interop: {failure}", file=sys.stderr)
        sys.exit(1)
