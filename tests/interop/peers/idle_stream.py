"""Opens streams on which little happens, and looks whether they stay open: see bazel/interop.

    idle_stream.py --target HOST:PORT [--ca_file PEM] [--token TOKEN] --seconds SECONDS CALL

CALL is "subscribe", with a heartbeat of the gateway's each second; "consume", the same where the client keeps its
side open; "silent", of the interoperability service, on which nothing comes. Prints "open, N messages" when the time
is over, or "ended, STATUS after SECONDS s".
"""

import argparse
import threading
import time
import uuid

import grpc
from google.protobuf import duration_pb2
from hookgate.v1 import event_service_pb2 as events
from hookgate.v1 import event_service_pb2_grpc
from hookgate.v1 import subscription_service_pb2 as subscriptions
from hookgate.v1 import subscription_service_pb2_grpc
from tests.interop import test_pb2_grpc

HEARTBEAT = duration_pb2.Duration(seconds=1)


def subscribe(channel, metadata, _):
    request = events.SubscribeRequest(
        start_position=events.START_POSITION_LATEST, heartbeat_interval=HEARTBEAT, client_name="idle_stream"
    )
    return event_service_pb2_grpc.EventServiceStub(channel).Subscribe(request, metadata=metadata)


def consume(channel, metadata, over):
    stub = subscription_service_pb2_grpc.SubscriptionServiceStub(channel)
    name = f"idle-{uuid.uuid4().hex[:12]}"
    start = subscriptions.SubscriptionStart(start_position=events.START_POSITION_LATEST)
    stub.CreateSubscription(
        subscriptions.CreateSubscriptionRequest(name=name, start=start), metadata=metadata, timeout=30
    )

    def frames():
        yield subscriptions.ConsumeRequest(
            open=subscriptions.ConsumeRequest.Open(
                subscription=name, consumer_name="idle_stream", heartbeat_interval=HEARTBEAT
            )
        )
        over.wait()

    return stub.Consume(frames(), metadata=metadata)


def silent(channel, _, over):
    def frames():
        over.wait()
        yield from ()

    return test_pb2_grpc.TestServiceStub(channel).FullDuplexCall(frames())


CALLS = {"subscribe": subscribe, "consume": consume, "silent": silent}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--ca_file")
    parser.add_argument("--token")
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("call", choices=CALLS)
    arguments = parser.parse_args()
    options = [("grpc.enable_http_proxy", 0), ("grpc.enable_retries", 0)]
    if arguments.ca_file:
        with open(arguments.ca_file, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(arguments.target, credentials, options)
    else:
        channel = grpc.insecure_channel(arguments.target, options)
    metadata = [("authorization", f"Bearer {arguments.token}")] if arguments.token else []
    over = threading.Event()
    begun = time.monotonic()
    with channel:
        stream = CALLS[arguments.call](channel, metadata, over)
        timer = threading.Timer(arguments.seconds, stream.cancel)
        timer.start()
        messages = 0
        try:
            for _ in stream:
                messages += 1
            status = grpc.StatusCode.OK
        except grpc.RpcError as error:
            status = error.code()
        seconds = time.monotonic() - begun
        timer.cancel()
        over.set()
    if seconds >= arguments.seconds:
        print(f"open, {messages} messages")
    else:
        print(f"ended, {status.name} after {seconds:.1f} s")


if __name__ == "__main__":
    main()
