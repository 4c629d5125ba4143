"""grpcio as a peer of a gRPC server: see bazel/interop.

    python_peer.py --target HOST:PORT [--ca_file PEM] [--without CASE,...] [CASE...]

Prints "ok CASE" or "FAILED CASE: why" for each. PYTHONPATH has the stubs of tests/interop/test.proto and
google/rpc/status.proto.
"""

import argparse
import sys
import threading
import traceback

import grpc
from google.rpc import status_pb2
from tests.interop import test_pb2, test_pb2_grpc

PATIENCE = 30  # seconds that a busy machine may need
REQUEST_SIZES = (27182, 8, 1828, 45904)
RESPONSE_SIZES = (31415, 9, 2653, 58979)
LARGE_REQUEST = 271828
LARGE_RESPONSE = 314159
MAX_MESSAGE = 1 << 20  # what the server takes
INITIAL = ("x-grpc-test-echo-initial", "test_initial_metadata_value")
TRAILING = ("x-grpc-test-echo-trailing-bin", b"\x0a\x0b\x0a\x0b\x0a\x0b\x00\xff")
SPECIAL_MESSAGE = "\t\ntest with whitespace\r\nand Unicode BMP \u263a and non-BMP \U0001f608\t\n"


def payload(size):
    return test_pb2.Payload(body=bytes(size))


def frame(request_size, *response_sizes):
    return test_pb2.StreamingOutputCallRequest(
        response_parameters=[test_pb2.ResponseParameters(size=size) for size in response_sizes],
        payload=payload(request_size),
    )


def sizes(responses):
    return [len(response.payload.body) for response in responses]


def expect_equal(actual, expected):
    if actual != expected:
        raise AssertionError(f"{str(actual)[:200]!r}, not {str(expected)[:200]!r}")


def expect_error(code, call, message=None):
    """Runs `call`, which must fail with `code`, and returns the error."""
    try:
        call()
    except grpc.RpcError as error:
        expect_equal(error.code(), code)
        if message is not None:
            expect_equal(error.details(), message)
        return error
    raise AssertionError(f"OK, not {code}")


class Requests:
    """The requests of a stream that is written while its responses are read."""

    def __init__(self):
        self._changed = threading.Condition()
        self._waiting = []
        self._closed = False

    def write(self, request):
        with self._changed:
            self._waiting.append(request)
            self._changed.notify()

    def close(self):
        with self._changed:
            self._closed = True
            self._changed.notify()

    def __iter__(self):
        return self

    def __next__(self):
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._closed)
            if not self._waiting:
                raise StopIteration
            return self._waiting.pop(0)


class Cases:
    def __init__(self, channel):
        self.channel = channel
        self.stub = test_pb2_grpc.TestServiceStub(channel)

    def unary(self, request_size, response_size, **options):
        request = test_pb2.SimpleRequest(response_size=response_size, payload=payload(request_size))
        response = self.stub.UnaryCall(request, timeout=PATIENCE, **options)
        expect_equal(len(response.payload.body), response_size)

    def empty_unary(self):
        expect_equal(self.stub.EmptyCall(test_pb2.Empty(), timeout=PATIENCE), test_pb2.Empty())

    def large_unary(self):
        self.unary(LARGE_REQUEST, LARGE_RESPONSE)

    def largest_messages(self):
        self.unary(MAX_MESSAGE - 100, 4_000_000)

    def message_too_large(self):
        for size in (MAX_MESSAGE + 1, 4 * MAX_MESSAGE):
            expect_error(grpc.StatusCode.RESOURCE_EXHAUSTED, lambda size=size: self.unary(size, 1))
            self.unary(1, 1)

    def server_streaming(self):
        responses = self.stub.StreamingOutputCall(frame(1, *RESPONSE_SIZES), timeout=PATIENCE)
        expect_equal(sizes(responses), list(RESPONSE_SIZES))

    def client_streaming(self):
        requests = (test_pb2.StreamingInputCallRequest(payload=payload(size)) for size in REQUEST_SIZES)
        response = self.stub.StreamingInputCall(requests, timeout=PATIENCE)
        expect_equal(response.aggregated_payload_size, sum(REQUEST_SIZES))

    def ping_pong(self):
        requests = Requests()
        responses = self.stub.FullDuplexCall(requests, timeout=PATIENCE)
        for request_size, response_size in zip(REQUEST_SIZES, RESPONSE_SIZES):
            requests.write(frame(request_size, response_size))
            expect_equal(len(next(responses).payload.body), response_size)
        requests.close()
        expect_equal(list(responses), [])

    def empty_stream(self):
        expect_equal(list(self.stub.FullDuplexCall(iter(()), timeout=PATIENCE)), [])

    def half_close(self):
        requests = (frame(8, size) for size in RESPONSE_SIZES)
        expect_equal(sizes(self.stub.HalfDuplexCall(requests, timeout=PATIENCE)), list(RESPONSE_SIZES))

    def unread_stream(self):
        """A stream that nobody reads holds its own messages back, and no other call."""
        responses = self.stub.StreamingOutputCall(frame(1, *[100_000] * 100), timeout=PATIENCE)
        for _ in range(10):
            self.unary(LARGE_REQUEST, LARGE_RESPONSE)
        expect_equal(sizes(responses), [100_000] * 100)

    def many_streams(self):
        streams = []
        for _ in range(90):
            requests = Requests()
            streams.append((requests, self.stub.FullDuplexCall(requests, timeout=PATIENCE)))
        for round_number in range(3):
            for number, (requests, _) in enumerate(streams):
                requests.write(frame(number, 100 * number + round_number))
            for number, (_, responses) in enumerate(streams):
                expect_equal(len(next(responses).payload.body), 100 * number + round_number)
        for requests, responses in streams:
            requests.close()
            expect_equal(list(responses), [])

    def custom_metadata(self):
        request = test_pb2.SimpleRequest(response_size=LARGE_RESPONSE)
        _, call = self.stub.UnaryCall.with_call(request, metadata=(INITIAL, TRAILING), timeout=PATIENCE)
        duplex = self.stub.FullDuplexCall(iter([frame(1, 1)]), metadata=(INITIAL, TRAILING), timeout=PATIENCE)
        expect_equal(sizes(duplex), [1])
        for answered in (call, duplex):
            expect_equal(dict(answered.initial_metadata()).get(INITIAL[0]), INITIAL[1])
            expect_equal(dict(answered.trailing_metadata()).get(TRAILING[0]), TRAILING[1])

    def echoed_status(self, message):
        status = test_pb2.EchoStatus(code=grpc.StatusCode.UNKNOWN.value[0], message=message)
        unary = test_pb2.SimpleRequest(response_status=status)
        error = expect_error(
            grpc.StatusCode.UNKNOWN, lambda: self.stub.UnaryCall(unary, timeout=PATIENCE), message
        )
        details = status_pb2.Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
        expect_equal((details.code, details.message), (status.code, message))
        request = test_pb2.StreamingOutputCallRequest(response_status=status)
        duplex = self.stub.FullDuplexCall(iter([request]), timeout=PATIENCE)
        expect_error(grpc.StatusCode.UNKNOWN, lambda: list(duplex), message)

    def status_code_and_message(self):
        self.echoed_status("test status message")

    def special_status_message(self):
        self.echoed_status(SPECIAL_MESSAGE)

    def status_before_the_upload_is_over(self):
        """The client hears the status, not that its upload was cut off."""
        ended = threading.Event()

        def requests():
            yield frame(100_000)
            last = frame(100_000)
            last.response_status.code = grpc.StatusCode.FAILED_PRECONDITION.value[0]
            last.response_status.message = "enough"
            for _ in range(8):
                yield last
            ended.wait(PATIENCE)

        duplex = self.stub.FullDuplexCall(requests(), timeout=PATIENCE)
        duplex.add_callback(ended.set)
        expect_error(grpc.StatusCode.FAILED_PRECONDITION, lambda: list(duplex), "enough")

    def timeout_on_sleeping_server(self):
        requests = Requests()
        requests.write(frame(27182))
        duplex = self.stub.FullDuplexCall(requests, timeout=0.001)
        expect_error(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(duplex))
        requests.close()

    def deadline_of_an_open_stream(self):
        requests = Requests()
        requests.write(frame(1, 1))
        duplex = self.stub.FullDuplexCall(requests, timeout=0.3)
        expect_equal(len(next(duplex).payload.body), 1)
        expect_error(grpc.StatusCode.DEADLINE_EXCEEDED, lambda: list(duplex))
        requests.close()

    def cancel_after_begin(self):
        requests = Requests()
        call = self.stub.StreamingInputCall.future(requests, timeout=PATIENCE)
        call.cancel()
        expect_equal(call.code(), grpc.StatusCode.CANCELLED)
        requests.close()

    def cancel_after_first_response(self):
        requests = Requests()
        duplex = self.stub.FullDuplexCall(requests, timeout=PATIENCE)
        requests.write(frame(27182, 31415))
        expect_equal(len(next(duplex).payload.body), 31415)
        duplex.cancel()
        expect_error(grpc.StatusCode.CANCELLED, lambda: list(duplex))
        requests.close()
        self.unary(1, 1)

    def by_name(self, method):
        call = self.channel.unary_unary(
            method,
            request_serializer=test_pb2.Empty.SerializeToString,
            response_deserializer=test_pb2.Empty.FromString,
        )
        expect_error(grpc.StatusCode.UNIMPLEMENTED, lambda: call(test_pb2.Empty(), timeout=PATIENCE))

    def unimplemented_method(self):
        self.by_name("/grpc.testing.TestService/UnimplementedCall")

    def unimplemented_service(self):
        self.by_name("/grpc.testing.UnimplementedService/UnimplementedCall")

    def compressed_message(self):
        expect_error(
            grpc.StatusCode.UNIMPLEMENTED,
            lambda: self.unary(LARGE_REQUEST, 1, compression=grpc.Compression.Gzip),
        )
        self.unary(1, 1)


CASES = (
    "empty_unary",
    "large_unary",
    "largest_messages",
    "message_too_large",
    "server_streaming",
    "client_streaming",
    "ping_pong",
    "empty_stream",
    "half_close",
    "unread_stream",
    "many_streams",
    "custom_metadata",
    "status_code_and_message",
    "special_status_message",
    "status_before_the_upload_is_over",
    "timeout_on_sleeping_server",
    "deadline_of_an_open_stream",
    "cancel_after_begin",
    "cancel_after_first_response",
    "unimplemented_method",
    "unimplemented_service",
    "compressed_message",
)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--target", required=True)
    parser.add_argument("--ca_file")
    parser.add_argument("--without", default="", help="cases, with commas between them")
    parser.add_argument("cases", nargs="*")
    arguments = parser.parse_args()
    if arguments.ca_file:
        with open(arguments.ca_file, "rb") as file:
            credentials = grpc.ssl_channel_credentials(file.read())
        channel = grpc.secure_channel(arguments.target, credentials)
    else:
        channel = grpc.insecure_channel(arguments.target)
    failed = False
    with channel:
        cases = Cases(channel)
        for name in arguments.cases or CASES:
            if name in arguments.without.split(","):
                continue
            try:
                getattr(cases, name)()
                print("ok", name, flush=True)
            except Exception as error:  # pylint: disable=broad-except
                failed = True
                why = " ".join(traceback.format_exception_only(error)).replace("\n", " ")
                print(f"FAILED {name}: {why}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
