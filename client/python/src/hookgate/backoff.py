"""How long to wait before trying again."""

from __future__ import annotations

import random
from dataclasses import dataclass

from hookgate.errors import CallError, UsageError


@dataclass(frozen=True)
class Backoff:
    """Bounds of the wait between two tries, in seconds.

    The ceiling of the n-th wait in a row is `initial` * 2^(n-1), `maximum` at most. The wait is
    chosen at random between half of its ceiling and the ceiling, so that clients that lost one
    gateway at one moment do not come back at one moment.
    """

    initial: float = 0.2
    maximum: float = 30.0

    def __post_init__(self) -> None:
        if not 0 <= self.initial < float("inf") or not 0 <= self.maximum < float("inf"):
            raise UsageError("back-off: initial and maximum are seconds, 0 or more")

    def delay(self, attempt: int, chance: random.Random | None = None) -> float:
        """The wait before try `attempt` in a row, from 1."""
        doubled = min(max(attempt, 1) - 1, 64)
        ceiling: float = min(min(self.initial, self.maximum) * 2.0**doubled, self.maximum)
        return ceiling * (chance or random).uniform(0.5, 1.0)


@dataclass
class StreamEnd:
    """How one stream ended, and what that means for the next."""

    # Why; set when it has ended.
    error: CallError | None = None
    # It was of use: something was handled, or a heartbeat came.
    useful: bool = False
    # When the gateway said that it would like the client back, in its Draining frame.
    reconnect_delay: float | None = None


class Reconnects:
    """Counts failures in a row, and tells the wait after each."""

    def __init__(self, backoff: Backoff) -> None:
        self._backoff = backoff
        self._failures = 0

    def delay_after(self, end: StreamEnd) -> float:
        if end.reconnect_delay is not None:
            self._failures = 0  # It was the gateway's will, not its trouble.
            return max(end.reconnect_delay, 0.0)
        self._failures = 1 if end.useful else self._failures + 1
        least = end.error.retry_delay if end.error is not None else 0.0
        return max(self._backoff.delay(self._failures), least)
