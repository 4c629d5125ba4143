"""Prints the id of each batch that failed: all that a gateway holds, then what comes.

  subscribe_sample.py [CURSOR_FILE]      with the generated modules on PYTHONPATH, see README.md

The position is kept in CURSOR_FILE (default: subscribe_sample.py.cursor): run it again, and it goes on
after the last event that it printed. It ends with an error if no gateway answers at the start, and
if trying again would not help; otherwise it reconnects for as long as it takes.

HOOKGATE_GRPC    the gateway's HOST:PORT (default: 127.0.0.1:50051)
HOOKGATE_TLS_CA  a PEM file of those who sign the gateway's certificate; TLS is used if it is set
HOOKGATE_TOKEN   the token that the gateway knows the caller by; only with TLS, or for loopback
"""

import ipaddress
import os
import random
import sys
import threading
import time

import grpc
from hookgate.v1 import event_service_pb2 as api
from hookgate.v1 import event_service_pb2_grpc

CONNECT_SECONDS = 20
# The same request would fail again: the position is overtaken or of another log, or access is refused.
PERMANENT = {
    grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.OUT_OF_RANGE,
    grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.UNIMPLEMENTED,
}


def connect(target, ca_file):
    options = [
        ("grpc.keepalive_time_ms", 30_000),  # Finds a gateway that vanished without a word.
        ("grpc.enable_http_proxy", 0),  # http_proxy is meant for the web.
        ("grpc.max_receive_message_length", 256 << 20),
    ]
    if not ca_file:
        return grpc.insecure_channel(target, options=options)
    with open(ca_file, "rb") as ca:
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(ca.read()), options=options)


def is_loopback(target):
    host = target.rpartition(":")[0].strip("[]")
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def load(path):
    try:
        with open(path) as file:
            return file.read().strip()
    except FileNotFoundError:
        return ""


def save(path, cursor):
    """Replaces the file as a whole: a crash leaves the old cursor or the new one."""
    with open(path + ".tmp", "w") as file:
        file.write(cursor + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".tmp", path)


def frames(call):
    """The frames of a stream; cancels it when it has been silent for too long, and so is dead."""
    patience = CONNECT_SECONDS
    while True:
        watchdog = threading.Timer(patience, call.cancel)
        watchdog.start()
        try:
            frame = next(call, None)
        finally:
            watchdog.cancel()
        if frame is None:
            return
        if frame.HasField("opened"):
            # Heartbeats may be late once and lost never.
            patience = 2.5 * frame.opened.heartbeat_interval.ToTimedelta().total_seconds()
        yield frame


def handle(event):
    if event.HasField("batch_failed"):
        print(event.batch_failed.data.id, "failed", flush=True)


def subscribe(stub, metadata, path):
    """One stream, until it ends. Returns for how long to wait before the next, in seconds."""
    request = api.SubscribeRequest(client_name="subscribe_sample.py")
    cursor = saved = load(path)
    if cursor:
        request.after_cursor = cursor
    else:
        request.start_position = api.START_POSITION_EARLIEST
    for frame in frames(stub.Subscribe(request, metadata=metadata)):
        for event in frame.event_batch.events:
            handle(event)  # If this fails, the event comes again.
            cursor = event.cursor
        if frame.HasField("heartbeat"):  # Covers events that did not match a filter.
            cursor = frame.heartbeat.cursor
        if cursor != saved:
            save(path, cursor)
            saved = cursor
        if frame.HasField("draining"):
            return frame.draining.reconnect_delay.ToTimedelta().total_seconds()
    return 1


def main(path):
    target = os.environ.get("HOOKGATE_GRPC") or "127.0.0.1:50051"
    ca_file = os.environ.get("HOOKGATE_TLS_CA")
    token = os.environ.get("HOOKGATE_TOKEN")
    if token and not ca_file and not is_loopback(target):
        sys.exit("HOOKGATE_TOKEN would travel in the clear: set HOOKGATE_TLS_CA as well")
    channel = connect(target, ca_file)
    try:
        grpc.channel_ready_future(channel).result(timeout=CONNECT_SECONDS)
    except grpc.FutureTimeoutError:
        sys.exit(f"no gateway answers at {target}: check HOOKGATE_GRPC, and whether it speaks TLS")
    stub = event_service_pb2_grpc.EventServiceStub(channel)
    metadata = [("authorization", f"Bearer {token}")] if token else None
    failures = 0
    while True:
        try:
            delay = subscribe(stub, metadata, path)
            failures = 0
        except grpc.RpcError as error:
            if error.code() in PERMANENT:
                sys.exit(f"{target} answered {error.code().name}: {error.details()}")
            failures += 1
            # Not all clients of one gateway at one moment.
            delay = min(30, 0.2 * 2 ** min(failures, 8)) * random.uniform(0.5, 1)
            print(f"reconnecting in {delay:.1f} s: {error.details()}", file=sys.stderr)
        time.sleep(delay)


if __name__ == "__main__":
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "subscribe_sample.py.cursor")
    except KeyboardInterrupt:
        sys.exit(130)
