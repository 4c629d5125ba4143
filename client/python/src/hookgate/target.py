"""The address of a gateway's gRPC port, as people type it. Pure functions."""

from __future__ import annotations

import ipaddress
import re

from hookgate.errors import UsageError

_EXAMPLE = "HOST:PORT, such as 127.0.0.1:50051 or gateway.example:50051"
_SOCKETS = ("unix:", "unix-abstract:")


def _wrong(target: str, why: str, right: str = _EXAMPLE) -> UsageError:
    return UsageError(f"target {target!r}: {why}; use {right}")


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text.partition("%")[0])  # Without its zone.
    except ValueError:
        return False
    return True


def _check_port(target: str, port: str) -> None:
    if not re.fullmatch(r"[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
        raise _wrong(target, "its port is not a number from 1 to 65535")


def check_target(target: str) -> None:
    """Raises UsageError unless `target` is HOST:PORT, with an IPv6 address in brackets, or one of
    gRPC's own names: dns:///HOST:PORT, unix:PATH, unix-abstract:NAME, ipv4:..., ipv6:....

    gRPC itself takes anything for a name to look up, and guesses port 443.
    """
    if not target:
        raise _wrong(target, "it is empty")
    if re.match(r"https?://", target, re.IGNORECASE):
        raise _wrong(target, "it is a URL, and gRPC needs HOST:PORT (turn TLS on by tls=True)")
    if target.startswith(_SOCKETS):
        if target.endswith(":"):
            raise _wrong(target, "it has no socket path")
        return
    rest = re.sub(r"^(dns://[^/]*/|dns:|ipv4:|ipv6:)", "", target)
    if "://" in rest:
        raise _wrong(target, "it begins like a URL")
    if rest.startswith("["):
        host, closed, port = rest[1:].partition("]")
        if not closed or not _is_ipv6(host):
            raise _wrong(target, "the text in brackets is not an IPv6 address", "[ADDRESS]:PORT")
        if not port.startswith(":"):
            raise _wrong(target, "it has no port", f"[{host}]:50051")
        _check_port(target, port[1:])
        return
    if rest.count(":") > 1:
        raise _wrong(target, "it has more than one colon; an IPv6 address must be in brackets")
    host, colon, port = rest.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9._-]+", host):
        raise _wrong(target, "its host is empty or has characters that no host name has")
    if not colon:
        right = f"127.0.0.1:{host}" if host.isdigit() else f"{host}:50051"
        raise _wrong(target, "it has no port, or no host", right)
    _check_port(target, port)


def is_loopback(target: str) -> bool:
    """Whether a call to `target` stays on this machine, as far as its host tells."""
    if target.startswith(_SOCKETS):
        return True
    host = re.sub(r"^(dns:///|dns:|ipv4:|ipv6:)", "", target).rpartition(":")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
