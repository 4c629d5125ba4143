"""gRPC's libraries as clients of the interoperability service."""

import os
import shutil

from processes import run

PATIENCE = 120  # seconds for a case of another program, or for all of one of ours

# gRPC's interoperability tests, as the clients of Go and Java name them. The others do not apply:
# cacheable_unary needs GET, client_compressed_* and server_compressed_* need compression, which is refused
# on purpose; *_creds and *credentials are about Google's clouds, orca_* about load reports to a balancer.
OFFICIAL_CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "pick_first_unary",
    "rpc_soak",
    "channel_soak",
)


class OwnPeer:
    """A program of ours in tests/interop that prints "ok CASE" and "FAILED CASE: why"."""

    def run(self, target):
        code, output = run(self.command(target), PATIENCE, self.environment())
        lines = output.splitlines()
        results = [(line.split()[1], "") for line in lines if line.startswith("ok ")]
        results += [
            (line.split()[1].rstrip(":"), line.partition(": ")[2]) for line in lines if line.startswith("FAILED ")
        ]
        if not results or (code != 0 and all(not why for _, why in results)):
            results.append(("the program itself", f"exit code {code}: {output[-500:]}"))
        return results

    def environment(self):
        return {}

    def without(self, target):
        return ",".join((*target.without.get("", ()), *target.without.get(self.name, ())))


class CppPeer(OwnPeer):
    name = "cpp"

    def __init__(self, binary):
        self._binary = binary

    def missing(self):
        return ""

    def command(self, target):
        without = f"--without={self.without(target)}"
        return [self._binary, f"--target={target.address}", f"--ca_file={target.ca_file}", without]


class PythonPeer(OwnPeer):
    name = "python"

    def __init__(self, tools):
        self._tools = tools

    def missing(self):
        return self._tools.python_missing()

    def command(self, target):
        ca_file = ["--ca_file", target.ca_file] if target.tls else []
        program = self._tools.source("peers/python_peer.py")
        without = ["--without", self.without(target)]
        return [self._tools.python, program, "--target", target.address, *ca_file, *without]

    def environment(self):
        return self._tools.python_environment()


class NodePeer(OwnPeer):
    name = "node"

    def __init__(self, tools):
        self._tools = tools

    def missing(self):
        if not shutil.which("node"):
            return "Node.js is not installed"
        return "" if os.path.isdir(self._tools.path("node/node_modules/@grpc/grpc-js")) else "grpc-js is not installed"

    def command(self, target):
        ca_file = ["--ca_file", target.ca_file] if target.tls else []
        program = self._tools.source("peers/node/node_peer.mjs")
        flags = ["--target", target.address, "--proto", self._tools.source("."), "--without", self.without(target)]
        return ["node", program, *flags, *ca_file]

    def environment(self):
        return {"INTEROP_NODE_MODULES": self._tools.path("node/node_modules")}


class OfficialPeer:
    """A client of gRPC's own that runs one case and says by its exit code how it went."""

    def run(self, target):
        results = []
        for case in OFFICIAL_CASES:
            code, output = run(self.command(target, case), PATIENCE)
            results.append((case, "" if code == 0 else f"exit code {code}: {output[-500:]}"))
        return results


class GoPeer(OfficialPeer):
    name = "go"

    def __init__(self, tools):
        self._tools = tools

    def missing(self):
        return self._tools.missing("grpc-go-client")

    def command(self, target, case):
        tls = ["-use_tls", "-use_test_ca", "-ca_file", target.ca_file] if target.tls else []
        address = ["-server_host", "127.0.0.1", "-server_port", str(target.port)]
        # A busy machine is slower than the second that a call of the soak cases has by default.
        patience = ["-soak_per_iteration_max_acceptable_latency_ms", "20000", "-soak_overall_timeout_seconds", "100"]
        return [self._tools.program("grpc-go-client"), "-test_case", case, *address, *tls, *patience]


class JavaPeer(OfficialPeer):
    def __init__(self, tools, transport):
        self.name = f"java-{transport}"
        self._tools = tools
        self._transport = transport

    def missing(self):
        if not shutil.which("java"):
            return "Java is not installed"
        return "" if os.path.isdir(self._tools.path("java/jars")) else "grpc-java is not installed"

    def command(self, target, case):
        trust = []
        if target.tls:
            store = target.ca_file + ".p12"
            if not os.path.exists(store):
                alias = ["-noprompt", "-alias", "interop", "-file", target.ca_file]
                run(["keytool", "-importcert", *alias, "-keystore", store, "-storepass", "interop"], 60)
            trust = [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=interop"]
        return [
            "java",
            *trust,
            "-cp",
            self._tools.path("java/jars/*"),
            "io.grpc.testing.integration.TestServiceClient",
            f"--use_okhttp={str(self._transport == 'okhttp').lower()}",
            "--server_host=127.0.0.1",
            f"--server_port={target.port}",
            f"--use_tls={str(target.tls).lower()}",
            f"--test_case={case}",
            "--soak_per_iteration_max_acceptable_latency_ms=20000",
            "--soak_overall_timeout_seconds=100",
        ]
