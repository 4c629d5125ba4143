/**
 * A gateway in memory, for tests of programs that subscribe or consume.
 *
 *     await using gateway = await FakeGateway.start();
 *     gateway.publish(batchFailed("batch_1"));
 *     await using client = new Client({ target: gateway.target });
 *
 * It is a real gRPC server on a loopback port, and behaves as a gateway does as far as one is used to receive events:
 * cursors, filters, heartbeats, durable subscriptions with attempts, delays and dead letters. What goes wrong in production
 * can be had on purpose: disconnect, drain, removeUpTo, refuse, endLeases. It has no senders, no principals and no disk;
 * leases end when they are told to, not by time. What is not said here is UNIMPLEMENTED.
 */
import * as http2 from "node:http2";
import type { AddressInfo } from "node:net";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { timestampNow } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import { AdminService } from "../gen/hookgate/v1/admin_service_pb.js";
import { Durability, type Event, type EventFilter, EventSchema } from "../gen/hookgate/v1/event_pb.js";
import {
  EventService,
  Order,
  StartPosition,
  type SubscribeRequest,
  type SubscribeResponseSchema,
} from "../gen/hookgate/v1/event_service_pb.js";
import {
  type Ack,
  AckResult_Result,
  type AckResultSchema,
  type ConsumeRequest,
  type ConsumeResponseSchema,
  type DeliverySchema,
  DeliveryReason,
  type Extend,
  type Nack,
  SubscriptionService,
} from "../gen/hookgate/v1/subscription_service_pb.js";
import { deferred, durationFromMs, durationMs, sleep } from "../time.js";

/** An event of a batch that failed, to be published. */
export function batchFailed(batchId: string): MessageInitShape<typeof EventSchema> {
  const value = { id: `evt_${batchId}`, type: "batch.failed", data: { id: batchId } };
  return { type: "batch.failed", subject: batchId, payload: { case: "batchFailed", value } };
}

/** An error as gateways give it, for `refuse`. */
export function gatewayError(code: Code, reason: string, metadata: Record<string, string> = {}): ConnectError {
  const value = { domain: "hookgate", reason, metadata };
  return new ConnectError(reason, code, undefined, [{ desc: ErrorInfoSchema, value }]);
}

/** An unsettled event. */
interface Entry {
  event: Event;
  attempts: number;
  deliveryId: string; // "" unless it is leased.
  holder: object | undefined;
  due: number;
  reason: DeliveryReason;
  nackReason: string;
}

interface Durable {
  position: number;
  maxAttempts: number;
  ackDeadlineMs: number;
  filter: EventFilter | undefined;
  unsettled: Set<Entry>;
  acked: bigint[];
  dead: { sequence: bigint; reason: string }[];
  paused: boolean;
  lastId: number;
}

/** How all streams end. */
interface Interruption {
  drainingMs?: number;
  error: ConnectError;
}

export class FakeGateway implements AsyncDisposable {
  /** HOST:PORT. */
  readonly target: string;
  /** How many streams clients have opened so far. */
  streamsOpened = 0;
  private readonly events: Event[] = [];
  private removed = 0;
  private refusal: ConnectError | undefined;
  private generation = 0;
  private interruption: Interruption = { error: new ConnectError("", Code.Unavailable) };
  private changed = deferred();
  private readonly durable = new Map<string, Durable>();

  private constructor(
    private readonly server: http2.Http2Server,
    private readonly sessions: Set<http2.ServerHttp2Session>,
  ) {
    this.target = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  static async start(): Promise<FakeGateway> {
    let gateway: FakeGateway | undefined;
    const self = (): FakeGateway => {
      if (gateway === undefined) throw new ConnectError("it starts", Code.Unavailable);
      if (gateway.refusal !== undefined) throw gateway.refusal;
      return gateway;
    };
    const handler = connectNodeAdapter({
      routes(router) {
        router.service(EventService, {
          subscribe: (request, context) => self().subscribe(request, context),
          listEvents: (request) => ({ events: self().list(request.filter, request.order) }),
          getEvent: (request) => ({ event: self().find(request.key) }),
        });
        // What the client looks at before a call with one of these fields.
        router.service(AdminService, {
          getStatus: () => ({ capabilities: ["etag", "preview", "update_mask"] }),
        });
        router.service(SubscriptionService, {
          createSubscription: (request) => {
            const gateway = self();
            if (gateway.durable.has(request.name)) throw gatewayError(Code.AlreadyExists, "SUBSCRIPTION_EXISTS");
            gateway.durable.set(request.name, {
              position: gateway.startOf(request.start?.start ?? { case: undefined }),
              maxAttempts: request.settings?.maxAttempts ?? 10,
              ackDeadlineMs: request.settings?.ackDeadline === undefined ? 30_000 : durationMs(request.settings.ackDeadline),
              filter: request.settings?.filter,
              unsettled: new Set(),
              acked: [],
              dead: [],
              paused: false,
              lastId: 0,
            });
            return { subscription: { name: request.name } };
          },
          getSubscription: (request) => ({ subscription: self().describe(request.name) }),
          deleteSubscription: (request) => {
            self().get(request.name);
            self().durable.delete(request.name);
            self().notify();
            return {};
          },
          pauseSubscription: (request) => ({ subscription: self().pause(request.name, true) }),
          resumeSubscription: (request) => ({ subscription: self().pause(request.name, false) }),
          acknowledge: (request) => ({
            results: self().settle(self().get(request.subscription), request.ack, request.nack, request.extend),
          }),
          pull: async (request, context) => {
            const until = performance.now() + (request.wait === undefined ? 0 : durationMs(request.wait));
            for (;;) {
              const durable = self().get(request.subscription);
              const { taken, due } = self().take(request.subscription, durable, request.maxEvents, undefined);
              if (taken.length > 0 || performance.now() >= until) return { deliveries: taken };
              await self().change(Math.min(until, due), context.signal);
            }
          },
          consume: (requests, context) => self().consume(requests, context),
        });
      },
    });
    const server = http2.createServer(handler);
    const sessions = new Set<http2.ServerHttp2Session>();
    server.on("session", (session) => {
      sessions.add(session);
      session.on("close", () => sessions.delete(session));
    });
    const { promise, resolve, reject } = deferred();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", resolve);
    await promise;
    gateway = new FakeGateway(server, sessions);
    return gateway;
  }

  /** Ends the gateway and all calls. */
  async close(): Promise<void> {
    const { promise, resolve } = deferred();
    this.disconnect();
    this.server.close(() => resolve());
    for (const session of this.sessions) session.destroy();
    await promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Stores events, as if their webhooks had come, and returns the sequence of the last one. */
  publish(...events: MessageInitShape<typeof EventSchema>[]): bigint {
    for (const init of events) {
      const event = create(EventSchema, init);
      event.sequence = BigInt(this.events.length + 1);
      event.cursor = this.cursor(this.events.length + 1);
      event.source ||= "openai";
      event.webhookId ||= `wh_${event.sequence}`;
      event.durability = Durability.LOCAL_DISK;
      event.receiveTime ??= timestampNow();
      event.webhookTime ??= event.receiveTime;
      this.events.push(event);
    }
    this.notify();
    return BigInt(this.events.length);
  }

  /** Breaks all streams, as a crash of the gateway does. */
  disconnect(): void {
    this.interrupt({ error: new ConnectError("the connection was lost", Code.Unavailable) });
  }

  /** Ends all streams as a gateway does that goes down, and says to come back after `delayMs`. */
  drain(delayMs: number): void {
    this.interrupt({ drainingMs: delayMs, error: gatewayError(Code.Unavailable, "DRAINING") });
  }

  /** Has every call end with `error`, and breaks all streams with it; undefined: no more. */
  refuse(error: ConnectError | undefined): void {
    this.refusal = error;
    if (error !== undefined) this.interrupt({ error });
  }

  /** Has retention remove all events up to `sequence`: older cursors are overtaken. */
  removeUpTo(sequence: number): void {
    this.removed = Math.min(Math.max(this.removed, sequence), this.events.length);
  }

  /** Has the ack deadline of every delivery of a durable subscription pass. */
  endLeases(name: string): void {
    const durable = this.get(name);
    for (const entry of [...durable.unsettled]) {
      if (entry.deliveryId !== "") this.giveUp(durable, entry, DeliveryReason.DEADLINE_PASSED, 0);
    }
    this.notify();
  }

  /** The sequences that consumers have acknowledged, in the order in which they did. */
  acked(name: string): bigint[] {
    return [...this.get(name).acked];
  }

  deadLetters(name: string): { sequence: bigint; reason: string }[] {
    return [...this.get(name).dead];
  }

  /** Resolves when a durable subscription has `count` acknowledged events; rejects when `signal` is aborted. */
  async untilAcked(name: string, count: number, signal?: AbortSignal): Promise<void> {
    while (this.get(name).acked.length < count) {
      await this.change(Infinity, signal);
      signal?.throwIfAborted();
    }
  }

  private notify(): void {
    this.changed.resolve();
    this.changed = deferred();
  }

  /** Resolves when something has changed, at `until`, or when `signal` is aborted. */
  private async change(until: number, signal?: AbortSignal): Promise<void> {
    const over = new AbortController();
    const ms = until === Infinity ? 2 ** 31 - 1 : until - performance.now();
    await Promise.race([this.changed.promise, sleep(ms, signal, over.signal)]);
    over.abort();
  }

  private interrupt(interruption: Interruption): void {
    this.generation++;
    this.interruption = interruption;
    this.notify();
  }

  private cursor(sequence: number): string {
    return `test.${sequence}`;
  }

  private get(name: string): Durable {
    const durable = this.durable.get(name);
    if (durable === undefined) throw gatewayError(Code.NotFound, "SUBSCRIPTION_NOT_FOUND");
    return durable;
  }

  private startOf(start: SubscribeRequest["start"]): number {
    const metadata = { earliest_cursor: this.cursor(this.removed) };
    switch (start.case) {
      case "afterCursor": {
        const sequence = Number(/^test\.(\d+)$/.exec(start.value)?.[1] ?? NaN);
        if (Number.isNaN(sequence)) throw gatewayError(Code.InvalidArgument, "INVALID_REQUEST");
        if (sequence > this.events.length) throw gatewayError(Code.FailedPrecondition, "CURSOR_OF_ANOTHER_LOG", metadata);
        if (sequence < this.removed) throw gatewayError(Code.OutOfRange, "CURSOR_OVERTAKEN", metadata);
        return sequence;
      }
      case "startTime": {
        const from = start.value;
        const index = this.events.findIndex(
          ({ receiveTime }, i) => i >= this.removed && (receiveTime?.seconds ?? 0n) >= from.seconds,
        );
        return index < 0 ? this.events.length : index;
      }
      case "startPosition":
        return start.value === StartPosition.EARLIEST ? this.removed : this.events.length;
      default:
        throw gatewayError(Code.InvalidArgument, "INVALID_REQUEST");
    }
  }

  private list(filter: EventFilter | undefined, order: Order): Event[] {
    const events = this.events.slice(this.removed).filter((event) => admits(filter, event));
    return order === Order.OLDEST_FIRST ? events : events.reverse();
  }

  private find(key: { case: string | undefined; value?: unknown }): Event {
    const webhook = key.value as { source?: string; webhookId?: string } | undefined;
    const found = this.events
      .slice(this.removed)
      .find((event) =>
        key.case === "sequence"
          ? event.sequence === key.value
          : event.source === webhook?.source && event.webhookId === webhook.webhookId,
      );
    if (found === undefined) throw gatewayError(Code.NotFound, "EVENT_NOT_FOUND");
    return found;
  }

  private async *subscribe(
    request: SubscribeRequest,
    { signal }: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof SubscribeResponseSchema>> {
    const generation = this.generation;
    let position = this.startOf(request.start);
    const intervalMs = request.heartbeatInterval === undefined ? 15_000 : durationMs(request.heartbeatInterval);
    const heartbeatInterval = durationFromMs(intervalMs);
    this.streamsOpened++;
    yield { frame: { case: "opened", value: { epoch: "test", cursor: this.cursor(position), heartbeatInterval } } };
    let caughtUp = false;
    let beatAt = performance.now() + intervalMs;
    while (!signal.aborted) {
      if (generation !== this.generation) {
        const { drainingMs, error } = this.interruption;
        if (drainingMs !== undefined) {
          const value = { cursor: this.cursor(position), reconnectDelay: durationFromMs(drainingMs) };
          yield { frame: { case: "draining", value } };
        }
        throw error;
      }
      const events: Event[] = [];
      for (; position < this.events.length && events.length < 100; position++) {
        const event = this.events[position];
        if (event !== undefined && admits(request.filter, event)) events.push(event);
      }
      const cursor = this.cursor(position);
      const headSequence = BigInt(this.events.length);
      if (events.length > 0) {
        yield { frame: { case: "eventBatch", value: { events } } };
      } else if (position < this.events.length) {
        continue;
      } else if (!caughtUp) {
        caughtUp = true;
        yield { frame: { case: "caughtUp", value: { cursor, headSequence } } };
      } else {
        await this.change(beatAt, signal);
        if (performance.now() < beatAt) continue;
        yield { frame: { case: "heartbeat", value: { cursor, headSequence, serverTime: timestampNow() } } };
      }
      beatAt = performance.now() + intervalMs;
    }
  }

  private take(name: string, durable: Durable, most: number, holder: object | undefined) {
    const taken: MessageInitShape<typeof DeliverySchema>[] = [];
    let due = Infinity;
    if (durable.paused) return { taken, due };
    for (; durable.position < this.events.length; durable.position++) {
      const event = this.events[durable.position];
      if (event === undefined || event.sequence <= BigInt(this.removed) || !admits(durable.filter, event)) continue;
      const reason = DeliveryReason.NEW;
      durable.unsettled.add({ event, attempts: 0, deliveryId: "", holder: undefined, due: 0, reason, nackReason: "" });
    }
    for (const entry of durable.unsettled) {
      if (entry.deliveryId !== "") continue;
      if (entry.due > performance.now()) {
        due = Math.min(due, entry.due);
        continue;
      }
      if (taken.length >= most) break;
      entry.deliveryId = `${name}-${++durable.lastId}`;
      entry.holder = holder;
      const { deliveryId, event, reason, nackReason } = entry;
      taken.push({ deliveryId, event, reason, nackReason, attempt: entry.attempts + 1 });
    }
    return { taken, due };
  }

  /** Ends a lease in a way that counts as an attempt. */
  private giveUp(durable: Durable, entry: Entry, reason: DeliveryReason, delayMs: number): void {
    entry.attempts++;
    entry.deliveryId = "";
    entry.reason = reason;
    entry.due = performance.now() + delayMs;
    if (entry.attempts >= durable.maxAttempts) this.makeDeadLetter(durable, entry);
  }

  private makeDeadLetter(durable: Durable, entry: Entry): void {
    durable.unsettled.delete(entry);
    durable.dead.push({ sequence: entry.event.sequence, reason: entry.nackReason });
  }

  private settle(
    durable: Durable,
    ack: Ack | undefined,
    nack: Nack | undefined,
    extend: Extend | undefined,
  ): MessageInitShape<typeof AckResultSchema>[] {
    const results: MessageInitShape<typeof AckResultSchema>[] = [];
    const leased = (id: string) => [...durable.unsettled].find((entry) => entry.deliveryId === id && id !== "");
    for (const deliveryId of ack?.deliveryIds ?? []) {
      const entry = leased(deliveryId);
      if (entry !== undefined) {
        durable.unsettled.delete(entry);
        durable.acked.push(entry.event.sequence);
      }
      results.push({ deliveryId, result: entry === undefined ? AckResult_Result.ALREADY : AckResult_Result.OK });
    }
    for (const { deliveryId, reason, next } of nack?.items ?? []) {
      const entry = leased(deliveryId);
      if (entry !== undefined) {
        entry.nackReason = reason;
        if (next.case === "deadLetter" && next.value) this.makeDeadLetter(durable, entry);
        else this.giveUp(durable, entry, DeliveryReason.NACKED, next.case === "delay" ? durationMs(next.value) : 1);
      }
      results.push({ deliveryId, result: entry === undefined ? AckResult_Result.LEASE_LOST : AckResult_Result.OK });
    }
    for (const { deliveryId } of extend?.items ?? []) {
      const held = leased(deliveryId) !== undefined;
      results.push({ deliveryId, result: held ? AckResult_Result.OK : AckResult_Result.LEASE_LOST });
    }
    this.notify();
    return results;
  }

  private describe(name: string) {
    const durable = this.get(name);
    const events = BigInt(durable.unsettled.size + this.events.length - durable.position);
    return { name, backlog: { events }, deadLetters: BigInt(durable.dead.length) };
  }

  private pause(name: string, paused: boolean) {
    this.get(name).paused = paused;
    this.notify();
    return this.describe(name);
  }

  private async *consume(
    requests: AsyncIterable<ConsumeRequest>,
    { signal }: HandlerContext,
  ): AsyncGenerator<MessageInitShape<typeof ConsumeResponseSchema>> {
    const generation = this.generation;
    const input = requests[Symbol.asyncIterator]();
    const first = await input.next();
    const open = first.done === true ? undefined : first.value.frame.value;
    if (first.done === true || first.value.frame.case !== "open" || open === undefined || !("subscription" in open)) {
      throw gatewayError(Code.InvalidArgument, "INVALID_REQUEST");
    }
    const name = open.subscription;
    const most = Number(open.limits?.maxOutstandingMessages ?? 1000n);
    const intervalMs = open.heartbeatInterval === undefined ? 15_000 : durationMs(open.heartbeatInterval);
    const heartbeatInterval = durationFromMs(intervalMs);
    const ackDeadline = durationFromMs(this.get(name).ackDeadlineMs);
    this.streamsOpened++;
    yield { frame: { case: "opened", value: { epoch: "test", subscription: name, ackDeadline, heartbeatInterval } } };
    const arrived: ConsumeRequest[] = [];
    let closed = false;
    const read = async () => {
      for (;;) {
        const next = await input.next();
        if (next.done === true) break;
        arrived.push(next.value);
        this.notify();
      }
    };
    const reading = read()
      .catch(() => {})
      .finally(() => {
        closed = true;
        this.notify();
      });
    void reading;
    const holder = {};
    let beatAt = performance.now() + intervalMs;
    try {
      while (!signal.aborted) {
        if (generation !== this.generation) {
          const { drainingMs, error } = this.interruption;
          if (drainingMs !== undefined) {
            yield { frame: { case: "draining", value: { reconnectDelay: durationFromMs(drainingMs) } } };
          }
          throw error;
        }
        const durable = this.get(name);
        const request = arrived.shift();
        if (request !== undefined) {
          const { case: kind, value } = request.frame;
          const results = this.settle(
            durable,
            kind === "ack" ? value : undefined,
            kind === "nack" ? value : undefined,
            kind === "extend" ? value : undefined,
          );
          yield { frame: { case: "ackResults", value: { results } } };
          continue;
        }
        if (closed) return;
        const held = [...durable.unsettled].filter((entry) => entry.holder === holder && entry.deliveryId !== "").length;
        const { taken, due } = this.take(name, durable, most - held, holder);
        if (taken.length > 0) {
          yield { frame: { case: "deliveries", value: { deliveries: taken } } };
        } else {
          await this.change(Math.min(beatAt, due), signal);
          if (performance.now() < beatAt) continue;
          yield { frame: { case: "heartbeat", value: { serverTime: timestampNow() } } };
        }
        beatAt = performance.now() + intervalMs;
      }
    } finally {
      for (const entry of this.durable.get(name)?.unsettled ?? []) {
        if (entry.holder !== holder || entry.deliveryId === "") continue;
        entry.deliveryId = "";
        entry.reason = DeliveryReason.STREAM_ENDED;
      }
      this.notify();
    }
  }
}

function admits(filter: EventFilter | undefined, event: Event): boolean {
  const listed = (list: string[], text: string) => list.length === 0 || list.includes(text);
  const { types = [], sources = [], subjects = [] } = filter ?? {};
  const matches = (type: string) =>
    type === event.type || (type.endsWith("*") && event.type.startsWith(type.slice(0, -1)));
  return listed(sources, event.source) && listed(subjects, event.subject) && (types.length === 0 || types.some(matches));
}
