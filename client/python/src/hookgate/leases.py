"""The leases of one consumer's deliveries, and what is written to the gateway about them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any, NamedTuple, Union

from hookgate.messages import duration
from hookgate.v1 import subscription_service_pb2 as api
from hookgate.verdicts import DeadLetter, Nack, Verdict

# A lease is extended when a third of it has passed: two more tries fit.
_EXTENSIONS_PER_LEASE = 3
_MOST_REASON_BYTES = 1024  # What the gateway keeps.
_LONGEST_DELAY = 12 * 3600.0  # As the gateway takes it; a Duration holds no more than 10,000 years.
_MOST_ITEMS = 1000  # In one frame; the gateway takes 10,000.
NEVER = float("inf")


class _Lease(NamedTuple):
    """Of deliveries that have not been settled: those of a frame begin with the same one."""

    extend_at: float
    until: float  # Not extended from here on.
    ends: float  # As far as this side knows: the gateway has confirmed no more.


# Of what is written: the id of a delivery to ack, or an item of another frame.
_Item = Union[str, api.Nack.Item, api.Extend.Item]


class Leases:
    """A book, which does nothing by itself. Times are in seconds by any one clock that never jumps.

    What is in it is bounded by what was delivered.
    """

    def __init__(self, longest_lease: float) -> None:
        self.ack_deadline = 30.0  # As the gateway says in Opened.
        self._longest_lease = longest_lease
        # By delivery id: leases of what waits or runs; when each of the extensions that the gateway
        # has not answered was asked for.
        self._leases: dict[str, _Lease] = {}
        self._extensions: dict[str, deque[float]] = {}
        # Verdicts and extensions that the gateway has not answered, in the order in which they are
        # written, which is that of the answers. So many of them have been written.
        self._items: list[_Item] = []
        self._written = 0
        self._only_acks = True  # Those that have not been written are.
        # Not later than the first time at which look() has something to do.
        self.next_time = NEVER

    @property
    def settled(self) -> bool:
        """Every verdict has been answered."""
        return (self._written == len(self._items) and
                all(isinstance(item, api.Extend.Item) for item in self._items))

    def add(self, delivery_ids: Iterable[str], now: float) -> None:
        """Deliveries have come."""
        extend_at = now + self.ack_deadline / _EXTENSIONS_PER_LEASE
        lease = _Lease(extend_at, now + self._longest_lease, now + self.ack_deadline)
        self._leases.update(dict.fromkeys(delivery_ids, lease))
        self.next_time = min(self.next_time, extend_at)

    def drop(self, delivery_id: str) -> None:
        """Its lease is of no interest any more."""
        self._leases.pop(delivery_id, None)

    def ack(self, delivery_id: str) -> None:
        """Its handler has returned."""
        self._leases.pop(delivery_id, None)
        self._items.append(delivery_id)

    def settle(self, delivery_id: str, verdict: Verdict) -> None:
        """Its handler has ended with a Nack or a DeadLetter."""
        self._leases.pop(delivery_id, None)
        self._items.append(nack_item(delivery_id, verdict))
        self._only_acks = False

    def answer(self, results: Sequence[api.AckResult]) -> list[str]:
        """The gateway has answered verdicts or extensions. The leases that are lost by that."""
        answered = self._take_answered(results)
        if not self._extensions:
            return []
        return [result.delivery_id for item, result in zip(answered, results)
                if isinstance(item, api.Extend.Item) and
                self._is_lost(result.delivery_id, result.result)]

    def _take_answered(self, results: Sequence[api.AckResult]) -> Sequence[_Item | None]:
        """The items that these are about, which are not kept any more."""
        count = len(results)
        # They come in order. Both ends are proof enough: to read the id of each took as long as all
        # else that is done about an ack.
        if (0 < count <= self._written and
                results[0].delivery_id == _id_of(self._items[0]) and
                results[-1].delivery_id == _id_of(self._items[count - 1])):
            answered = self._items[:count]
            del self._items[:count]
            self._written -= count
            return answered
        return [self._take(result.delivery_id) for result in results]

    def _take(self, delivery_id: str) -> _Item | None:
        for at in range(self._written):
            if _id_of(self._items[at]) == delivery_id:
                self._written -= 1
                return self._items.pop(at)
        return None

    def _is_lost(self, delivery_id: str, result: int) -> bool:
        """The oldest of its extensions was answered."""
        asked = self._extensions[delivery_id]
        asked_at = asked.popleft()
        if not asked:
            del self._extensions[delivery_id]
        lease = self._leases.get(delivery_id)
        if lease is None:
            return False
        if result in (api.AckResult.RESULT_ALREADY, api.AckResult.RESULT_LEASE_LOST,
                      api.AckResult.RESULT_UNKNOWN):
            return True
        ends = max(lease.ends, asked_at + self.ack_deadline)
        self._leases[delivery_id] = lease._replace(ends=ends)
        return False

    def look(self, now: float, extends: bool) -> list[str]:
        """Deliveries whose leases have run out; asks for extensions of those for which it is time.

        To be called when it is next_time. Extensions wait unless `extends`.
        """
        lapsed = []
        self.next_time = NEVER
        for delivery_id, lease in self._leases.items():
            if now >= lease.ends:
                lapsed.append(delivery_id)
                continue
            if extends and lease.extend_at <= now < lease.until:
                lease = lease._replace(extend_at=now + self.ack_deadline / _EXTENSIONS_PER_LEASE)
                self._leases[delivery_id] = lease
                self._items.append(api.Extend.Item(delivery_id=delivery_id))
                self._only_acks = False
                self._extensions.setdefault(delivery_id, deque()).append(now)
            self.next_time = min(self.next_time, lease.ends)
            if extends and max(lease.extend_at, now) < lease.until:
                self.next_time = min(self.next_time, lease.extend_at)
        return lapsed

    def next_frame(self) -> api.ConsumeRequest | None:
        """What to write: the oldest, with those of its kind that follow it at once."""
        items: list[Any] = self._items[self._written:self._written + _MOST_ITEMS]
        if not items:
            self._only_acks = True
            return None
        kind = type(items[0])
        if not self._only_acks:
            items = list(takewhile(lambda item: type(item) is kind, items))
        self._written += len(items)
        if kind is str:
            return api.ConsumeRequest(ack=api.Ack(delivery_ids=items))
        if kind is api.Nack.Item:
            return api.ConsumeRequest(nack=api.Nack(items=items))
        return api.ConsumeRequest(extend=api.Extend(items=items))

    def end_stream(self) -> None:
        """The gateway has everything back. Verdicts without an answer go to the next stream."""
        self._leases.clear()
        self._extensions.clear()
        self.next_time = NEVER
        self._items = [item for item in self._items if not isinstance(item, api.Extend.Item)]
        self._written = 0
        self._only_acks = False  # Not known.


def _id_of(item: _Item) -> str:
    return item if isinstance(item, str) else item.delivery_id


def nack_item(delivery_id: str, verdict: Verdict) -> api.Nack.Item:
    """The item of a Nack frame for a Nack or a DeadLetter."""
    item = api.Nack.Item(delivery_id=delivery_id)
    if isinstance(verdict, (Nack, DeadLetter)):
        reason = verdict.reason.encode("utf-8", "replace")[:_MOST_REASON_BYTES]
        item.reason = reason.decode("utf-8", "ignore")
    if isinstance(verdict, DeadLetter):
        item.dead_letter = True
    elif isinstance(verdict, Nack) and verdict.delay is not None:
        item.delay.CopyFrom(duration(min(verdict.delay, _LONGEST_DELAY), "delay"))
    return item
