"""The servers that are tested, and certificates for them."""

import base64
import contextlib
import hashlib
import os
import secrets
from dataclasses import dataclass, field

from processes import Background, Failure, run


@dataclass(frozen=True)
class Target:
    """Where a peer finds a server, directly or behind a proxy."""

    name: str  # "plain", "TLS through nginx"
    port: int
    ca_file: str = ""  # "": plain text
    token: str = field(default="", repr=False)  # that calls need
    without: dict = field(default_factory=dict)  # cases that do not apply, by the peer's name; "": to all of ours

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    @property
    def tls(self):
        return self.ca_file != ""


class Certificates:
    """An authority made for this run, and a certificate of the server's for 127.0.0.1 and localhost."""

    def __init__(self, folder):
        self.ca = os.path.join(folder, "ca.pem")
        self.certificate = os.path.join(folder, "server.pem")
        self.key = os.path.join(folder, "server.key")
        self.both = os.path.join(folder, "server-both.pem")  # as HAProxy wants it
        ca_key = os.path.join(folder, "ca.key")
        request = os.path.join(folder, "server.csr")
        names = os.path.join(folder, "names")
        with open(names, "w", encoding="ascii") as file:
            file.write("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        for command in (
            ["req", "-x509", *new_key, "-keyout", ca_key, "-out", self.ca, "-days", "2", "-subj", "/CN=interop"],
            ["req", *new_key, "-keyout", self.key, "-out", request, "-subj", "/CN=localhost"],
            ["x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial",
             "-days", "2", "-extfile", names, "-out", self.certificate],
        ):  # fmt: skip
            code, output = run(["openssl", *command], 30)
            if code != 0:
                raise Failure(f"openssl {command[0]} failed:\n{output}")
        with open(self.both, "w", encoding="ascii") as both:
            for path in (self.certificate, self.key):
                with open(path, encoding="ascii") as part:
                    both.write(part.read())


@contextlib.contextmanager
def interop_servers(binary, certificates):
    """Targets of the interoperability service: plain text, TLS."""
    tls = [f"--certificate_file={certificates.certificate}", f"--key_file={certificates.key}"]
    with (
        Background("interop_server", [binary]) as plain,
        Background("interop_server with TLS", [binary, *tls]) as encrypted,
    ):
        yield (
            Target("plain", int(plain.wait_for(r"^ready grpc=.*:(\d+)$")[1])),
            Target("TLS", int(encrypted.wait_for(r"^ready grpc=.*:(\d+)$")[1]), certificates.ca),
        )


# Calls need this token over TLS; in plain text everybody may call.
_CONFIG = """
sources {{ name: "openai" secrets {{ name: "only" environment: "OPENAI_WEBHOOK_SECRET" }} }}
grpc {{ tls {{ certificate_file: "{certificate}" key_file: "{key}" }} }}
principals {{ name: "peer" token_sha256: "{digest}" rights {{ subscribe: "*" query: "*" consume: "*" admin: true }} }}
"""


@contextlib.contextmanager
def gateways(binary, folder, certificates):
    """Targets of two real gateways: plain text, TLS with a token."""
    token = secrets.token_hex(32)
    config = os.path.join(folder, "hookgate.textproto")
    with open(config, "w", encoding="ascii") as file:
        file.write(
            _CONFIG.format(
                certificate=certificates.certificate,
                key=certificates.key,
                digest=hashlib.sha256(token.encode()).hexdigest(),
            )
        )
    environment = {"OPENAI_WEBHOOK_SECRET": "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()}

    def start(name, *flags):
        ports = [f"--{port}_address=127.0.0.1:0" for port in ("http", "grpc", "admin")]
        data = os.path.join(folder, name.replace(" ", "-"))
        return Background(name, [binary, *ports, f"--data_dir={data}", *flags], environment)

    with start("hookgated") as plain, start("hookgated with TLS", f"--config={config}") as encrypted:
        yield (
            Target("plain", int(plain.wait_for(r"^ready .*grpc=\S*:(\d+)")[1])),
            Target("TLS", int(encrypted.wait_for(r"^ready .*grpc=\S*:(\d+)")[1]), certificates.ca, token),
        )
