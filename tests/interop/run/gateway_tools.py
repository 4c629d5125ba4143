"""Programs that people point at a gateway: grpcurl, grpc-health-probe, buf curl, h2spec.

Each has run(target), which returns pairs of a case and what was wrong with it, "" for nothing.
"""

import os
import tempfile
import xml.etree.ElementTree

from processes import run

PATIENCE = 60  # seconds for one command

SERVICES = (
    "grpc.health.v1.Health",
    "grpc.reflection.v1.ServerReflection",
    "grpc.reflection.v1alpha.ServerReflection",
    "hookgate.v1.AdminService",
    "hookgate.v1.EventService",
    "hookgate.v1.SubscriptionService",
)
LIST = "hookgate.v1.EventService/ListEvents"
GET = "hookgate.v1.EventService/GetEvent"
SUBSCRIBE = "hookgate.v1.EventService/Subscribe"
MISSING_EVENT = '{"webhook": {"source": "openai", "webhook_id": "wh_none"}}'
FROM_LATEST = '{"start_position": "START_POSITION_LATEST", "heartbeat_interval": "0.2s"}'


class Checks:
    def __init__(self):
        self.results = []

    def check(self, case, command, *expected, code=0, stdin=None):
        """Notes whether `command` prints every text of `expected`, and ends with `code` (None: any but 0)."""
        actual, output = run(command, PATIENCE, stdin=stdin)
        wrong = [f"exit code {actual}"] if (actual != code if code is not None else actual == 0) else []
        wrong += [f"no {text!r}" for text in expected if text not in output]
        self.results.append((case, f"{', '.join(wrong)} in: {output[-500:]}" if wrong else ""))


class Grpcurl:
    """Version 1.8.6 knows reflection v1alpha alone, newer ones ask for v1 first."""

    def __init__(self, tools, name, reflection):
        self.name = name
        self._tools = tools
        self._reflection = reflection

    def missing(self):
        return self._tools.missing(self.name)

    def run(self, target):
        program = self._tools.program(self.name)
        security = ["-cacert", target.ca_file] if target.tls else ["-plaintext"]
        token = ["-H", f"authorization: Bearer {target.token}"] if target.token else []
        base = [program, *security]
        calls = [*base, *token]
        checks = Checks()
        checks.check(f"list by reflection {self._reflection}", [*calls, target.address, "list"], *SERVICES)
        for service in SERVICES:
            checks.check(f"describe {service}", [*calls, target.address, "describe", service], "service ")
        checks.check("a unary call", [*calls, "-d", "{}", target.address, LIST], "{")
        checks.check("an error", [*calls, "-d", MISSING_EVENT, target.address, GET], "Code: NotFound", code=None)
        # -v has it print what comes at once; the stream ends when its time is over.
        stream = [*calls, "-v", "-max-time", "1.5", "-d", FROM_LATEST, target.address, SUBSCRIBE]
        checks.check("a stream", stream, '"opened"', '"heartbeat"', "DeadlineExceeded", code=None)
        checks.check("no such method", [*calls, target.address, "hookgate.v1.EventService/No"], code=None)
        if target.token:
            protos = ["-import-path", os.path.join(self._tools.source("../.."), "proto")]
            protos += ["-proto", "hookgate/v1/event_service.proto"]
            checks.check(
                "a call without a token is refused",
                [*base, *protos, "-d", "{}", target.address, LIST],
                "Code: Unauthenticated",
                code=None,
            )
        return checks.results


class HealthProbe:
    name = "grpc-health-probe"

    def __init__(self, tools):
        self._tools = tools

    def missing(self):
        return self._tools.missing(self.name)

    def run(self, target):
        base = [self._tools.program(self.name), f"-addr={target.address}"]
        if target.tls:
            base += ["-tls", f"-tls-ca-cert={target.ca_file}"]
        checks = Checks()
        for service in ("", *SERVICES):
            checks.check(f"health of {service or 'the whole'}", [*base, f"-service={service}"], "SERVING")
        checks.check("health of no service", [*base, "-service=no.such.Service"], code=None)
        return checks.results


class BufCurl:
    name = "buf"

    def __init__(self, tools):
        self._tools = tools

    def missing(self):
        return self._tools.missing(self.name)

    def run(self, target):
        checks = Checks()
        base = [self._tools.program(self.name), "curl", "--protocol", "grpc"]
        base += ["--cacert", target.ca_file] if target.tls else ["--http2-prior-knowledge"]
        if target.token:
            token = f"authorization: Bearer {target.token}"
            base += ["--header", token, "--reflect-header", token]
        url = f"{'https' if target.tls else 'http'}://{target.address}"
        for version in ("grpc-v1", "grpc-v1alpha"):
            reflected = [*base, "--reflect-protocol", version]
            checks.check(f"methods by {version}", [*reflected, "--list-methods", url], LIST, SUBSCRIBE)
            checks.check(f"a unary call by {version}", [*reflected, "--data", "{}", f"{url}/{LIST}"], "{")
        checks.check("an error", [*base, "--data", MISSING_EVENT, f"{url}/{GET}"], "not_found", code=None)
        return checks.results


class H2spec:
    name = "h2spec"

    def __init__(self, tools):
        self._tools = tools

    def missing(self):
        return self._tools.missing(self.name)

    def run(self, target):
        results = []
        allowed = self._allowed()
        failed_as_allowed = []
        tls = ["-t", "-k"] if target.tls else []
        for suite in ("generic", "http2", "hpack"):
            with tempfile.TemporaryDirectory() as folder:
                report = os.path.join(folder, "report.xml")
                command = [self._tools.program(self.name), suite, "-h", "127.0.0.1", "-p", str(target.port)]
                # A test that nothing answers lasts for the time-out, and most allowed failures are such.
                _, output = run([*command, *tls, "-o", "2", "-j", report], 300)
                tests = _tests_in(report)
            if not tests:
                results.append((suite, f"it ran no test: {output[-500:]}"))
            for number, outcome in tests:
                if outcome and number in allowed:
                    failed_as_allowed.append(number)
                    continue
                results.append((number, outcome))
        print(f"   h2spec, {target.name}, failed as allowed: {' '.join(failed_as_allowed)}")
        return results

    def _allowed(self):
        """Numbers of the tests that may fail."""
        with open(self._tools.source("h2spec_allowed.txt"), encoding="utf-8") as file:
            return {line.split()[0] for line in file if line.strip() and not line.startswith("#")}


def _tests_in(report):
    """Numbers, such as http2/5.1/8, of the tests in h2spec's report, and what was wrong with each."""
    tests = []
    if not os.path.exists(report):
        return tests
    for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
        for position, test in enumerate(suite.iter("testcase"), 1):
            wrong = "; ".join(f"{part.tag}: {' '.join((part.text or '').split())}" for part in test)
            title = test.get("classname") or ""
            tests.append((f"{test.get('package')}/{position}", f"{title}: {wrong}" if wrong else ""))
    return tests
