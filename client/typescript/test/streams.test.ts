import assert from "node:assert/strict";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { Code, ConnectError } from "@connectrpc/connect";
import {
  CallError,
  Client,
  ClientClosedError,
  type ConsumeOptions,
  CursorOvertakenError,
  CursorStoreError,
  DeadLetter,
  EventNotFoundError,
  type Handler,
  LeaseLostError,
  MemoryCursorStore,
  Nack,
  type SubscribeOptions,
  SubscriptionNotFoundError,
  UsageError,
} from "../src/index.js";
import { batchFailed, FakeGateway, gatewayError } from "../src/testing/index.js";
import { deferred, durationFromMs } from "../src/time.js";

const quick = { backoff: { initialMs: 1, maximumMs: 10 } };
/** Later than any test takes. */
const bounded = () => AbortSignal.timeout(60_000);

async function world(count: number, run: (gateway: FakeGateway, client: Client) => Promise<void>): Promise<void> {
  await using gateway = await FakeGateway.start();
  await using client = new Client({ target: gateway.target });
  for (let i = 1; i <= count; i++) gateway.publish(batchFailed(`batch_${i}`));
  await run(gateway, client);
}

/** Takes `count` events, all of them handled. */
async function take(client: Client, count: number, options: SubscribeOptions): Promise<number[]> {
  const stop = new AbortController();
  const got: number[] = [];
  for await (const event of client.subscribe({ ...quick, ...options, signal: AbortSignal.any([stop.signal, bounded()]) })) {
    got.push(Number(event.sequence));
    if (got.length === count) stop.abort();
  }
  return got;
}

function upTo(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, i) => first + i);
}

async function all(client: Client, options: SubscribeOptions): Promise<void> {
  for await (const event of client.subscribe({ ...quick, ...options, signal: bounded() })) void event;
}

test("streams that break neither lose nor repeat an event", () =>
  world(20, async (gateway, client) => {
    const stop = new AbortController();
    const got: number[] = [];
    let disconnected = 0;
    const onState: SubscribeOptions["onState"] = ({ state }) => {
      if (state === "disconnected") disconnected++;
    };
    for await (const event of client.subscribe({ ...quick, from: "earliest", signal: stop.signal, onState })) {
      got.push(Number(event.sequence));
      if (got.length === 200) stop.abort();
      else if (got.length % 20 === 0) {
        if (got.length % 40 === 0) gateway.drain(1);
        else gateway.disconnect();
        for (let i = 0; i < 20; i++) gateway.publish(batchFailed("b"));
      }
    }
    assert.deepEqual(got, upTo(1, 200));
    assert.equal(disconnected, 9);
  }));

test("a stored position is gone on from; the event at which a loop is left comes again", () =>
  world(10, async (_, client) => {
    const cursors = new MemoryCursorStore();
    const options: SubscribeOptions = { from: "earliest", cursors, saveIntervalMs: 0 };
    assert.deepEqual(await take(client, 4, options), upTo(1, 4));
    for await (const event of client.subscribe(options)) if (event.sequence === 7n) break;
    assert.deepEqual(await take(client, 4, options), upTo(7, 10));
  }));

test("an overtaken position is an error that says where to go on", () =>
  world(10, async (gateway, client) => {
    gateway.removeUpTo(7);
    const cursors = new MemoryCursorStore("test.2");
    const error = await all(client, { cursors }).catch((error: unknown) => error);
    assert.ok(error instanceof CursorOvertakenError, String(error));
    assert.deepEqual(await take(client, 3, { from: { after: error.earliestCursor } }), upTo(8, 10));
    assert.equal(cursors.cursor, "test.2");
  }));

test("a final refusal ends a subscription, one of the moment does not", () =>
  world(1, async (gateway, client) => {
    gateway.refuse(gatewayError(Code.ResourceExhausted, "TOO_MANY_STREAMS"));
    let tries = 0;
    const onState: SubscribeOptions["onState"] = ({ state }) => {
      if (state === "disconnected" && ++tries === 3) gateway.refuse(undefined);
      if (state === "caught_up") gateway.refuse(gatewayError(Code.PermissionDenied, "MISSING_RIGHT"));
    };
    await assert.rejects(all(client, { from: "earliest", onState }), { reason: "MISSING_RIGHT" });
    assert.equal(tries, 3);
  }));

test("a cursor store that fails ends the subscription", () =>
  world(1, async (_, client) => {
    const full = (): never => {
      throw new Error("the disk is full");
    };
    for (const cursors of [{ load: full, save: full }, { load: () => undefined, save: full }]) {
      await assert.rejects(all(client, { from: "earliest", cursors }), CursorStoreError);
    }
  }));

// A gateway that takes the connection and says nothing more would be waited for until the end of days.
test("a silent stream is given up", async () => {
  const server = createServer((socket) => socket.on("error", () => {}));
  const listening = deferred();
  server.listen(0, "127.0.0.1", listening.resolve);
  await listening.promise;
  const stop = new AbortController();
  let why: Error | undefined;
  {
    await using client = new Client({ target: `127.0.0.1:${(server.address() as AddressInfo).port}` });
    const onState: SubscribeOptions["onState"] = (state) => {
      if (state.state !== "disconnected") return;
      why = state.why;
      stop.abort();
    };
    for await (const event of client.subscribe({ openTimeoutMs: 50, onState, signal: stop.signal })) void event;
  }
  server.close();
  assert.ok(why instanceof CallError && why.code === "UNAVAILABLE");
  assert.match(why.message, /nothing came/);
});

test("a closed client ends its subscriptions", () =>
  world(1, async (_, client) => {
    const run = async () => {
      for await (const event of client.subscribe({ from: "earliest" })) void event, void client.close();
    };
    await assert.rejects(run(), ClientClosedError);
    await assert.rejects(all(client, {}), ClientClosedError);
  }));

test("unary calls reject with errors by their reason", () =>
  world(3, async (_, client) => {
    await assert.rejects(client.getEvent(7n), EventNotFoundError);
    await assert.rejects(client.getSubscription("none"), SubscriptionNotFoundError);
    await assert.rejects(client.admin.listQuarantined({}), { code: "UNIMPLEMENTED" });
    const listed: bigint[] = [];
    for await (const event of client.listEvents()) listed.push(event.sequence);
    assert.deepEqual(listed, [3n, 2n, 1n]);
  }));

interface Consuming {
  gateway: FakeGateway;
  client: Client;
  stop: AbortController;
  end: Promise<void>;
}

async function consuming(
  count: number,
  handler: Handler,
  options: ConsumeOptions,
  run: (consuming: Consuming) => Promise<void>,
  settings: { ackDeadlineMs?: number } = {},
): Promise<void> {
  await world(count, async (gateway, client) => {
    const ms = settings.ackDeadlineMs ?? 30_000;
    await client.createSubscription("work", "earliest", { ackDeadline: durationFromMs(ms) });
    const stop = new AbortController();
    const end = client.consume("work", handler, { ...quick, ...options, signal: stop.signal });
    await run({ gateway, client, stop, end });
  });
}

test("each event is handled, no more at a time than the concurrency, over broken streams", async () => {
  let running = 0;
  let most = 0;
  let handled = 0;
  let breakStream = () => {};
  const handler: Handler = async () => {
    most = Math.max(most, ++running);
    if (++handled % 50 === 0) breakStream();
    await new Promise(setImmediate);
    running--;
  };
  await consuming(200, handler, { concurrency: 4 }, async ({ gateway, stop, end }) => {
    breakStream = () => gateway.disconnect();
    await gateway.untilAcked("work", 200, bounded());
    stop.abort();
    await end;
    assert.equal(running, 0);
    assert.ok(most <= 4, `${most}`);
  });
});

test("what a handler throws is told", async () => {
  const reasons: string[] = [];
  const handler: Handler = (delivery) => {
    if (delivery.attempt > 1) reasons.push(delivery.nackReason);
    else if (delivery.event?.sequence === 2n) throw new Error("not now");
    else if (delivery.event?.sequence === 3n) throw new DeadLetter("nobody can");
    else if (delivery.event?.sequence === 4n) throw new Nack("in a while", { delayMs: 1 });
  };
  await consuming(4, handler, {}, async ({ gateway, stop, end }) => {
    await gateway.untilAcked("work", 3, bounded());
    stop.abort();
    await end;
    assert.deepEqual(reasons.sort(), ["in a while", "not now"]);
    assert.deepEqual(gateway.deadLetters("work"), [{ sequence: 3n, reason: "nobody can" }]);
  });
});

// BigInt(NaN) threw where nobody caught it, and the process ended.
test("a delay that is no number is a nack with what is wrong", async () => {
  const reasons: string[] = [];
  const handler: Handler = (delivery) => {
    if (delivery.attempt > 1) reasons.push(delivery.nackReason);
    else throw new Nack("busy", { delayMs: delivery.event?.sequence === 1n ? NaN : -1 });
  };
  await consuming(2, handler, {}, async ({ gateway, stop, end }) => {
    await gateway.untilAcked("work", 2, bounded());
    stop.abort();
    await end;
    assert.match(reasons.join("\n"), /delayMs of a Nack is NaN.*\n.*delayMs of a Nack is -1/);
  });
});

// Such a throw was judged where nobody caught what that threw, and the process ended.
test("what no text or number can be made of is a nack", async () => {
  const reasons: string[] = [];
  const handler: Handler = (delivery) => {
    if (delivery.attempt > 1) reasons.push(delivery.nackReason);
    else if (delivery.event?.sequence === 1n) throw Object.assign(new Nack("changed since"), { delayMs: NaN });
    else throw Object.create(null);
  };
  await consuming(2, handler, {}, async ({ gateway, stop, end }) => {
    await gateway.untilAcked("work", 2, bounded());
    stop.abort();
    await end;
    assert.deepEqual(reasons.sort(), ["changed since", "the handler threw something that has no text"]);
  });
});

// It was taken for a broken stream, and the stream was opened again for ever.
test("what a function of the application's throws comes out of consume", async () => {
  const thrown = new Error("mine");
  for (const state of ["opened", "disconnected"]) {
    const onState: ConsumeOptions["onState"] = (told) => {
      if (told.state === state) throw thrown;
    };
    await consuming(0, () => {}, { onState }, async ({ gateway, end }) => {
      const rejected = assert.rejects(end, thrown);
      if (state === "disconnected") {
        gateway.refuse(new ConnectError("away", Code.Unavailable));
        gateway.disconnect();
      }
      await rejected;
    });
  }
  const settled: bigint[] = [];
  let told = 0;
  const onSettled = () => {
    told++;
    throw thrown;
  };
  const handler: Handler = ({ event }) => {
    settled.push(event?.sequence ?? 0n);
  };
  await consuming(3, handler, { onSettled, concurrency: 3 }, async ({ gateway, end }) => {
    await assert.rejects(end, thrown);
    // What was handled is acknowledged all the same, and each is told once.
    assert.deepEqual(gateway.acked("work").sort(), settled.sort());
    assert.equal(told, settled.length);
  });
});

for (const state of ["heartbeat", "disconnected"] as const) {
  test(`what onState throws at "${state}" waits for the handlers`, async () => {
    const begun = deferred();
    const told = deferred();
    const finish = deferred();
    const handler: Handler = async () => {
      begun.resolve();
      await finish.promise;
    };
    const onState: ConsumeOptions["onState"] = (now) => {
      if (now.state !== state) return;
      told.resolve();
      throw new Error("a mistake");
    };
    await consuming(1, handler, { onState, heartbeatIntervalMs: 100 }, async ({ gateway, end }) => {
      let ended = false;
      const rejected = assert.rejects(end.finally(() => (ended = true)), { message: "a mistake" });
      await begun.promise;
      if (state === "disconnected") gateway.disconnect();
      await told.promise;
      await new Promise(setImmediate);
      assert.equal(ended, false);
      finish.resolve();
      await rejected;
      // On a stream that has not ended, the gateway has what the handler did.
      assert.deepEqual(gateway.acked("work"), state === "heartbeat" ? [1n] : []);
      assert.equal(gateway.streamsOpened, 1);
    });
  });
}

// A timer of NaN, or of more than it takes, rang at once, and the call seemed to be too slow. A
// Date or a field that held no number was another error, sometimes one after which to try again.
test("times of calls, dates and fields that cannot be right are refused", () =>
  world(1, async (gateway, client) => {
    const late = 2 ** 31;
    const since = new Date(NaN);
    const calls: [string, () => Promise<unknown>][] = [
      ["timeoutMs", () => client.getEvent(1n, { timeoutMs: NaN })],
      ["timeoutMs", () => client.getEvent(1n, { timeoutMs: late })],
      ["timeoutMs", () => client.events.subscribe({}, { timeoutMs: late })[Symbol.asyncIterator]().next()],
      ["deadlineMs", () => client.acknowledge("work", [{ extend: "d", deadlineMs: NaN }])],
      ["page_size", () => client.listEvents({ pageSize: NaN }).next()],
      ["sequence", () => client.getEvent(2n ** 64n)],
      ["since", () => client.createSubscription("work", { since })],
      ["since", () => all(client, { from: { since }, cursors: { load: () => assert.fail("loaded"), save: () => {} } })],
    ];
    for (const [name, call] of calls) {
      await assert.rejects(call, (error) => error instanceof UsageError && error.message.includes(name), String(call));
    }
    assert.throws(() => new Client({ target: gateway.target, callTimeoutMs: 100_000_000 }), UsageError);
    assert.equal(gateway.streamsOpened, 0);
  }));

// gRPC has no parts of a millisecond and no more than eight digits: the gateway refused the call.
test("every time that is taken can be sent", () =>
  world(1, async (gateway) => {
    await using client = new Client({ target: gateway.target, callTimeoutMs: 99_999_998.5 });
    await client.createSubscription("work", "earliest", {}, { timeoutMs: 20_000.5 });
    // Longer by its wait, which only the gateway looks at.
    const request = { subscription: "work", consumerName: "a", maxEvents: 1, wait: { seconds: 10_000_000n } };
    const { deliveries } = await client.subscriptions.pull(request);
    assert.equal(deliveries.length, 1);
  }));

test("a stop waits for handlers", async () => {
  const begun = deferred();
  const finish = deferred();
  let lost = false;
  const handler: Handler = async (_, { signal }) => {
    begun.resolve();
    await finish.promise;
    lost = signal.aborted;
  };
  await consuming(3, handler, {}, async ({ gateway, stop, end }) => {
    await begun.promise;
    stop.abort();
    finish.resolve();
    await end;
    assert.equal(lost, false);
    assert.deepEqual(gateway.acked("work"), [1n]);
  });
});

for (const options of [{ stop: "give_back" }, { stopGraceMs: 1 }] as const) {
  test(`a stop gives back: ${JSON.stringify(options)}`, async () => {
    const begun = deferred();
    const handler: Handler = async (_, { signal }) => {
      begun.resolve();
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    };
    await consuming(1, handler, options, async ({ client, stop, end }) => {
      await begun.promise;
      stop.abort();
      await end;
      const [delivery] = await client.pull("work", { consumerName: "a", maxEvents: 1, waitMs: 60_000 });
      assert.equal(delivery?.attempt, 1);
    });
  });
}

test("a lease that is lost is told, and the event is handled again", async () => {
  const begun = deferred();
  const told = deferred<unknown>();
  const release = deferred();
  const attempts: number[] = [];
  const handler: Handler = async (delivery, { signal }) => {
    attempts.push(delivery.attempt);
    if (delivery.attempt > 1) return;
    begun.resolve();
    signal.addEventListener("abort", () => told.resolve(signal.reason));
    await release.promise;
    signal.throwIfAborted();
  };
  await consuming(
    1,
    handler,
    {},
    async ({ gateway, client, stop, end }) => {
      await begun.promise;
      await client.pauseSubscription("work"); // Otherwise the same consumer would have it again at once.
      gateway.endLeases("work");
      assert.ok((await told.promise) instanceof LeaseLostError);
      release.resolve();
      await client.resumeSubscription("work");
      await gateway.untilAcked("work", 1, bounded());
      stop.abort();
      await end;
      assert.deepEqual(attempts, [1, 2]);
    },
    { ackDeadlineMs: 300 },
  );
});

test("a subscription that is deleted ends its consumer", () =>
  consuming(0, () => {}, {}, async ({ client, end }) => {
    const ended = assert.rejects(end, SubscriptionNotFoundError);
    await client.deleteSubscription("work");
    await ended;
  }));

test("pulled deliveries are acknowledged, with results in the order of the verdicts", () =>
  world(3, async (gateway, client) => {
    await client.createSubscription("work", "earliest");
    const deliveries = await client.pull("work", { consumerName: "a", maxEvents: 3 });
    const [first = "", second = "", third = ""] = deliveries.map(({ deliveryId }) => deliveryId);
    const results = await client.acknowledge("work", [
      { extend: first, deadlineMs: 60_000 },
      { nack: "no-such-delivery", error: new Error("why") },
      { ack: second },
      { nack: third, error: new DeadLetter("why") },
    ]);
    assert.deepEqual(results.map(({ deliveryId }) => deliveryId), [first, "no-such-delivery", second, third]);
    assert.equal(gateway.deadLetters("work").length, 1);
  }));
