"""A client of Hookgate: signed webhooks, stored, as typed events.

    import asyncio, hookgate

    async def main():
        async with hookgate.Client("gateway:50051", tls_ca="ca.pem", token_file="token") as client:
            async for event in client.subscribe(types=["batch.failed"], start=hookgate.EARLIEST,
                                                cursors=hookgate.FileCursorStore("cursor")):
                print(event.batch_failed.data.id)

    hookgate.run(main())

Client is where to begin; hookgate.sync has the same for programs without asyncio, and
hookgate.testing a gateway for your tests. Events and all other messages are protobuf's, from
hookgate.v1; their .proto files are the manual of what they mean. Enums are open: a newer gateway
may send numbers that this version has no name for. Durations are seconds, times are datetimes with
a zone.
"""

from importlib.metadata import version as _version

from hookgate.administration import Settings
from hookgate.backoff import Backoff
from hookgate.client import Client
from hookgate.consume_options import StopMode
from hookgate.consumer import Consumer, DeliveryHandler
from hookgate.cursor_store import (CallbackCursorStore, CursorStore, FileCursorStore,
                                   MemoryCursorStore)
from hookgate.delivery import Delivery
from hookgate.errors import (CallError, CapabilityMissing, ConflictNotFound, CursorOfAnotherHistory,
                             CursorOfAnotherLog, CursorOvertaken, CursorStoreError, EtagMismatch,
                             EventNotFound, FieldViolation, GatewayError, HookgateError,
                             InvalidRequest, JobNotFound, JobRunning, MissingRight, NoLeader,
                             QuarantineEntryNotFound, QueueFull, RateLimited, ReplicaBehind,
                             StoreUnavailable,
                             SubscriptionExists, SubscriptionNotFound, TooManyAnswers,
                             TooManyConnections, TooManyConsumers, TooManyQueries, TooManyStreams,
                             TooManySubscriptions, TransportError, Unauthenticated, UnknownSource,
                             UpgradeUnfinished, UsageError)
from hookgate.event_stream import EventHandler, EventStream
from hookgate.messages import EARLIEST, LATEST, After, Start, unpack
from hookgate.runner import run
from hookgate.states import CaughtUp, Disconnected, Draining, Heartbeat, OnState, Opened, State
from hookgate.v1.event_pb2 import Event, EventFilter
from hookgate.verdicts import DeadLetter, GiveBack, Nack, Verdict

__version__ = _version("hookgate")

__all__ = [
    "After", "Backoff", "CallError", "CallbackCursorStore", "CapabilityMissing", "CaughtUp", "Client",
    "ConflictNotFound", "Consumer", "CursorOfAnotherHistory", "CursorOfAnotherLog",
    "CursorOvertaken", "CursorStore", "CursorStoreError", "DeadLetter", "Delivery",
    "DeliveryHandler", "Disconnected", "Draining", "EARLIEST", "EtagMismatch", "Event",
    "EventFilter", "EventHandler", "EventNotFound", "EventStream", "FieldViolation",
    "FileCursorStore", "GatewayError", "GiveBack", "Heartbeat", "HookgateError", "InvalidRequest",
    "JobNotFound", "JobRunning", "LATEST", "MemoryCursorStore", "MissingRight", "Nack", "NoLeader",
    "OnState", "Opened", "QuarantineEntryNotFound", "QueueFull", "RateLimited", "ReplicaBehind",
    "Settings", "Start", "State",
    "StopMode", "StoreUnavailable", "SubscriptionExists", "SubscriptionNotFound", "TooManyAnswers",
    "TooManyConnections", "TooManyConsumers", "TooManyQueries", "TooManyStreams",
    "TooManySubscriptions", "TransportError", "Unauthenticated", "UnknownSource", "UpgradeUnfinished",
    "UsageError", "Verdict", "__version__", "run", "unpack",
]
