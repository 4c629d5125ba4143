// A consumer against a gateway whose every step a test plays, in time that the test moves.
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Client as Stub } from "@connectrpc/connect";
import type { Connection } from "../src/connection.js";
import { Consumer, type Handler } from "../src/consumer.js";
import {
  AckResult_Result,
  type ConsumeRequest,
  type ConsumeResponse,
  ConsumeResponseSchema,
  type SubscriptionService,
} from "../src/gen/hookgate/v1/subscription_service_pb.js";
import type { ConsumeOptions } from "../src/index.js";
import { deferred } from "../src/time.js";

type Answer = NonNullable<MessageInitShape<typeof ConsumeResponseSchema>["frame"]>;

/** The gateway's side of a consumer's first stream; it refuses a second one for good. */
class PlayedGateway {
  streams = 0;
  cut = false;
  private readonly opened = deferred<AsyncIterator<ConsumeRequest>>();
  private readonly answers: ConsumeResponse[] = [];
  private over = false;
  private changed = deferred();

  consume(handler: Handler, options: ConsumeOptions): Promise<void> {
    const connection = { target: "played:1", currentToken: () => undefined, tokenChangedSince: () => false };
    const stub = {
      consume: (requests: AsyncIterable<ConsumeRequest>, { signal }: { signal: AbortSignal }) =>
        this.stream(requests, signal),
    };
    return new Consumer(
      connection as unknown as Connection,
      stub as unknown as Stub<typeof SubscriptionService>,
      new AbortController().signal,
      "work",
      handler,
      options,
    ).run();
  }

  /** The consumer's next frame; undefined: it has closed its side. Nothing is taken but by this. */
  async take(): Promise<ConsumeRequest["frame"] | undefined> {
    const next = await (await this.opened.promise).next();
    return next.done === true ? undefined : next.value.frame;
  }

  answer(frame: Answer): void {
    this.answers.push(create(ConsumeResponseSchema, { frame }));
    this.changed.resolve();
  }

  deliver(count: number): void {
    const deliveries = Array.from({ length: count }, (_, i) => ({
      deliveryId: `d${i + 1}`,
      attempt: 1,
      event: { sequence: BigInt(i + 1) },
    }));
    this.answer({ case: "opened", value: {} });
    this.answer({ case: "deliveries", value: { deliveries } });
  }

  endStream(): void {
    this.over = true;
    this.changed.resolve();
  }

  private async *stream(requests: AsyncIterable<ConsumeRequest>, signal: AbortSignal): AsyncGenerator<ConsumeResponse> {
    if (++this.streams > 1) throw new ConnectError("a second stream", Code.PermissionDenied);
    signal.addEventListener("abort", () => {
      this.cut = !this.over;
      this.changed.resolve();
    });
    this.opened.resolve(requests[Symbol.asyncIterator]());
    for (;;) {
      const answer = this.answers.shift();
      if (answer !== undefined) yield answer;
      else if (signal.aborted) throw new ConnectError("cancelled", Code.Canceled);
      else if (this.over) return;
      else {
        this.changed = deferred();
        await this.changed.promise;
      }
    }
  }
}

/** Everything that is ready has happened when this resolves. */
const turn = () => new Promise(setImmediate);

/** Time that passes only when the test says so. */
class FakeTime {
  private now = 0;
  private readonly timers = new Map<object, { at: number; ring: () => void }>();

  constructor(t: TestContext) {
    t.mock.method(performance, "now", () => this.now);
    t.mock.method(globalThis, "setTimeout", (ring: () => void, ms: number) => {
      const timer = {};
      this.timers.set(timer, { at: this.now + ms, ring });
      return timer;
    });
    t.mock.method(globalThis, "clearTimeout", (timer: object) => this.timers.delete(timer));
  }

  /** Returns how many timers have rung meanwhile: after 100 of them it gives up. */
  async pass(ms: number): Promise<number> {
    const until = this.now + ms;
    for (let rang = 0; ; rang++) {
      await turn();
      const [next] = [...this.timers].filter(([, { at }]) => at <= until).sort(([, a], [, b]) => a.at - b.at);
      if (next === undefined || rang === 100) {
        this.now = until;
        return rang;
      }
      const [timer, { at, ring }] = next;
      this.timers.delete(timer);
      this.now = Math.max(this.now, at);
      ring();
    }
  }
}

/** A consumer that gives back after 1 s. Its handler nacks as soon as it has lost its event. */
async function givingBack(t: TestContext) {
  const time = new FakeTime(t);
  const gateway = new PlayedGateway();
  const stop = new AbortController();
  const handler: Handler = async (_, { signal }) => {
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
    throw new Error("too late");
  };
  const end = gateway.consume(handler, { signal: stop.signal, stop: "give_back", giveBackGraceMs: 1000 });
  assert.equal((await gateway.take())?.case, "open");
  gateway.deliver(1);
  await turn();
  stop.abort();
  return { time, gateway, end };
}

// The stream was not ended as long as something was left to write. With a gateway that took
// nothing, that was for ever, while the alarm for a time that had passed was set again and again.
test("a gateway that takes nothing is cut off 10 s after the time to give back", async (t) => {
  const { time, gateway, end } = await givingBack(t);
  assert.ok((await time.pass(1000)) < 5);
  assert.ok((await time.pass(9999)) < 5);
  assert.equal(gateway.cut, false);
  await time.pass(1);
  assert.equal(gateway.cut, true);
  await end;
  assert.equal(gateway.streams, 1);
});

test("a gateway that takes what is left after the time to give back gets the end as well", async (t) => {
  const { time, gateway, end } = await givingBack(t);
  await time.pass(5000);
  assert.equal((await gateway.take())?.case, "nack");
  assert.equal(await gateway.take(), undefined);
  gateway.endStream();
  await end;
  assert.equal(gateway.cut, false);
});

// To wait for ever for the opening meant to wait for ever for everything.
test("a stream that is silent once it is open is given up, however long it might take to open", async (t) => {
  const time = new FakeTime(t);
  const gateway = new PlayedGateway();
  const end = gateway.consume(() => {}, { openTimeoutMs: Infinity, heartbeatIntervalMs: 1000 });
  const ended = assert.rejects(end, /a second stream/);
  assert.equal((await gateway.take())?.case, "open");
  await time.pass(100_000);
  gateway.deliver(0);
  await time.pass(2499);
  assert.equal(gateway.cut, false);
  await time.pass(1);
  assert.equal(gateway.cut, true);
  await time.pass(1000); // The back-off before the second stream.
  await ended;
});

// What onSettled threw was taken for an error of the network: the rest of the frame was left out,
// so that those verdicts were sent once more, and a new stream was opened, again and again.
test("what onSettled throws ends the consumer, after all results of its frame", async () => {
  const gateway = new PlayedGateway();
  const settled: string[] = [];
  const onSettled: ConsumeOptions["onSettled"] = ({ deliveryId }) => {
    settled.push(deliveryId);
    throw new Error(`no room for ${deliveryId}`);
  };
  const end = gateway.consume(() => {}, { concurrency: 3, onSettled });
  const ended = assert.rejects(end, { message: "no room for d1" });
  assert.equal((await gateway.take())?.case, "open");
  gateway.deliver(3);
  const acked: string[] = [];
  while (acked.length < 3) {
    const frame = await gateway.take();
    assert.ok(frame?.case === "ack");
    acked.push(...frame.value.deliveryIds);
  }
  const results = acked.map((deliveryId) => ({ deliveryId, result: AckResult_Result.OK }));
  gateway.answer({ case: "ackResults", value: { results } });
  assert.equal(await gateway.take(), undefined); // Nothing is left to wait for.
  gateway.endStream();
  await ended;
  assert.deepEqual(settled, ["d1", "d2", "d3"]);
  assert.equal(gateway.streams, 1);
});
