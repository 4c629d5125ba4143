import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, type Client as Stub } from "@connectrpc/connect";
import { Retries, type StreamEnd } from "./backoff.js";
import type { Connection } from "./connection.js";
import { callError, ClientClosedError, LeaseLostError } from "./errors.js";
import {
  type AckResult,
  AckResult_Result,
  type ConsumeRequest,
  ConsumeRequestSchema,
  type ConsumeResponse,
  type ConsumeResponse_Heartbeat,
  type ConsumeResponse_Opened,
  type Delivery,
  type Nack_ItemSchema,
  type SubscriptionService,
} from "./gen/hookgate/v1/subscription_service_pb.js";
import {
  checkStreamOptions,
  type Disconnected,
  type Draining,
  HEARTBEAT_INTERVAL_MS,
  INTERVALS_UNTIL_DEAD,
  OPEN_TIMEOUT_MS,
  type StreamOptions,
} from "./options.js";
import { Alarm, checkNumber, checkWhole, deferred, durationFromMs, durationMs, onAbort } from "./time.js";
import { type Verdict, verdictOf } from "./verdict.js";

/** What happens to a consumer besides deliveries. After a stop nothing is told. */
export type ConsumeState =
  | { state: "opened"; frame: ConsumeResponse_Opened }
  | { state: "heartbeat"; frame: ConsumeResponse_Heartbeat }
  | Draining
  | Disconnected;

export interface ConsumeOptions extends StreamOptions {
  /** How many deliveries are handled at a time; no more than these are taken. Default 1. */
  concurrency?: number;
  /**
   * Who consumes, as the gateway shows it. Consumers of one name share one limit, that of the last one that opened a
   * stream; so each process should have its own. Default "HOST-PID-RANDOM".
   */
  consumerName?: string;
  /** Stops after so many deliveries have been begun. Default: never. */
  maxEvents?: number;
  /**
   * How long one delivery's lease is extended, from its arrival: a handler that hangs for longer loses it, which counts as
   * an attempt. Default 1 h.
   */
  longestLeaseMs?: number;
  /**
   * What an abort of `signal` does. "wait", the default: handlers finish, and what they did is acknowledged. "give_back":
   * they lose their events at once. Neither counts as an attempt.
   */
  stop?: "wait" | "give_back";
  /** Stops as "give_back" does, also after `signal`: for a second signal of a person who does not want to wait. */
  giveBackSignal?: AbortSignal;
  /** How long a stop waits for handlers and for the gateway's answers before it gives back. Default 30,000. */
  stopGraceMs?: number;
  /** How long giving back waits for handlers, before it gives the events back all the same. Default 10,000. */
  giveBackGraceMs?: number;
  /**
   * Should return soon. If it throws, the consumer stops, waits for its handlers, and ends with
   * what was thrown.
   */
  onState?: (state: ConsumeState) => void;
  /** The gateway has answered a verdict on a delivery. OK is durable. May throw as `onState`. */
  onSettled?: (result: AckResult) => void;
}

/**
 * Handles one delivery. Resolves: the event is done with. Rejects: it comes again after the subscription's back-off, which
 * counts as an attempt; the error's message is kept with the event. `throw new DeadLetter(...)`, `new Nack(..., {delayMs})`
 * and `new GiveBack()` say otherwise.
 *
 * `signal` is aborted, with a LeaseLostError as its reason, when the event may be with another consumer: its stream has
 * ended, its lease was lost or has run out, or a stop gives it back. A handler that rejects with an AbortError or that
 * reason then gives back; any other verdict still counts.
 */
export type Handler = (delivery: Delivery, context: { signal: AbortSignal }) => Promise<void> | void;

/** "HOST-PID-RANDOM": a consumer name that no other process has, and that tells where to look. */
export function uniqueConsumerName(): string {
  const host = (hostname() || "localhost").replace(/[^\x21-\x7e]/g, "_").slice(0, 100);
  return `${host}-${process.pid}-${randomBytes(6).toString("hex")}`;
}

/** A lease is extended when a third of it has passed: two more tries fit. */
const EXTENSIONS_PER_LEASE = 3;
const MOST_BYTES = 64n << 20n;
/** How long a gateway may take to answer the end of a stream, before it is cut off: enough for acks on a slow disk. */
const END_PATIENCE_MS = 10_000;
/** Acknowledgements in one frame: those that come while the frame before is being sent. */
const MOST_ACKS_IN_FRAME = 256;
const NEVER = Infinity;

interface Lease {
  extendAt: number;
  until: number; // Not extended from here on.
  ends: number; // As far as this side knows: the gateway has confirmed no more.
}

/** An event that a handler works on. */
class Running {
  again: Delivery | undefined; // The newer delivery, if the event came again on the open stream.
  lost = false;
  private controller: AbortController | undefined;

  constructor(public deliveryId: string) {} // The newest of the event.

  /** Made when somebody asks for it: that costs more than all else that is done for a delivery. */
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.lost) this.controller.abort(new LeaseLostError());
    }
    return this.controller.signal;
  }

  /** Tells the handler, once. */
  lose(): void {
    if (this.lost) return;
    this.lost = true;
    this.controller?.abort(new LeaseLostError());
  }
}

type Frame = NonNullable<MessageInitShape<typeof ConsumeRequestSchema>["frame"]>;

/** One open call. */
interface Stream {
  call: AbortController;
  begun: boolean; // The call has reached a gateway, and Open is on its way.
  opened: boolean; // The gateway has answered Open.
  ended: boolean; // The sending side is to be closed.
  silent: boolean;
  silentAt: number;
  patienceMs: number;
  intervalMs: number;
  end: StreamEnd;
  wakeWriter: () => void;
}

/** One call of consume. */
export class Consumer {
  private readonly retries: Retries;
  private stopped = false;
  // When a stop begins to give back, when it ends the stream, and when it cuts it off.
  private stopAt = NEVER;
  private endAt = NEVER;
  private cutAt = NEVER;
  private stream: Stream | undefined;
  private ackDeadlineMs = 30_000;
  private begun = 0;
  /** Not begun, all of the stream that is open: the limits that were asked for bound it. */
  private waiting: Delivery[] = [];
  /** What handlers run for, by sequence. */
  private readonly running = new Map<bigint, Running>();
  /** By delivery id: what waits or runs, of the stream that is open. */
  private readonly leases = new Map<string, Lease>();
  /** Not later than the first time at which a lease is to be looked at. */
  private nextLease = NEVER;
  /** Verdicts and extensions to write. Bounded by what was delivered. */
  private outbox: Frame[] = [];
  /** By delivery id: verdicts that the gateway has not answered, and when the extensions before them were asked for. */
  private readonly unanswered = new Map<string, Verdict>();
  private readonly extensions = new Map<string, number[]>();
  private final: Error | undefined;
  /** What a function of the application's has thrown first. */
  private failure: { error: unknown } | undefined;
  private readonly alarm = new Alarm(() => this.onTime());
  private alarmAt = NEVER;
  /** Resolved when a wait between streams, or the one for the last handlers, may be over. */
  private wake: () => void = () => {};

  constructor(
    private readonly connection: Connection,
    private readonly stub: Stub<typeof SubscriptionService>,
    private readonly closed: AbortSignal,
    private readonly subscription: string,
    private readonly handler: Handler,
    private readonly options: ConsumeOptions,
    private readonly name = options.consumerName || uniqueConsumerName(),
  ) {
    checkStreamOptions(options);
    checkWhole("concurrency", options.concurrency, 0, 2 ** 31);
    checkWhole("maxEvents", options.maxEvents, 1, Number.MAX_SAFE_INTEGER);
    checkNumber("longestLeaseMs", options.longestLeaseMs, 0, Infinity);
    checkNumber("stopGraceMs", options.stopGraceMs, 0, Infinity);
    checkNumber("giveBackGraceMs", options.giveBackGraceMs, 0, Infinity);
    this.retries = new Retries(options.backoff ?? {});
  }

  private get over(): boolean {
    return this.stopped || this.final !== undefined;
  }

  async run(): Promise<void> {
    const { signal, giveBackSignal, stop } = this.options;
    const forget = [
      onAbort(signal, () => {
        this.stopTaking();
        if (stop === "give_back") this.giveBackNow();
        this.next();
      }),
      onAbort(giveBackSignal, () => {
        this.stopTaking();
        this.giveBackNow();
        this.next();
      }),
      onAbort(this.closed, () => {
        this.final = new ClientClosedError();
        this.stream?.call.abort();
        this.next();
      }),
    ];
    try {
      while (!this.over) {
        const end = await this.runStream();
        if (this.over || end === undefined) break;
        const delayMs = this.retries.delayAfter(end);
        this.tell(() => this.options.onState?.({ state: "disconnected", why: end.why, delayMs }));
        await this.waitUntil(() => this.over, delayMs);
      }
      await this.waitUntil(() => this.running.size === 0);
    } finally {
      this.alarm.clear();
      for (const each of forget) each();
    }
    if (this.failure !== undefined) throw this.failure.error;
    if (this.final !== undefined) throw this.final;
  }

  /**
   * Calls a function of the application's. What it throws ends the consumer as a stop does, and comes out of run(): taken
   * for an error of the stream, it would be tried again for ever.
   */
  private tell(call: () => void): void {
    try {
      call();
    } catch (error) {
      this.failure ??= { error };
      this.stopTaking();
      this.next();
    }
  }

  /** Waits until `done`, which next() has looked at, or `ms` have passed. */
  private async waitUntil(done: () => boolean, ms = NEVER): Promise<void> {
    const until = performance.now() + ms;
    while (!done() && performance.now() < until) {
      const { promise, resolve } = deferred();
      const alarm = new Alarm(resolve);
      if (ms !== NEVER) alarm.set(until - performance.now());
      this.wake = resolve;
      await promise;
      alarm.clear();
    }
  }

  /** Does what has become possible. To be called after anything has changed. */
  private next(): void {
    const now = performance.now();
    this.startHandlers();
    this.endStreamIfDone(now);
    let wakeAt = Math.min(this.stopAt, this.nextLease);
    if (this.stream !== undefined) {
      // Once it is reached, it is for the writer, which may have to wait until the gateway takes something.
      const endAt = this.stream.ended || now >= this.endAt ? NEVER : this.endAt;
      wakeAt = Math.min(wakeAt, this.stream.silentAt, this.cutAt, endAt);
      this.stream.wakeWriter();
    }
    // One that rings too early finds nothing to do, and is set again: cheaper than to set it after each event.
    if (wakeAt < this.alarmAt) {
      this.alarmAt = wakeAt;
      this.alarm.set(Math.ceil(wakeAt - now));
    }
    this.wake();
  }

  private onTime(): void {
    const now = performance.now();
    this.alarmAt = NEVER;
    if (now >= this.nextLease) this.lookAtLeases(now);
    if (now >= this.stopAt) this.giveBackNow();
    if (this.stream !== undefined && now >= this.stream.silentAt) {
      this.stream.silent = true;
      this.stream.silentAt = NEVER;
      this.stream.call.abort();
    }
    if (now >= this.cutAt) {
      this.cutAt = NEVER;
      this.stream?.call.abort();
    }
    this.next();
  }

  private stopTaking(): void {
    if (this.stopped) return;
    this.stopped = true;
    this.stopAt = performance.now() + (this.options.stopGraceMs ?? 30_000);
    // The stream's end gives them back.
    for (const delivery of this.waiting) this.leases.delete(delivery.deliveryId);
    this.waiting = [];
    // A call that has not reached a gateway has nothing to finish.
    if (this.stream !== undefined && !this.stream.begun) this.stream.call.abort();
  }

  /** Handlers lose their events. From here on only giveBackGraceMs counts. */
  private giveBackNow(): void {
    this.stopAt = NEVER;
    this.endAt = Math.min(this.endAt, performance.now() + (this.options.giveBackGraceMs ?? 10_000));
    // Also if the gateway takes nothing of what is written.
    this.cutAt = Math.min(this.cutAt, this.endAt + END_PATIENCE_MS);
    this.loseAll();
  }

  private loseAll(): void {
    for (const running of this.running.values()) running.lose();
  }

  /** Closes the sending side when a stop has nothing left to wait for. */
  private endStreamIfDone(now: number): void {
    const stream = this.stream;
    if (!this.stopped || stream === undefined || !stream.begun || stream.ended) return;
    if (stream.opened && this.outbox.length > 0) return; // Written first.
    const settled = this.running.size === 0 && this.unanswered.size === 0;
    if (settled || !stream.opened || now >= this.endAt) {
      stream.ended = true;
      this.cutAt = Math.min(this.cutAt, now + END_PATIENCE_MS);
    }
  }

  /** Undefined: it is over. */
  private async runStream(): Promise<StreamEnd | undefined> {
    const token = this.connection.currentToken();
    const openTimeoutMs = this.options.openTimeoutMs ?? OPEN_TIMEOUT_MS;
    const stream: Stream = {
      call: new AbortController(),
      begun: false,
      opened: false,
      ended: false,
      silent: false,
      silentAt: performance.now() + openTimeoutMs,
      patienceMs: openTimeoutMs,
      intervalMs: this.options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS,
      end: { why: new Error(), useful: false, retryDelayMs: 0 },
      wakeWriter: () => {},
    };
    this.stream = stream;
    this.next();
    let thrown: unknown = new ConnectError("the gateway ended the stream", Code.Unavailable);
    try {
      for await (const frame of this.stub.consume(this.requests(stream), { signal: stream.call.signal })) {
        this.onFrame(frame, stream);
        if (!stream.silent) {
          stream.patienceMs = INTERVALS_UNTIL_DEAD * stream.intervalMs;
          stream.silentAt = performance.now() + stream.patienceMs;
        }
        this.next();
      }
    } catch (error) {
      thrown = error;
    }
    this.endStream(stream);
    if (this.over) return undefined;
    if (stream.silent) thrown = new ConnectError(`nothing came from the gateway for ${stream.patienceMs} ms`, Code.Unavailable);
    const why = callError(thrown, "cannot consume", this.connection.target, this.connection.tokenChangedSince(token));
    if (!why.retryable) {
      this.final = why;
      return undefined;
    }
    stream.end.why = why;
    stream.end.retryDelayMs = why.retryDelayMs;
    return stream.end;
  }

  /** What is written on the stream. Its first frame is asked for when the call has reached a gateway. */
  private async *requests(stream: Stream): AsyncGenerator<ConsumeRequest, void, void> {
    stream.begun = true;
    yield create(ConsumeRequestSchema, {
      frame: {
        case: "open",
        value: {
          subscription: this.subscription,
          consumerName: this.name,
          limits: { maxOutstandingMessages: BigInt(this.concurrency), maxOutstandingBytes: MOST_BYTES },
          heartbeatInterval: durationFromMs(this.options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS),
          includeRawBody: this.options.includeRawBody ?? false,
        },
      },
    });
    for (;;) {
      if (this.stream === stream) this.endStreamIfDone(performance.now());
      const frame = stream.opened && this.stream === stream ? this.outbox.shift() : undefined;
      if (frame !== undefined) {
        yield create(ConsumeRequestSchema, { frame });
        continue;
      }
      if (stream.ended || this.stream !== stream) {
        this.next(); // For the time at which it is cut off.
        return;
      }
      const { promise, resolve } = deferred();
      stream.wakeWriter = resolve;
      await promise;
    }
  }

  private get concurrency(): number {
    return Math.max(this.options.concurrency ?? 1, 1);
  }

  private onFrame({ frame }: ConsumeResponse, stream: Stream): void {
    const onState = this.over ? undefined : this.options.onState; // After a stop, nothing is told.
    switch (frame.case) {
      case "opened":
        stream.opened = true;
        if (frame.value.heartbeatInterval !== undefined) {
          stream.intervalMs = durationMs(frame.value.heartbeatInterval) || stream.intervalMs;
        }
        if (frame.value.ackDeadline !== undefined) {
          this.ackDeadlineMs = durationMs(frame.value.ackDeadline) || this.ackDeadlineMs;
        }
        this.tell(() => onState?.({ state: "opened", frame: frame.value }));
        break;
      case "deliveries":
        stream.end.useful = true;
        this.accept(frame.value.deliveries);
        break;
      case "ackResults":
        for (const result of frame.value.results) this.onResult(result);
        break;
      case "heartbeat":
        stream.end.useful = true;
        this.tell(() => onState?.({ state: "heartbeat", frame: frame.value }));
        break;
      case "draining": {
        const delayMs = frame.value.reconnectDelay === undefined ? 0 : durationMs(frame.value.reconnectDelay);
        stream.end.reconnectDelayMs = delayMs;
        this.tell(() => onState?.({ state: "draining", delayMs }));
        break;
      }
    }
  }

  private accept(deliveries: Delivery[]): void {
    if (this.over) return; // Given back when the stream ends.
    const now = performance.now();
    const extendAt = now + this.ackDeadlineMs / EXTENSIONS_PER_LEASE;
    for (const delivery of deliveries) {
      this.leases.set(delivery.deliveryId, {
        extendAt,
        until: now + (this.options.longestLeaseMs ?? 3_600_000),
        ends: now + this.ackDeadlineMs,
      });
      this.takeOver(delivery);
    }
    this.nextLease = Math.min(this.nextLease, extendAt);
  }

  /** Of one event only the newest delivery matters. */
  private takeOver(delivery: Delivery): void {
    const sequence = sequenceOf(delivery);
    const running = this.running.get(sequence);
    if (running !== undefined) {
      this.leases.delete(running.deliveryId);
      running.deliveryId = delivery.deliveryId;
      running.again = delivery;
      return;
    }
    const index = this.waiting.findIndex((other) => sequenceOf(other) === sequence);
    const old = this.waiting[index];
    if (old === undefined) {
      this.waiting.push(delivery);
    } else {
      this.leases.delete(old.deliveryId);
      this.waiting[index] = delivery;
    }
  }

  private startHandlers(): void {
    while (this.running.size < this.concurrency && !this.over) {
      const delivery = this.waiting.shift();
      if (delivery === undefined) return;
      const running = new Running(delivery.deliveryId);
      this.running.set(sequenceOf(delivery), running);
      if (++this.begun === this.options.maxEvents) this.stopTaking();
      void this.handle(delivery, running);
    }
  }

  private async handle(delivery: Delivery, running: Running): Promise<void> {
    let verdict: Verdict = { kind: "ack" };
    try {
      const context = {
        get signal() {
          return running.signal;
        },
      };
      await this.handler(delivery, context);
    } catch (error) {
      verdict = verdictOf(error, running.lost);
    }
    this.settle(sequenceOf(delivery), running, verdict);
    this.next();
  }

  private settle(sequence: bigint, running: Running, verdict: Verdict): void {
    this.running.delete(sequence);
    if (verdict.kind !== "give_back") {
      this.leases.delete(running.deliveryId);
      this.unanswered.set(running.deliveryId, verdict);
      this.send(running.deliveryId, verdict);
    } else if (!running.lost) {
      this.stopTaking(); // The lease stays, and is extended, until the stream ends.
    } else if (running.again !== undefined && !this.over) {
      this.waiting.unshift(running.again);
    }
  }

  /** Puts a verdict into the outbox, beside others that wait there. */
  private send(deliveryId: string, verdict: Verdict): void {
    if (verdict.kind !== "ack") {
      this.outbox.push({ case: "nack", value: { items: [nackItem(deliveryId, verdict)] } });
      return;
    }
    const last = this.outbox.at(-1);
    if (last?.case === "ack") {
      const ids = last.value.deliveryIds;
      if (ids !== undefined && ids.length < MOST_ACKS_IN_FRAME) {
        ids.push(deliveryId);
        return;
      }
    }
    this.outbox.push({ case: "ack", value: { deliveryIds: [deliveryId] } });
  }

  private onResult(result: AckResult): void {
    const id = result.deliveryId;
    const asked = this.extensions.get(id);
    const askedAt = asked?.shift();
    if (asked === undefined || askedAt === undefined) {
      this.unanswered.delete(id);
      this.tell(() => this.options.onSettled?.(result));
      return;
    }
    if (asked.length === 0) this.extensions.delete(id);
    const lease = this.leases.get(id);
    if (lease === undefined) return;
    switch (result.result) {
      case AckResult_Result.ALREADY:
      case AckResult_Result.LEASE_LOST:
      case AckResult_Result.UNKNOWN:
        this.leases.delete(id);
        this.loseDelivery(id);
        break;
      default:
        lease.ends = Math.max(lease.ends, askedAt + this.ackDeadlineMs);
    }
  }

  /** Tells the handler, if there is one. */
  private loseDelivery(deliveryId: string): void {
    this.waiting = this.waiting.filter((delivery) => delivery.deliveryId !== deliveryId);
    for (const running of this.running.values()) {
      if (running.deliveryId !== deliveryId) continue;
      running.again = undefined;
      running.lose();
      return;
    }
  }

  /** Ends leases that have run out, and has those extended whose time has come. */
  private lookAtLeases(now: number): void {
    const items: { deliveryId: string }[] = [];
    const canWrite = this.stream !== undefined && this.stream.opened && !this.stream.ended;
    this.nextLease = NEVER;
    for (const [deliveryId, lease] of this.leases) {
      if (now >= lease.ends) {
        this.leases.delete(deliveryId);
        this.loseDelivery(deliveryId);
        continue;
      }
      if (canWrite && now >= lease.extendAt && now < lease.until) {
        lease.extendAt = now + this.ackDeadlineMs / EXTENSIONS_PER_LEASE;
        items.push({ deliveryId });
        const asked = this.extensions.get(deliveryId);
        if (asked === undefined) this.extensions.set(deliveryId, [now]);
        else asked.push(now);
      }
      this.nextLease = Math.min(this.nextLease, lease.ends);
      if (canWrite && now < lease.until && lease.extendAt < lease.until) {
        this.nextLease = Math.min(this.nextLease, lease.extendAt);
      }
    }
    if (items.length > 0) this.outbox.push({ case: "extend", value: { items } });
  }

  /** The gateway has back what was delivered on the stream. What was not answered is sent again on the next one. */
  private endStream(stream: Stream): void {
    this.stream = undefined;
    stream.call.abort();
    stream.wakeWriter();
    this.cutAt = NEVER;
    this.loseAll();
    for (const running of this.running.values()) running.again = undefined;
    this.waiting = [];
    this.outbox = [];
    this.leases.clear();
    this.extensions.clear();
    this.nextLease = NEVER;
    for (const [id, verdict] of this.unanswered) this.send(id, verdict);
    this.next();
  }
}

function sequenceOf(delivery: Delivery): bigint {
  return delivery.event?.sequence ?? 0n;
}

export function nackItem(deliveryId: string, verdict: Verdict): MessageInitShape<typeof Nack_ItemSchema> {
  if (verdict.kind === "dead_letter") {
    return { deliveryId, reason: verdict.reason, next: { case: "deadLetter", value: true } };
  }
  const reason = verdict.kind === "nack" ? verdict.reason : "";
  if (verdict.kind === "nack" && verdict.delayMs !== undefined) {
    return { deliveryId, reason, next: { case: "delay", value: durationFromMs(verdict.delayMs) } };
  }
  return { deliveryId, reason };
}
