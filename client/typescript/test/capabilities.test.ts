import assert from "node:assert/strict";
import { createServer } from "node:http2";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { api, CallError, CapabilityMissingError, Client } from "../src/index.js";

/** A gateway that answers GetStatus with `status`, counts updates, and has no other call. */
async function olderGateway(t: { after(done: () => void): void }, status: readonly string[] | Code) {
  const counted = { updates: 0 };
  const handler = connectNodeAdapter({
    routes(router) {
      router.service(api.AdminService, {
        getStatus: () => {
          if (typeof status === "number") throw new ConnectError("", status);
          return { capabilities: [...status] };
        },
      });
      router.service(api.SubscriptionService, {
        updateSubscription: () => {
          counted.updates++;
          return {};
        },
      });
    },
  });
  const server = createServer(handler);
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const client = new Client({ target: `127.0.0.1:${(server.address() as AddressInfo).port}` });
  t.after(async () => {
    await client.close();
    server.close();
  });
  return { client, counted };
}

// A gateway that ignores update_mask replaced all settings of a subscription.
test("what a gateway would ignore is not sent", async (t) => {
  for (const status of [[], ["etag"], Code.Unimplemented]) {
    const { client, counted } = await olderGateway(t, status);
    await assert.rejects(client.updateSubscription("work", {}, ["max_attempts"]), (error) => {
      assert.ok(error instanceof CapabilityMissingError);
      assert.deepEqual([error.capability, error.code, error.retryable], ["update_mask", "UNIMPLEMENTED", false]);
      assert.ok(error.message.includes(`the gateway at ${client.target} does not have the capability "update_mask"`));
      return true;
    });
    assert.equal(counted.updates, 0);
    await client.updateSubscription("work", {}); // It needs no capability.
    assert.equal(counted.updates, 1);
  }
});

test("it is sent to a gateway that knows it, or may not be asked", async (t) => {
  for (const status of [["update_mask"], Code.PermissionDenied]) {
    const { client, counted } = await olderGateway(t, status);
    await client.updateSubscription("work", {}, ["max_attempts"]);
    assert.equal(counted.updates, 1);
  }
});

test("another error of the question is that of the call", async (t) => {
  const { client, counted } = await olderGateway(t, Code.Unavailable);
  await assert.rejects(client.updateSubscription("work", {}, ["max_attempts"]), (error) => {
    return error instanceof CallError && error.code === "UNAVAILABLE";
  });
  assert.equal(counted.updates, 0);
});

test("a call that a gateway does not have names its capability", async (t) => {
  const { client } = await olderGateway(t, []);
  await assert.rejects(client.pauseSubscription("work"), (error) => {
    return error instanceof CapabilityMissingError && error.capability === "pause";
  });
});
