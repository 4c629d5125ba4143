"""What a handler of consume() raises when it does not simply return, which acks the event."""

from __future__ import annotations


class Verdict(Exception):
    """The base of Nack, DeadLetter and GiveBack."""


class Nack(Verdict):
    """Again after `delay` seconds; without one, after the subscription's back-off.

    It counts as an attempt. Any other exception is a Nack as well, with its text as the reason.
    Of a delay above 12 hours the gateway makes 12 hours.
    """

    def __init__(self, reason: str = "", *, delay: float | None = None) -> None:
        super().__init__(reason)
        if delay is not None and not 0 <= delay < float("inf"):
            raise ValueError(f"the delay of a Nack is {delay}; use seconds, 0 or more")
        self.reason = str(reason)  # Also of an exception.
        self.delay = delay


class DeadLetter(Verdict):
    """Never again, whatever attempts are left: the event becomes a dead letter."""

    def __init__(self, reason: str = "") -> None:
        super().__init__(reason)
        self.reason = str(reason)


class GiveBack(Verdict):
    """Not handled, through no fault of the event: it counts as no attempt.

    Unless the event is lost to the handler anyway, the consumer stops, because only the end of its
    stream gives an event back.
    """
