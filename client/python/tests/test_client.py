"""Queries, administration, errors, and what may be given to a client."""

from __future__ import annotations

import asyncio
import datetime
import os
import tempfile
import unittest

import grpc
from google.protobuf import struct_pb2

import hookgate
from hookgate import connection
from hookgate.testing import FakeError, FakeGateway
from hookgate.v1 import admin_service_pb2 as admin
from hookgate.v1 import event_service_pb2 as events
from hookgate.v1 import subscription_service_pb2 as api
from support import GatewayTest

NOW = datetime.datetime.now(datetime.timezone.utc)


class ClientTest(GatewayTest):

    async def test_listings_fetch_page_after_page(self):
        self.add(*range(1, 8))
        listed = [event.sequence async for event in
                  self.client.list_events(order="oldest_first", page_size=3)]
        self.assertEqual(listed, [1, 2, 3, 4, 5, 6, 7])
        self.assertEqual(len(self.gateway.requests), 3)

    async def test_one_event_by_either_key(self):
        self.add(1, 2)
        self.assertEqual((await self.client.get_event(2)).subject, "batch_2")
        by_key = await self.client.get_event(source="openai", webhook_id="wh_1")
        self.assertEqual(by_key.sequence, 1)
        with self.assertRaises(hookgate.EventNotFound):
            await self.client.get_event(3)
        for keys in ({}, {"source": "openai"}, {"sequence": 1, "source": "a", "webhook_id": "b"}):
            with self.subTest(keys), self.assertRaises(hookgate.UsageError):
                await self.client.get_event(**keys)

    async def test_any_call_by_its_request(self):
        self.gateway.answer(admin.GetStatusRequest,
                            lambda request: admin.GetStatusResponse(version="1.2.3"))
        status = await self.client.call(admin.GetStatusRequest())
        self.assertEqual(status.version, "1.2.3")
        for request in (events.SubscribeRequest(), api.ConsumeRequest(), hookgate.Event()):
            with self.assertRaises(hookgate.UsageError):
                await self.client.call(request)

    async def test_administration_sends_what_it_is_given(self):
        sent: list = []
        for request, response in ((api.UpdateSubscriptionRequest, api.UpdateSubscriptionResponse),
                                  (api.SeekSubscriptionRequest, api.SeekSubscriptionResponse)):
            self.gateway.answer(request, lambda r, response=response: sent.append(r) or response())
        await self.client.create_subscription("a", start=hookgate.EARLIEST,
                                              settings={"types": ["batch.*"], "ack_deadline": 90})
        made = (await self.client.get_subscription("a")).settings
        self.assertEqual((list(made.filter.types), made.ack_deadline.seconds), (["batch.*"], 90))
        with self.assertRaises(hookgate.SubscriptionExists) as caught:
            await self.client.create_subscription("a", start=hookgate.LATEST)
        self.assertFalse(caught.exception.retryable)
        await self.client.update_subscription("a", {"subjects": [], "max_attempts": 3}, etag="e")
        self.assertEqual(list(sent[0].update_mask.paths), ["filter.subjects", "max_attempts"])
        self.assertEqual((sent[0].settings.max_attempts, sent[0].etag), (3, "e"))
        await self.client.seek_subscription("a", NOW)
        self.assertTrue(sent[1].target.HasField("start_time"))

    async def test_errors_are_classes_by_their_reason(self):
        for reason, code, kind, retryable in (
                ("INVALID_REQUEST", "INVALID_ARGUMENT", hookgate.InvalidRequest, False),
                ("CURSOR_OVERTAKEN", "OUT_OF_RANGE", hookgate.CursorOvertaken, False),
                ("CURSOR_OF_ANOTHER_HISTORY", "FAILED_PRECONDITION",
                 hookgate.CursorOfAnotherHistory, False),
                ("ETAG_MISMATCH", "ABORTED", hookgate.EtagMismatch, False),
                ("JOB_RUNNING", "FAILED_PRECONDITION", hookgate.JobRunning, True),
                ("TOO_MANY_SUBSCRIPTIONS", "RESOURCE_EXHAUSTED", hookgate.TooManySubscriptions,
                 True),
                ("STORE_UNAVAILABLE", "UNAVAILABLE", hookgate.StoreUnavailable, True),
                ("RATE_LIMITED", "PERMISSION_DENIED", hookgate.RateLimited, True),
                ("OF_THE_FUTURE", "NOT_FOUND", hookgate.GatewayError, False),
                ("OF_THE_FUTURE", "INTERNAL", hookgate.GatewayError, True),
                ("", "NOT_FOUND", hookgate.TransportError, True),
                ("", "UNIMPLEMENTED", hookgate.TransportError, False)):
            with self.subTest(reason=reason, code=code):
                self.gateway.fail("GetEvent", FakeError(
                    grpc.StatusCode[code], reason, "so it is", {"etag": "e", "job_id": "7"}, 2.5))
                with self.assertRaises(hookgate.CallError) as caught:
                    await self.client.get_event(1)
                error = caught.exception
                self.assertIs(type(error), kind)
                self.assertEqual((error.code.name, error.reason, error.retryable),
                                 (code, reason, retryable))
                self.assertEqual(error.retry_delay, 2.5 if reason else 0)
                self.assertIn("so it is", str(error))
                self.assertIn(self.gateway.target, str(error))

    async def test_tokens_are_read_again_and_never_told(self):
        seen: list = []
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "token")
            async with hookgate.Client(self.gateway.target, token_file=path) as client:
                with self.assertRaises(hookgate.CallError) as caught:
                    await client.get_event(1)
                self.assertEqual(caught.exception.code, grpc.StatusCode.UNAUTHENTICATED)
                self.assertIn(path, str(caught.exception))
                for token in ("first-secret", "second-secret"):
                    with open(path, "w", encoding="utf-8") as file:
                        file.write(token + "\n")
                    call, shown = client._connection.consume()
                    call.cancel()
                    seen.append(shown)
        self.assertEqual(seen, ["first-secret", "second-secret"])
        self.assertEqual(dict(connection._metadata("a"))["authorization"], "Bearer a")
        self.assertNotIn("first", repr(hookgate.client.Security("localhost:1", token="first")))

    async def test_a_client_belongs_to_one_loop_and_is_closed_once(self):
        self.add(1)
        await self.client.get_event(1)
        with self.assertRaisesRegex(hookgate.UsageError, "another event loop"):
            await asyncio.to_thread(lambda: asyncio.run(self.client.get_event(1)))
        await self.client.aclose()
        with self.assertRaisesRegex(hookgate.UsageError, "closed"):
            await self.client.get_event(1)


class CapabilitiesTest(unittest.TestCase):

    def test_opened_names_those_of_its_gateway(self):
        for response in (events.SubscribeResponse, api.ConsumeResponse):
            opened = hookgate.Opened("", response.Opened(capabilities=["etag", "of a later version"]))
            self.assertEqual(opened.capabilities, {"etag", "of a later version"})
            self.assertEqual(hookgate.Opened("", response.Opened()).capabilities, set())


class OptionsTest(unittest.TestCase):

    def test_targets(self):
        for target in ("127.0.0.1:50051", "gateway.example:1", "[::1]:50051", "dns:///a:1",
                       "unix:/run/hookgate.sock", "ipv4:127.0.0.1:80"):
            with self.subTest(target):
                hookgate.Client(target)
        for target in ("", "gateway", "50051", "http://gateway:50051", "a:0", "a:65536", "a:1:2",
                       "::1", "[::1]", "[x]:1", "a b:1", "unix:", "xds://a:1"):
            with self.subTest(target), self.assertRaises(hookgate.UsageError):
                hookgate.Client(target)

    def test_what_does_not_go_together(self):
        for options in ({"token": "secret"}, {"tls": True, "token": "a b"},
                        {"tls": True, "token": ""}, {"tls": True, "token": "a", "token_file": "b"},
                        {"tls_cert": "a"}, {"tls": False, "tls_ca": "a"}):
            with self.subTest(options), self.assertRaises(hookgate.UsageError) as caught:
                hookgate.Client("gateway.example:50051", **options)
            self.assertNotIn("secret", str(caught.exception))
        hookgate.Client("localhost:50051", token="secret")
        hookgate.Client("gateway.example:50051", tls_ca="a", token_file="b")

    def test_backoff(self):
        policy = hookgate.Backoff(initial=1, maximum=8)
        for attempt, ceiling in ((1, 1), (2, 2), (3, 4), (4, 8), (5, 8), (10**6, 8)):
            for _ in range(20):
                self.assertTrue(ceiling / 2 <= policy.delay(attempt) <= ceiling)
        self.assertEqual(hookgate.Backoff(0, 5).delay(7), 0)
        with self.assertRaises(hookgate.UsageError):
            hookgate.Backoff(-1)

    def test_unpack(self):
        event = hookgate.Event(sequence=1)
        event.unrecognized.raw_json = '{"n": 1, "list": [true]}'
        self.assertEqual(hookgate.unpack(event, struct_pb2.Struct)["n"], 1)
        event.unrecognized.raw_json = "[]"
        with self.assertRaisesRegex(ValueError, "event 1 is not a google.protobuf.Struct"):
            hookgate.unpack(event, struct_pb2.Struct)
        event.batch_failed.data.id = "batch_1"
        self.assertIsNone(hookgate.unpack(event, struct_pb2.Struct))
        same = hookgate.unpack(event, type(event.batch_failed))
        self.assertEqual(same.data.id, "batch_1")

    def test_times_need_a_zone(self):
        with FakeGateway() as gateway:
            client = hookgate.Client(gateway.target)
            with self.assertRaisesRegex(hookgate.UsageError, "no time zone"):
                client.subscribe(start=datetime.datetime(2026, 1, 1))


class FileCursorStoreTest(unittest.IsolatedAsyncioTestCase):

    async def asyncSetUp(self) -> None:
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "cursor")
        self.store = hookgate.FileCursorStore(self.path)

    def write(self, content: bytes) -> None:
        with open(self.path, "wb") as file:
            file.write(content)

    async def test_holds_what_was_saved_last(self):
        self.assertIsNone(await self.store.load())
        for cursor in ("a", "b"):
            await self.store.save(cursor)
            self.assertEqual(await self.store.load(), cursor)
        self.assertEqual(os.listdir(os.path.dirname(self.path)), ["cursor"])

    async def test_a_link_stays(self):
        real = self.path + ".real"
        os.symlink(os.path.basename(real), self.path)
        await self.store.save("a")
        self.assertTrue(os.path.islink(self.path))
        with open(real, "rb") as file:
            self.assertEqual(file.read(), b"a\n")

    async def test_what_holds_no_cursor_is_an_error(self):
        for content in (b"", b"\n", b"cut-off", b"a b\n", b"a\n\n", b"\xff\n", b"x" * 5000 + b"\n"):
            self.write(content)
            with self.subTest(content):
                with self.assertRaisesRegex(hookgate.CursorStoreError, self.path):
                    await self.store.load()
        os.remove(self.path)
        os.mkfifo(self.path)
        with self.assertRaisesRegex(hookgate.CursorStoreError, "not a plain file"):
            await self.store.load()

    async def test_what_cannot_be_written_is_an_error_and_leaves_the_file(self):
        await self.store.save("a")
        for cursor in ("", "a b", "ä", "x" * 5000):
            with self.subTest(cursor), self.assertRaises(hookgate.CursorStoreError):
                await self.store.save(cursor)
        os.mkdir(self.path + ".tmp")
        with self.assertRaisesRegex(hookgate.CursorStoreError, "cannot write"):
            await self.store.save("b")
        self.assertEqual(await self.store.load(), "a")


if __name__ == "__main__":
    unittest.main()
