"""A gateway that ignores update_mask replaced all settings of a subscription: so it is asked before."""

from __future__ import annotations

import unittest

import grpc
import grpc.aio

import hookgate
from hookgate.v1 import admin_service_pb2 as admin
from hookgate.v1 import subscription_service_pb2 as api


class OlderGateway:
    """Answers GetStatus with `capabilities`, or a code, and counts updates; has no other call."""

    def __init__(self, *capabilities: str, code: grpc.StatusCode | None = None) -> None:
        self.capabilities, self.code, self.updates = capabilities, code, 0

    async def __aenter__(self) -> OlderGateway:
        self._server = grpc.aio.server()
        self._server.add_generic_rpc_handlers((
            grpc.method_handlers_generic_handler("hookgate.v1.AdminService", {
                "GetStatus": grpc.unary_unary_rpc_method_handler(
                    self._status, admin.GetStatusRequest.FromString,
                    admin.GetStatusResponse.SerializeToString)}),
            grpc.method_handlers_generic_handler("hookgate.v1.SubscriptionService", {
                "UpdateSubscription": grpc.unary_unary_rpc_method_handler(
                    self._update, api.UpdateSubscriptionRequest.FromString,
                    api.UpdateSubscriptionResponse.SerializeToString)}),
        ))
        port = self._server.add_insecure_port("127.0.0.1:0")
        await self._server.start()
        self.target = f"127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.stop(None)

    async def _status(self, _, context):
        if self.code is not None:
            await context.abort(self.code, "")
        return admin.GetStatusResponse(capabilities=self.capabilities)

    async def _update(self, _, context):
        self.updates += 1
        return api.UpdateSubscriptionResponse()


class CapabilitiesTest(unittest.IsolatedAsyncioTestCase):

    async def test_what_would_be_ignored_is_not_sent(self):
        for gateway in (OlderGateway(), OlderGateway("etag"),
                        OlderGateway(code=grpc.StatusCode.UNIMPLEMENTED)):
            async with gateway, hookgate.Client(gateway.target) as client:
                with self.assertRaises(hookgate.CapabilityMissing) as caught:
                    await client.update_subscription("work", {"max_attempts": 3})
                error = caught.exception
                self.assertEqual(error.capability, "update_mask")
                self.assertEqual((error.code, error.retryable),
                                 (grpc.StatusCode.UNIMPLEMENTED, False))
                self.assertIn(f"the gateway at {gateway.target} does not have the capability",
                              str(error))
                self.assertEqual(gateway.updates, 0)

    async def test_it_is_sent_to_one_that_knows_it_or_may_not_be_asked(self):
        for gateway in (OlderGateway("update_mask"),
                        OlderGateway(code=grpc.StatusCode.PERMISSION_DENIED)):
            async with gateway, hookgate.Client(gateway.target) as client:
                await client.update_subscription("work", {"max_attempts": 3})
                self.assertEqual(gateway.updates, 1)

    async def test_another_error_of_the_question_is_that_of_the_call(self):
        async with OlderGateway(code=grpc.StatusCode.UNAVAILABLE) as gateway:
            async with hookgate.Client(gateway.target) as client:
                with self.assertRaises(hookgate.TransportError):
                    await client.update_subscription("work", {"max_attempts": 3})
                self.assertEqual(gateway.updates, 0)

    async def test_a_call_that_is_not_there_names_its_capability(self):
        async with OlderGateway() as gateway, hookgate.Client(gateway.target) as client:
            with self.assertRaises(hookgate.CapabilityMissing) as caught:
                await client.call(api.PauseSubscriptionRequest(name="work"))
            self.assertEqual(caught.exception.capability, "pause")


if __name__ == "__main__":
    unittest.main()
