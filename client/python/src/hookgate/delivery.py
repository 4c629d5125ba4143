"""One event in the hands of one handler."""

from __future__ import annotations

from hookgate.v1 import event_pb2
from hookgate.v1 import subscription_service_pb2 as subscriptions


class Delivery:
    """One event in the hands of one handler. The lease is extended while the handler runs."""

    __slots__ = ("message", "event", "_lost")

    def __init__(self, message: subscriptions.Delivery) -> None:
        self.message = message  # As received: attempt, reason, lease_expire_time and all the rest.
        self.event: event_pb2.Event = message.event
        self._lost = False

    @property
    def delivery_id(self) -> str:
        """Names this delivery in Client.settle. Opaque."""
        return self.message.delivery_id

    @property
    def attempt(self) -> int:
        """From 1. Deliveries that ended without counting do not make the next a later attempt."""
        return self.message.attempt

    @property
    def reason(self) -> str:
        """Why it is delivered, such as "NEW", "NACKED" or "STREAM_LOST". Open: more may come."""
        number = self.message.reason
        try:
            return subscriptions.DeliveryReason.Name(number).removeprefix("DELIVERY_REASON_")
        except ValueError:
            return str(number)

    @property
    def nack_reason(self) -> str:
        """The reason of the last nack; "": there was none."""
        return self.message.nack_reason

    @property
    def lost(self) -> bool:
        """True from the moment when the event may be offered to another consumer.

        A coroutine that handles it is cancelled then. A handler of hookgate.sync runs in a thread,
        which cannot be: it should look here before it does what must not be done twice.
        """
        return self._lost

    def __repr__(self) -> str:
        event = self.event
        return f"<Delivery {self.delivery_id} of event {event.sequence} ({event.type})>"
