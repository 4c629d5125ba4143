"""From Python's values to the messages of the API, and back."""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar, Union

from google.protobuf import duration_pb2, json_format, message, timestamp_pb2

from hookgate.errors import UsageError
from hookgate.v1 import event_pb2
from hookgate.v1 import event_service_pb2 as events
from hookgate.v1 import subscription_service_pb2 as subscriptions

_Message = TypeVar("_Message", bound=message.Message)
_MOST_SECONDS = 10_000 * 365 * 86_400  # protobuf's own limit of a Duration.


class End(Enum):
    """One end of the log."""

    EARLIEST = events.START_POSITION_EARLIEST
    LATEST = events.START_POSITION_LATEST


@dataclass(frozen=True)
class After:
    """Exactly after an event: the place that its cursor names."""

    cursor: str


EARLIEST = End.EARLIEST  # The oldest event that is still held.
LATEST = End.LATEST  # Only events that are stored from now on.
# Where to begin; a datetime: the earliest event that was received at or after it.
Start = Union[End, After, datetime.datetime]


def duration(seconds: float, what: str) -> duration_pb2.Duration:
    if not math.isfinite(seconds) or abs(seconds) > _MOST_SECONDS:
        raise UsageError(f"{what} is {seconds}; use a number of seconds")
    made = duration_pb2.Duration()
    made.FromNanoseconds(round(seconds * 1e9))
    return made


def seconds(value: duration_pb2.Duration) -> float:
    return value.seconds + value.nanos / 1e9


def timestamp(time: datetime.datetime, what: str) -> timestamp_pb2.Timestamp:
    if time.tzinfo is None:
        raise UsageError(f"{what} has no time zone; use a datetime that has one, such as "
                         "datetime.now(timezone.utc)")
    made = timestamp_pb2.Timestamp()
    made.FromDatetime(time)
    return made


def texts(values: Iterable[str], what: str) -> list[str]:
    if isinstance(values, str):  # Its letters would be taken one by one.
        raise UsageError(f"{what} is a text; use a list of texts, such as [{values!r}]")
    return list(values)


def event_filter(sources: Iterable[str], types: Iterable[str],
                 subjects: Iterable[str]) -> event_pb2.EventFilter:
    return event_pb2.EventFilter(sources=texts(sources, "sources"), types=texts(types, "types"),
                                 subjects=texts(subjects, "subjects"))


def set_start(
        request: events.SubscribeRequest | subscriptions.SubscriptionStart, start: Start) -> None:
    if isinstance(start, End):
        request.start_position = start.value
    elif isinstance(start, After):
        request.after_cursor = start.cursor
    elif isinstance(start, datetime.datetime):
        request.start_time.CopyFrom(timestamp(start, "start"))
    else:
        raise UsageError(f"start is {start!r}; use EARLIEST, LATEST, After(cursor) or a "
                         "datetime")


def unpack(event: event_pb2.Event, message_class: type[_Message]) -> _Message | None:
    """The event's body as a message of your own .proto, or of the gateway's.

    What the gateway has decoded is handed out as it is, also from a google.protobuf.Any. The JSON
    of an `unrecognized` event is read as protobuf's JSON mapping has it; members that the message
    does not name are passed over. None if the event has another payload; ValueError if the body
    does not fit the message.
    """
    arm = event.WhichOneof("payload")
    if arm is None:
        return None
    payload = getattr(event, arm)
    if isinstance(payload, message_class):
        return payload
    if payload.DESCRIPTOR.full_name == "google.protobuf.Any":
        unpacked = message_class()
        return unpacked if payload.Unpack(unpacked) else None
    if arm != "unrecognized":
        return None
    try:
        return json_format.Parse(event.unrecognized.raw_json, message_class(),
                                 ignore_unknown_fields=True)
    except json_format.ParseError as error:
        raise ValueError(f"event {event.sequence} is not a {message_class.DESCRIPTOR.full_name}: "
                         f"{error}") from error
