"""What can be chosen about a consumer."""

from __future__ import annotations

import os
import secrets
import socket
from dataclasses import dataclass
from typing import Literal

from hookgate import states
from hookgate.backoff import Backoff
from hookgate.errors import UsageError
from hookgate.messages import duration
from hookgate.v1 import subscription_service_pb2 as api

StopMode = Literal["wait", "give_back"]

_MOST_BYTES = 64 << 20


def unique_consumer_name() -> str:
    """HOST-PID-RANDOM: a name that no other process has, and that tells where to look."""
    host = "".join(c if "!" <= c <= "~" else "_" for c in socket.gethostname()[:64])
    # Containers have process ids, and often host names, in common.
    return f"{host or 'localhost'}-{os.getpid()}-{secrets.token_hex(6)}"


@dataclass(frozen=True)
class ConsumeOptions:
    """See Client.consume. Durations are in seconds."""

    subscription: str
    consumer_name: str
    concurrency: int = 1
    max_events: int | None = None
    longest_lease: float = 3600.0
    stop: StopMode = "wait"
    stop_timeout: float = 30.0
    give_back_timeout: float = 10.0
    heartbeat: float = 15.0
    open_timeout: float = 20.0
    include_raw_body: bool = False
    backoff: Backoff = Backoff()
    on_state: states.OnState | None = None

    def open_frame(self) -> api.ConsumeRequest:
        """The first frame. UsageError if something in it cannot be right."""
        if not 1 <= self.concurrency <= 10_000:
            raise UsageError(f"concurrency is {self.concurrency}; use 1 to 10,000")
        if self.stop not in ("wait", "give_back"):
            raise UsageError(f'stop is {self.stop!r}; use "wait" or "give_back"')
        if self.max_events is not None and self.max_events < 1:
            raise UsageError(f"max_events is {self.max_events}; use 1 or more, or None")
        if not self.open_timeout > 0 or not min(self.longest_lease, self.stop_timeout,
                                                self.give_back_timeout) >= 0:
            raise UsageError("open_timeout takes seconds above 0; longest_lease, stop_timeout and "
                             "give_back_timeout 0 or more")
        return api.ConsumeRequest(open=api.ConsumeRequest.Open(
            subscription=self.subscription, consumer_name=self.consumer_name,
            limits=api.FlowLimits(max_outstanding_messages=self.concurrency,
                                  max_outstanding_bytes=_MOST_BYTES),
            heartbeat_interval=duration(self.heartbeat, "heartbeat"),
            include_raw_body=self.include_raw_body))
