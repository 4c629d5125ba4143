"""Subscribes to a gateway and prints the id of each batch that failed: all held, then what comes.

  subscribe_sample.py [HOST:PORT]      with the generated modules on PYTHONPATH, see README.md
"""

import sys
import time

import grpc
from hookgate.v1 import event_service_pb2 as api
from hookgate.v1 import event_service_pb2_grpc


def main(target):
    # Keepalive finds a gateway that vanished without a word.
    channel = grpc.insecure_channel(target, options=[("grpc.keepalive_time_ms", 30_000)])
    stub = event_service_pb2_grpc.EventServiceStub(channel)
    cursor = ""  # Everything up to here is handled. Keep it where you keep what you did.
    while True:
        request = api.SubscribeRequest(client_name="subscribe_sample.py")
        if cursor:
            request.after_cursor = cursor
        else:
            request.start_position = api.START_POSITION_EARLIEST
        try:
            for frame in stub.Subscribe(request, wait_for_ready=True):
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
