"""TLS and tokens towards a gateway."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Union

import grpc

from hookgate.errors import UsageError, transport_error
from hookgate.target import is_loopback

PathText = Union[str, "os.PathLike[str]"]


@dataclass(frozen=True)
class Security:
    """How a connection is kept private, and by what the gateway knows who calls.

    All of it is checked at once: UsageError says what does not go together. No message and no repr
    holds the token.
    """

    target: str
    tls: bool = False
    tls_ca: PathText | None = None
    tls_cert: PathText | None = None
    tls_key: PathText | None = None
    token: str | None = field(default=None, repr=False)
    token_file: PathText | None = None

    def __post_init__(self) -> None:
        if (self.tls_cert is None) != (self.tls_key is None):
            raise UsageError("a client certificate needs its key, and a key its certificate")
        if not self.tls and (self.tls_ca is not None or self.tls_cert is not None):
            raise UsageError("certificates need TLS, which tls=False turns off")
        if self.token is not None and self.token_file is not None:
            raise UsageError("give a token or a token_file, not both")
        if self.token is not None:
            _check_token(self.token, "the token")
        if self.has_token() and not self.tls and not is_loopback(self.target):
            raise UsageError(f"without TLS the token would travel to {self.target} in the clear: "
                             "use TLS, or a loopback address")

    def has_token(self) -> bool:
        return self.token is not None or self.token_file is not None

    def read_token(self) -> str | None:
        """The token as it is now. TransportError, UNAUTHENTICATED, if its file holds none."""
        if self.token_file is None:
            return self.token
        try:
            with open(self.token_file, encoding="utf-8") as file:
                token = file.read(65536).strip()
            _check_token(token, "it")
        except (OSError, ValueError) as error:
            raise transport_error(
                f"no token can be read from the token_file {os.fspath(self.token_file)}: {error}",
                grpc.StatusCode.UNAUTHENTICATED) from error
        return token

    def read_tls(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """The bytes of tls_ca, tls_key and tls_cert. UsageError if one cannot be read."""
        return _read(self.tls_ca), _read(self.tls_key), _read(self.tls_cert)


def credentials(files: tuple[bytes | None, bytes | None, bytes | None]) -> grpc.ChannelCredentials:
    ca, key, certificate = files
    return grpc.ssl_channel_credentials(ca, key, certificate)


def _read(path: PathText | None) -> bytes | None:
    if path is None:
        return None
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UsageError(f"cannot read the TLS file {os.fspath(path)}: {error.strerror}") from error


def _check_token(token: str, what: str) -> None:
    if not token:
        raise UsageError(f"{what} is empty")
    if not all("!" <= letter <= "~" for letter in token):
        raise UsageError(f"{what} has spaces or other characters that no token has")
