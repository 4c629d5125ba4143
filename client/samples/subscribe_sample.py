"""Subscribes to a gateway and prints the id of each batch that failed: all held, then what comes.

  subscribe_sample.py [HOST:PORT]      with the generated modules on PYTHONPATH, see README.md

HOOKGATE_TLS_CA names a PEM file of those who sign the gateway's certificate: TLS is used then.
HOOKGATE_TOKEN is the token that the gateway knows the caller by; set it with TLS, or for loopback.
"""

import ipaddress
import os
import sys
import time

import grpc
from hookgate.v1 import event_service_pb2 as api
from hookgate.v1 import event_service_pb2_grpc


def connect(target):
    # Keepalive finds a gateway that vanished without a word.
    options = [("grpc.keepalive_time_ms", 30_000)]
    ca_file = os.environ.get("HOOKGATE_TLS_CA")
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


def main(target):
    channel = connect(target)
    token = os.environ.get("HOOKGATE_TOKEN")
    if token and not os.environ.get("HOOKGATE_TLS_CA") and not is_loopback(target):
        sys.exit("HOOKGATE_TOKEN would travel in the clear: set HOOKGATE_TLS_CA, too")
    metadata = [("authorization", f"Bearer {token}")] if token else None
    stub = event_service_pb2_grpc.EventServiceStub(channel)
    cursor = ""  # Everything up to here is handled. Keep it where you keep what you did.
    while True:
        request = api.SubscribeRequest(client_name="subscribe_sample.py")
        if cursor:
            request.after_cursor = cursor
        else:
            request.start_position = api.START_POSITION_EARLIEST
        try:
            for frame in stub.Subscribe(request, metadata=metadata, wait_for_ready=True):
                for event in frame.event_batch.events:
                    if event.HasField("batch_failed"):
                        print(event.batch_failed.data.id, "failed", flush=True)
                    cursor = event.cursor
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            print("reconnecting:", error.details(), file=sys.stderr)
        time.sleep(1)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
