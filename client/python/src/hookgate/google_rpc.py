"""The messages that a gateway's errors carry: google.rpc.ErrorInfo, RetryInfo and BadRequest.

They live in a descriptor pool of their own: another package in the process may bring its own copy
of google/rpc/*.proto (googleapis-common-protos does), and one pool takes no two files of a name.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message, message_factory

_TRAILER = "grpc-status-details-bin"


def _load() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    packed = resources.files("hookgate").joinpath("google_rpc.binpb").read_bytes()
    for file in descriptor_pb2.FileDescriptorSet.FromString(packed).file:
        pool.AddSerializedFile(file.SerializeToString())
    return pool


_POOL = _load()


def _class(name: str) -> Any:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"google.rpc.{name}"))


Status = _class("Status")
ErrorInfo = _class("ErrorInfo")
RetryInfo = _class("RetryInfo")
BadRequest = _class("BadRequest")
_CLASSES = {f"google.rpc.{c.DESCRIPTOR.name}": c for c in (ErrorInfo, RetryInfo, BadRequest)}


def details_of(trailers: Any) -> Iterator[Any]:
    """The details in a call's trailers. Those that cannot be read are left out."""
    for key, value in trailers or ():
        if key != _TRAILER or not isinstance(value, bytes):
            continue
        try:
            status = Status.FromString(value)
        except message.DecodeError:
            continue
        for detail in status.details:
            known = _CLASSES.get(detail.type_url.rpartition("/")[2])
            if known is None:
                continue
            try:
                yield known.FromString(detail.value)
            except message.DecodeError:
                continue
