"""What can go wrong, one class for each stable reason.

    HookgateError
    +- UsageError              an option that cannot be right, found before any call
    +- CursorStoreError        the position cannot be read or kept
    +- CallError               a call failed
       +- TransportError       on the way: no gateway answered, or not as one does
       +- GatewayError         the gateway answered; `reason` is its stable word
          +- CursorOvertaken, SubscriptionNotFound, ...

A reason that this version does not know arrives as a plain GatewayError, with `reason` set.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import grpc

from hookgate import google_rpc

_DOMAIN = "hookgate"
# They say nothing about the request: it may be right and succeed later, whatever the code.
_OF_THE_MOMENT = frozenset({
    "DRAINING", "STORE_UNAVAILABLE", "TOO_MANY_STREAMS", "TOO_MANY_CONSUMERS",
    "TOO_MANY_CONNECTIONS", "TOO_MANY_QUERIES", "TOO_MANY_ANSWERS", "TOO_MANY_SUBSCRIPTIONS",
    "QUEUE_FULL", "RATE_LIMITED", "JOB_RUNNING",
})
# About the caller: final whoever says it. The others are about a cursor or a subscription, of which
# only a gateway can judge.
_FINAL_FROM_ANYBODY = frozenset({
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED,
})
_FINAL_FROM_GATEWAY = frozenset({
    grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OUT_OF_RANGE, grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.ALREADY_EXISTS, grpc.StatusCode.ABORTED,
})


class FieldViolation(NamedTuple):
    """A field of a request that is wrong."""

    field: str  # Its path, such as "filter.types[0]".
    description: str  # What is wrong with it, and what would be right.


class HookgateError(Exception):
    """Whatever this package raises, but for verdicts and for what your own code raises in it."""


class UsageError(HookgateError, ValueError):
    """An option cannot be right. Found before any call is made."""


class CursorStoreError(HookgateError):
    """The position cannot be read or kept: to go on would lose or repeat events in silence."""


class CallError(HookgateError):
    """A call failed. `str()` of it says what happened, to what, and what would be right."""

    code: grpc.StatusCode
    # The gateway's stable word, such as "CURSOR_OVERTAKEN". "": the error came from elsewhere.
    reason: str
    # As received, without the next step.
    details: str
    # What belongs to the reason, such as "earliest_cursor".
    metadata: Mapping[str, str]
    # Not to be tried again before this many seconds have passed.
    retry_delay: float
    # Whether the same call may succeed later.
    retryable: bool
    # Of INVALID_ARGUMENT: the fields that are wrong.
    field_violations: tuple[FieldViolation, ...]


class TransportError(CallError):
    """No gateway answered: no route, a proxy's answer, a broken connection, a silent stream."""


class GatewayError(CallError):
    """The gateway answered with an error."""

    def _cursor(self, key: str) -> str | None:
        return self.metadata.get(key) or None


class InvalidRequest(GatewayError):
    """The request is wrong: see `field_violations`."""


class CursorOvertaken(GatewayError):
    """Retention has removed events after this cursor: they are lost to this subscriber."""

    @property
    def earliest_cursor(self) -> str | None:
        """Start after it to get everything that is still held."""
        return self._cursor("earliest_cursor")


class CursorOfAnotherLog(CursorOvertaken):
    """The gateway's log is not the one that gave this cursor."""


class CursorOfAnotherHistory(CursorOvertaken):
    """The log was put back to an older state since it gave this cursor, such as from a backup."""

    @property
    def common_cursor(self) -> str | None:
        """The last position up to which both states are the same, if it is known."""
        return self._cursor("common_cursor")


class EventNotFound(GatewayError):
    """There never was such an event, or retention has removed it."""


class SubscriptionNotFound(GatewayError):
    """There is no subscription of this name (any more)."""


class SubscriptionExists(GatewayError):
    """There is a subscription of this name already."""


class EtagMismatch(GatewayError):
    """Somebody has changed the subscription since the etag was read; nothing was done."""

    @property
    def etag(self) -> str:
        """The one that it has now."""
        return self.metadata.get("etag", "")


class JobNotFound(GatewayError):
    """The subscription has no such job (any more)."""


class JobRunning(GatewayError):
    """Another job of the subscription runs: wait for it, or cancel it."""

    @property
    def job_id(self) -> int:
        """The job that runs."""
        return int(self.metadata.get("job_id", "0"))


class UnknownSource(GatewayError):
    """The gateway has no source of this name."""


class QuarantineEntryNotFound(GatewayError):
    """There is no such webhook in quarantine (any more)."""


class ConflictNotFound(GatewayError):
    """There is no such conflict (any more)."""


class Unauthenticated(GatewayError):
    """The gateway does not know the caller: the token or certificate is missing or wrong."""


class MissingRight(GatewayError):
    """The caller may not do this."""


class TooManyStreams(GatewayError):
    """The gateway, or this caller, has as many open streams as are allowed."""


class TooManyConsumers(GatewayError):
    """The subscription has as many consumers as are allowed."""


class TooManyConnections(GatewayError):
    """This caller has as many connections as are allowed."""


class TooManyQueries(GatewayError):
    """As many queries run as are allowed: try again later."""


class TooManyAnswers(GatewayError):
    """The client takes answers more slowly than it asks for them."""


class TooManySubscriptions(GatewayError):
    """The gateway has as many subscriptions as are allowed."""


class RateLimited(GatewayError):
    """Too many calls in too short a time: see `retry_delay`."""


class QueueFull(GatewayError):
    """The gateway has too much to write: try again later."""


class StoreUnavailable(GatewayError):
    """The gateway's disk fails; nothing was changed."""


class Draining(GatewayError):
    """The gateway goes down, or ends an old connection."""


class NoLeader(GatewayError):
    """This replica reaches no leader: try again, here or at another one."""


class ReplicaBehind(GatewayError):
    """This replica lacks the cursor's event so far: try again, here or at another one."""


class UpgradeUnfinished(GatewayError):
    """Not all replicas have the version that it needs; the message names those."""


class CapabilityMissing(GatewayError):
    """The gateway is of a version that cannot do what was asked; this package has found it out.

    Either it would ignore a field of the request (etag, preview, update_mask) and do the rest: then
    the request was not sent. Or it does not have the call. docs/capabilities.md lists the names.
    """

    @property
    def capability(self) -> str:
        """What the gateway lacks, such as "update_mask"."""
        return self.metadata.get("capability", "")


_CLASSES: dict[str, type[GatewayError]] = {
    "INVALID_REQUEST": InvalidRequest,
    "CURSOR_OVERTAKEN": CursorOvertaken,
    "CURSOR_OF_ANOTHER_LOG": CursorOfAnotherLog,
    "CURSOR_OF_ANOTHER_HISTORY": CursorOfAnotherHistory,
    "EVENT_NOT_FOUND": EventNotFound,
    "SUBSCRIPTION_NOT_FOUND": SubscriptionNotFound,
    "SUBSCRIPTION_EXISTS": SubscriptionExists,
    "ETAG_MISMATCH": EtagMismatch,
    "JOB_NOT_FOUND": JobNotFound,
    "JOB_RUNNING": JobRunning,
    "UNKNOWN_SOURCE": UnknownSource,
    "QUARANTINE_ENTRY_NOT_FOUND": QuarantineEntryNotFound,
    "CONFLICT_NOT_FOUND": ConflictNotFound,
    "UNAUTHENTICATED": Unauthenticated,
    "MISSING_RIGHT": MissingRight,
    "TOO_MANY_STREAMS": TooManyStreams,
    "TOO_MANY_CONSUMERS": TooManyConsumers,
    "TOO_MANY_CONNECTIONS": TooManyConnections,
    "TOO_MANY_QUERIES": TooManyQueries,
    "TOO_MANY_ANSWERS": TooManyAnswers,
    "TOO_MANY_SUBSCRIPTIONS": TooManySubscriptions,
    "RATE_LIMITED": RateLimited,
    "QUEUE_FULL": QueueFull,
    "STORE_UNAVAILABLE": StoreUnavailable,
    "DRAINING": Draining,
    "NO_LEADER": NoLeader,
    "REPLICA_BEHIND": ReplicaBehind,
    "UPGRADE_UNFINISHED": UpgradeUnfinished,
}


def call_error(error: grpc.aio.AioRpcError, what: str, target: str) -> CallError:
    """The error of a call: `what` is what could not be done, such as "cannot subscribe"."""
    reason, metadata, retry_delay = "", {}, 0.0
    violations: list[FieldViolation] = []
    for detail in google_rpc.details_of(error.trailing_metadata()):
        if isinstance(detail, google_rpc.ErrorInfo) and detail.domain == _DOMAIN:
            reason, metadata = detail.reason, dict(detail.metadata)
        elif isinstance(detail, google_rpc.RetryInfo):
            retry_delay = detail.retry_delay.ToNanoseconds() / 1e9
        elif isinstance(detail, google_rpc.BadRequest):
            violations = [FieldViolation(v.field, v.description) for v in detail.field_violations]
    made: CallError
    if reason:
        made = _CLASSES.get(reason, GatewayError)()
    else:
        made = TransportError()
    details = error.details() or ""
    made.code, made.reason, made.details = error.code(), reason, details
    made.metadata, made.retry_delay = metadata, retry_delay
    made.field_violations = tuple(violations)
    made.retryable = not _is_final(made)
    said = f"the gateway at {target} answered: {details}" if reason else f"at {target}: {details}"
    next_step = _next_step(made, target)
    text = f"{what}: {said}" if reason else f"{what} {said}"
    made.args = (f"{text.rstrip('.')}. {next_step}" if next_step else text,)
    return made


def capability_missing(name: str, why: str, what: str, target: str) -> CapabilityMissing:
    """`why` goes on with "the gateway does not have the capability NAME"."""
    made = CapabilityMissing()
    made.code, made.reason = grpc.StatusCode.UNIMPLEMENTED, "CAPABILITY_MISSING"
    made.details = f'the gateway does not have the capability "{name}"{why}'
    made.metadata, made.retry_delay, made.field_violations = {"capability": name}, 0.0, ()
    made.retryable = not _is_final(made)
    said = made.details.replace("the gateway", f"the gateway at {target}", 1)
    made.args = (f"{what}: {said}. {_next_step(made, target)}",)
    return made


def transport_error(
        text: str, code: grpc.StatusCode = grpc.StatusCode.UNAVAILABLE) -> TransportError:
    """An error that this side has found, such as a stream that is silent."""
    made = TransportError(text)
    made.code, made.reason, made.details = code, "", text
    made.metadata, made.retry_delay, made.field_violations = {}, 0.0, ()
    made.retryable = not _is_final(made)
    return made


def _is_too_large(error: CallError) -> bool:
    # gRPC on this side gives it no code of its own.
    return (not error.reason and error.code == grpc.StatusCode.RESOURCE_EXHAUSTED and
            "larger than max" in error.details)


def _is_final(error: CallError) -> bool:
    if _is_too_large(error):
        return True
    if error.reason in _OF_THE_MOMENT:
        return False
    return error.code in _FINAL_FROM_ANYBODY or (bool(error.reason) and
                                                 error.code in _FINAL_FROM_GATEWAY)


def _start_anew(error: CursorOvertaken) -> str:
    cursor = error.earliest_cursor
    return "start from the earliest event" + (f" (cursor {cursor})" if cursor else "")


def _next_step(error: CallError, target: str) -> str:
    code, details = error.code, error.details
    if isinstance(error, CursorOfAnotherLog):
        return ("The gateway's log is not the one that gave this cursor: its data folder was "
                "replaced, or this is another gateway. If that is intended, "
                f"{_start_anew(error)}.")
    if isinstance(error, CursorOfAnotherHistory):
        common = error.common_cursor
        both = f"start where both are still the same (cursor {common}), or " if common else ""
        return ("The gateway's log was put back to an older state (a backup, or a copied folder), "
                "so events that this subscriber has handled may be gone, and others have their "
                f"sequences. To go on, {both}{_start_anew(error)}.")
    if isinstance(error, CursorOvertaken):
        return ("Retention has removed events after this cursor: they are lost to this subscriber. "
                f"To go on with the events that are still stored, {_start_anew(error)}.")
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        return "Correct the request; the same one will be refused again."
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return "Show a token, or a client certificate, that the gateway's operator has given you."
    if code == grpc.StatusCode.PERMISSION_DENIED:
        return "Ask the gateway's operator for access."
    if code == grpc.StatusCode.UNIMPLEMENTED:
        return (f"Check that {target} is the gRPC port of a gateway (default 50051) that is not "
                "older than this client.")
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return "Try again later." if error.reason else _way_to(details, target)
    if code == grpc.StatusCode.RESOURCE_EXHAUSTED:
        if _is_too_large(error):
            return "Trying again would not help: do not request raw bodies."
        return "Try again later."
    return ""


def _way_to(details: str, target: str) -> str:
    lower = details.lower()
    if "wrong version number" in lower or "wrong_version_number" in lower:
        return f"The server does not use TLS at {target}: turn TLS off, or correct the address."
    if "handshake failed" in lower or "certificate_verify_failed" in lower:
        return ("Perhaps no CA that this client trusts has signed the gateway's certificate: give "
                "tls_ca the certificate of the CA that has.")
    if "socket closed" in lower or "onnection reset" in lower:
        return (f"Check whether the gateway at {target} uses TLS: this client does only if told "
                "so.")
    return f"Check that a gateway runs there and that {target} is its gRPC address."
