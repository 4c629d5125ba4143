"""What a stream tells about itself, by the callback `on_state`.

The callback is an ordinary function, called on the event loop between frames; it should return
soon. What it raises ends the stream and comes out of the loop or call that runs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Union

from hookgate.errors import CallError
from hookgate.v1 import event_service_pb2 as events
from hookgate.v1 import subscription_service_pb2 as subscriptions


@dataclass(frozen=True)
class Opened:
    """A stream is open. `frame` has its effective settings."""

    cursor: str  # Where it starts. Of consume(): "".
    frame: events.SubscribeResponse.Opened | subscriptions.ConsumeResponse.Opened

    @property
    def capabilities(self) -> frozenset[str]:
        """What this gateway can do beyond what each one can, by name (docs/capabilities.md). Empty
        for a gateway older than 0.2.0; there may be names that this library does not know."""
        return frozenset(self.frame.capabilities)


@dataclass(frozen=True)
class CaughtUp:
    """Everything that was stored has been handled. Not told by consume()."""

    cursor: str
    frame: events.SubscribeResponse.CaughtUp


@dataclass(frozen=True)
class Heartbeat:
    """The stream is alive. `frame` says how far behind it is."""

    cursor: str  # Of consume(): "".
    frame: events.SubscribeResponse.Heartbeat | subscriptions.ConsumeResponse.Heartbeat


@dataclass(frozen=True)
class Draining:
    """The gateway is about to end the stream, and asks to come back after `delay` seconds."""

    delay: float


@dataclass(frozen=True)
class Disconnected:
    """The stream ended, or could not be opened; the next try comes after `delay` seconds."""

    error: CallError
    delay: float


State = Union[Opened, CaughtUp, Heartbeat, Draining, Disconnected]
OnState = Callable[[State], None]
