"""A channel to one gateway, and its calls."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import grpc
import grpc.aio
from google.protobuf import message, message_factory

from hookgate import capabilities
from hookgate.errors import (CallError, TransportError, UsageError, call_error,
                             capability_missing)
from hookgate.security import Security, credentials
from hookgate.target import check_target, is_loopback
from hookgate.v1 import admin_service_pb2, event_service_pb2, subscription_service_pb2

# An event of 64 MiB, the largest that a gateway can be configured to take, comes with its raw body
# and, if its type is unknown, with the same bytes as text; what is left is for framing.
_MOST_RECEIVED_BYTES = 256 << 20
_BATCH_BYTES = 256 << 10  # How large the gateway makes a frame of many events.
_OPTIONS: tuple[tuple[str, Any], ...] = (
    # Finds a vanished peer below the calls. Gentle enough for a server with gRPC's default rules,
    # since heartbeats flow in between.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Streams have their own back-off. gRPC's would come on top of it, and grow to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    ("grpc.max_receive_message_length", _MOST_RECEIVED_BYTES),
    # Many small reads for each of the gateway's batches were a tenth of what Subscribe cost.
    ("grpc.experimental.tcp_read_chunk_size", _BATCH_BYTES),
    ("grpc.experimental.tcp_min_read_chunk_size", _BATCH_BYTES // 4),
    # One batch is handled while the next comes, from the beginning of a stream on.
    ("grpc.http2.lookahead_bytes", 2 * _BATCH_BYTES),
    # gRPC would share one connection among all clients of a target; a connection of a client's own
    # is closed with it, and one with new TLS files is a new one.
    ("grpc.use_local_subchannel_pool", 1),
)


class Method(NamedTuple):
    """A method of the API, found by the class of its request."""

    path: str
    name: str
    response: Any
    streaming: bool


def _methods() -> Iterator[tuple[type[message.Message], Method]]:
    for file in (event_service_pb2, subscription_service_pb2, admin_service_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                yield (message_factory.GetMessageClass(method.input_type),
                       Method(f"/{service.full_name}/{method.name}", method.name,
                              message_factory.GetMessageClass(method.output_type),
                              method.server_streaming))


# Every method has a request of its own. The stubs that protoc would generate are not used: they ask
# for a grpcio as new as the generator.
METHODS: dict[type[message.Message], Method] = dict(_methods())


class StreamCall(NamedTuple):
    """A streaming call that has been begun."""

    call: Any
    token: str | None  # That it showed; None: none.


class Connection:
    """A channel to one gateway. Belongs to the event loop of its first call.

    Connects when the first call is made, and again whenever needed. The token's file is read for
    each call, and the TLS files are looked at: a call goes over a new channel if they have changed,
    while streams that are open go on over the old one.
    """

    def __init__(self, security: Security) -> None:
        check_target(security.target)
        self.target = security.target
        self._security = security
        self._files: tuple[bytes | None, bytes | None, bytes | None] = (None, None, None)
        self._channel: grpc.aio.Channel | None = None
        self._replaced: grpc.aio.Channel | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    async def call(self, request: message.Message, timeout: float) -> Any:
        """The response to `request`. CallError if it fails; it is not tried again.

        CapabilityMissing if the gateway would ignore a field of it, and nothing is sent; or if it
        does not have the call.
        """
        await self._check_capabilities(request, timeout)
        try:
            return await self._call(request, timeout)
        except TransportError as error:
            capability = capabilities.of_call(request)
            if capability is None or error.code != grpc.StatusCode.UNIMPLEMENTED:
                raise
        raise capability_missing(capability, f", which {type(request).__name__} needs",
                                 f"{METHODS[type(request)].name} failed", self.target)

    async def _check_capabilities(self, request: message.Message, timeout: float) -> None:
        # The question is put before each such call, which are rare: the gateway may be another one
        # since the last.
        needed = capabilities.of_fields(request)
        if not needed:
            return
        had: Sequence[str] = ()
        try:
            had = (await self._call(admin_service_pb2.GetStatusRequest(), timeout)).capabilities
        except CallError as error:
            if error.code == grpc.StatusCode.PERMISSION_DENIED:
                return  # Who may not ask cannot know, and is not to be kept from its work.
            if error.code != grpc.StatusCode.UNIMPLEMENTED:
                raise
        for name in needed:
            if name not in had:
                raise capability_missing(
                    name, f": it would ignore the field {name} of {type(request).__name__} and do "
                    "the rest, so the request was not sent",
                    f"{METHODS[type(request)].name} failed", self.target)

    async def _call(self, request: message.Message, timeout: float) -> Any:
        method = METHODS[type(request)]
        multi = self._open_channel().unary_unary(
            method.path, request_serializer=type(request).SerializeToString,
            response_deserializer=method.response.FromString)
        try:
            return await multi(request, timeout=timeout,
                               metadata=_metadata(self._security.read_token()))
        except grpc.aio.AioRpcError as error:
            raise call_error(error, f"{method.name} failed", self.target) from None

    def subscribe(self, request: event_service_pb2.SubscribeRequest) -> StreamCall:
        method = METHODS[type(request)]
        multi = self._open_channel().unary_stream(
            method.path, request_serializer=type(request).SerializeToString,
            response_deserializer=method.response.FromString)
        token = self._security.read_token()
        return StreamCall(multi(request, metadata=_metadata(token)), token)

    def consume(self) -> StreamCall:
        request = subscription_service_pb2.ConsumeRequest
        method = METHODS[request]
        multi = self._open_channel().stream_stream(
            method.path, request_serializer=request.SerializeToString,
            response_deserializer=method.response.FromString)
        token = self._security.read_token()
        return StreamCall(multi(metadata=_metadata(token)), token)

    def may_try_again(self, error: CallError, token: str | None) -> bool:
        """Whether a stream that ended so, and had shown `token`, may be opened again.

        Also if the token was not taken, and somebody has replaced it since: other calls may have
        shown the new one long ago.
        """
        if error.retryable or error.code != grpc.StatusCode.UNAUTHENTICATED:
            return error.retryable
        try:
            return self._security.read_token() != token
        except CallError:
            return False

    async def close(self) -> None:
        """Ends every call. Nothing can be called afterwards."""
        self._closed = True
        for channel in (self._channel, self._replaced):
            if channel is not None:
                await channel.close(None)
        self._channel = self._replaced = None

    def _open_channel(self) -> grpc.aio.Channel:
        if self._closed:
            raise UsageError("the client is closed")
        loop = asyncio.get_running_loop()
        if self._loop not in (None, loop):
            raise UsageError("the client was used in another event loop; use one client for "
                             "each, or hookgate.sync")
        self._loop = loop
        files = self._read_files()
        if self._channel is None or files != self._files:
            if self._replaced is not None:  # Two renewals ago: what is still open reconnects.
                loop.create_task(self._replaced.close(None))
            self._replaced, self._channel = self._channel, self._make_channel(files)
            self._files = files
        return self._channel

    def _read_files(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        try:
            return self._security.read_tls()
        except UsageError:
            if self._channel is None:
                raise
            return self._files  # Somebody is about to replace them.

    def _make_channel(
            self, files: tuple[bytes | None, bytes | None, bytes | None]) -> grpc.aio.Channel:
        # http_proxy and https_proxy are meant for the web, and are set on many machines whose
        # gateway the proxy cannot reach; gRPC takes them for its calls, even to loopback.
        proxy = bool(os.environ.get("grpc_proxy")) and not is_loopback(self.target)
        options = (*_OPTIONS, ("grpc.enable_http_proxy", int(proxy)))
        if not self._security.tls:
            return grpc.aio.insecure_channel(self.target, options=options)
        return grpc.aio.secure_channel(self.target, credentials(files), options=options)


def _metadata(token: str | None) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),) if token else ()
