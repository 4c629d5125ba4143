import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type CallOptions, type Client as Stub, createClient } from "@connectrpc/connect";
import { checkCapabilities, nameMissingCapability } from "./capabilities.js";
import { Connection, type ConnectionOptions } from "./connection.js";
import { type ConsumeOptions, Consumer, type Handler, nackItem } from "./consumer.js";
import { callError, UsageError } from "./errors.js";
import { AdminService } from "./gen/hookgate/v1/admin_service_pb.js";
import type { Event } from "./gen/hookgate/v1/event_pb.js";
import {
  EventService,
  type ExplainEventResponse,
  type ListEventsRequestSchema,
  type ListRecentFailuresRequestSchema,
} from "./gen/hookgate/v1/event_service_pb.js";
import {
  type AckResult,
  AcknowledgeRequestSchema,
  type DeadLetter as DeadLetterEntry,
  type Delivery,
  type ListDeadLettersRequestSchema,
  type ListDeliveriesRequestSchema,
  type ListedDelivery,
  type Subscription,
  SubscriptionService,
  type SubscriptionSettingsSchema,
} from "./gen/hookgate/v1/subscription_service_pb.js";
import { type Start, startFields, Subscriber, type SubscribeOptions } from "./subscribe.js";
import { checkNumber, checkWhole, durationFromMs, LONGEST_TIMER_MS } from "./time.js";
import { LONGEST_DELAY_MS, verdictOf } from "./verdict.js";

export interface ClientOptions extends ConnectionOptions {
  /**
   * How long a unary call may take; that of a Pull is longer by its wait. Default 20,000; at most
   * 99,999,999.
   */
  callTimeoutMs?: number;
}

/** What is told of one delivery of a pull. */
export type PullVerdict =
  | { ack: string }
  /** `error` decides as what a Handler throws. */
  | { nack: string; error: unknown }
  /**
   * The lease ends after `deadlineMs`; below 5 s is 5 s, above 12 h is 12 h. Absent: the
   * subscription's ack deadline.
   */
  | { extend: string; deadlineMs?: number };

/** A unary call's own options. `timeoutMs` is at most 99,999,999; 0: the call has no deadline. */
export type UnaryOptions = Pick<CallOptions, "signal" | "timeoutMs">;

/** gRPC sends the time that a call may take as up to eight digits, of milliseconds here. */
const LONGEST_CALL_MS = 99_999_999;

/**
 * A connection to one gateway, on which any number of calls and streams run. It connects when the first call is made, and
 * again whenever needed. Calls never go through an HTTP proxy.
 *
 *     await using client = new Client({ target: "gateway:50051", tlsCa: "ca.pem", tokenFile: "alerts.token" });
 */
export class Client implements AsyncDisposable {
  /** The stubs of everything that the gateway can be asked. Their unary calls reject with a CallError. */
  readonly events: Stub<typeof EventService>;
  readonly subscriptions: Stub<typeof SubscriptionService>;
  readonly admin: Stub<typeof AdminService>;
  private readonly connection: Connection;
  private readonly closing = new AbortController();
  private readonly callTimeoutMs: number;

  /** Throws a UsageError if the options cannot be right. */
  constructor(options: ClientOptions) {
    checkNumber("callTimeoutMs", options.callTimeoutMs, 1, LONGEST_CALL_MS);
    this.callTimeoutMs = options.callTimeoutMs ?? 20_000;
    this.connection = new Connection(options);
    this.events = createClient(EventService, this.bounded());
    this.subscriptions = createClient(SubscriptionService, this.bounded());
    this.admin = createClient(AdminService, this.bounded());
  }

  /** A transport whose unary calls have a deadline. Refuses a call that cannot be right. */
  private bounded(): Connection["transport"] {
    const { transport } = this.connection;
    return {
      unary: async (method, signal, timeoutMs, header, input, contextValues) => {
        const what = `cannot call ${method.name}`;
        const { target } = this.connection;
        checkNumber("timeoutMs", timeoutMs, 0, LONGEST_CALL_MS);
        const request = encodable(what, method.input, input);
        const waitMs = method.name === "Pull" ? pullWaitMs(input) : 0;
        const limitMs = wholeMs(timeoutMs ?? this.callTimeoutMs + waitMs);
        const options = { ...(signal === undefined ? {} : { signal }), ...(timeoutMs === undefined ? {} : { timeoutMs }) };
        try {
          await checkCapabilities(method.input, request, what, target, async () => {
            return (await this.admin.getStatus({}, options)).capabilities;
          });
          return await transport.unary(method, signal, limitMs, header, request, contextValues);
        } catch (error) {
          throw nameMissingCapability(callError(error, what, target), method.name, what, target);
        }
      },
      stream: async (method, signal, timeoutMs, header, input, contextValues) => {
        checkNumber("timeoutMs", timeoutMs, 0, LONGEST_CALL_MS);
        const limitMs = timeoutMs === undefined ? undefined : wholeMs(timeoutMs);
        return transport.stream(method, signal, limitMs, header, input, contextValues);
      },
    };
  }

  get target(): string {
    return this.connection.target;
  }

  /**
   * Ends the connection. Streams that are open end with a ClientClosedError, and what a consumer holds is lost to it as by
   * a crash: abort their signals and wait for them before.
   */
  async close(): Promise<void> {
    this.closing.abort();
    this.connection.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /**
   * The gateway's events, in order, over any number of broken streams. The stream is opened when the loop begins.
   *
   * The position moves past an event when the loop asks for the next one. So an event is handled at least once; it comes
   * again if the loop was left in its body (break, return, an exception), or if the process died before the position was
   * saved. `(source, webhookId)` is the key by which one that comes twice is known.
   *
   * Ends when `options.signal` is aborted. Throws if trying again would not help: a CallError that is not `retryable`, and
   * so for a position that is of no use a CursorOvertakenError or a ForeignCursorError; a CursorStoreError; a
   * ClientClosedError; what `onState` has thrown. Everything else is tried again for ever, with
   * back-off, from the position; `onState` tells of it. A UsageError is thrown by this call itself,
   * if the options cannot be right.
   */
  subscribe(options: SubscribeOptions = {}): AsyncGenerator<Event, void, void> {
    return new Subscriber(this.connection, this.events, this.closing.signal, options).events();
  }

  /**
   * Works off a durable subscription: the gateway keeps its position, and shares its events among all consumers. Each
   * event is acknowledged only after its handler said so, so each is handled at least once, and never by two handlers of
   * one call at a time. While a handler runs, the lease of its event is extended.
   *
   * Resolves when `options.signal` has stopped it, and no handler runs any more. Rejects if trying again would not help:
   * a CallError that is not `retryable`, such as a SubscriptionNotFoundError; a ClientClosedError;
   * what `onState` or `onSettled` has thrown. Rejects at once with a UsageError if the options
   * cannot be right.
   */
  async consume(subscription: string, handler: Handler, options: ConsumeOptions = {}): Promise<void> {
    await new Consumer(this.connection, this.subscriptions, this.closing.signal, subscription, handler, options).run();
  }

  /**
   * Takes up to `maxEvents` (1 to 1000) deliveries at once, for programs that cannot stream; there may be more. Waits up to
   * `waitMs` (1 min at most) for the first. Their leases end at their deadline: acknowledge them, or extend them, before.
   */
  async pull(
    subscription: string,
    request: { consumerName: string; maxEvents: number; waitMs?: number; includeRawBody?: boolean },
    options?: UnaryOptions,
  ): Promise<Delivery[]> {
    const { consumerName, maxEvents, waitMs = 0, includeRawBody = false } = request;
    checkWhole("maxEvents", maxEvents, 1, 2 ** 31 - 1);
    checkNumber("waitMs", waitMs, 0, LONGEST_TIMER_MS / 2);
    const wait = durationFromMs(waitMs);
    const message = { subscription, consumerName, maxEvents, wait, includeRawBody };
    return (await this.subscriptions.pull(message, options)).deliveries;
  }

  /** Tells verdicts on deliveries. Resolves when that is durable, with one result for each, in their order. */
  async acknowledge(subscription: string, verdicts: PullVerdict[], options?: UnaryOptions): Promise<AckResult[]> {
    const request = create(AcknowledgeRequestSchema, { subscription, ack: {}, nack: {}, extend: {} });
    // The answer has acks first, then nacks, then extensions.
    const order: [number[], number[], number[]] = [[], [], []];
    const acks: string[] = [];
    const nacks: ReturnType<typeof nackItem>[] = [];
    const extensions: { deliveryId: string; deadline?: ReturnType<typeof durationFromMs> }[] = [];
    verdicts.forEach((verdict, i) => {
      if ("ack" in verdict) {
        acks.push(verdict.ack);
        order[0].push(i);
      } else if ("nack" in verdict) {
        nacks.push(nackItem(verdict.nack, verdictOf(verdict.error, false)));
        order[1].push(i);
      } else if ("extend" in verdict) {
        const { extend: deliveryId, deadlineMs } = verdict;
        checkNumber("deadlineMs", deadlineMs, 0, Infinity);
        const deadline = deadlineMs === undefined ? undefined : durationFromMs(Math.min(deadlineMs, LONGEST_DELAY_MS));
        extensions.push(deadline === undefined ? { deliveryId } : { deliveryId, deadline });
        order[2].push(i);
      } else {
        throw new UsageError("a verdict has ack, nack or extend");
      }
    });
    const filled = create(AcknowledgeRequestSchema, {
      subscription: request.subscription,
      ack: { deliveryIds: acks },
      nack: { items: nacks },
      extend: { items: extensions },
    });
    const { results } = await this.subscriptions.acknowledge(filled, options);
    const sorted: AckResult[] = [];
    order.flat().forEach((i, answered) => {
      const result = results[answered];
      if (result !== undefined) sorted[i] = result;
    });
    return sorted;
  }

  /** Events that match, page after page. A loop that is left asks for no further page. */
  listEvents(request: MessageInitShape<typeof ListEventsRequestSchema> = {}, options?: UnaryOptions): AsyncGenerator<Event> {
    return pages(request, (page) => this.events.listEvents(page, options), (response) => response.events);
  }

  /** What failed lately, newest first. */
  listRecentFailures(
    request: MessageInitShape<typeof ListRecentFailuresRequestSchema> = {},
    options?: UnaryOptions,
  ): AsyncGenerator<Event> {
    return pages(request, (page) => this.events.listRecentFailures(page, options), (response) => response.events);
  }

  /** One event, by its sequence or by what its sender calls it. Rejects with an EventNotFoundError if there is none. */
  async getEvent(key: bigint | { source: string; webhookId: string }, options?: UnaryOptions): Promise<Event> {
    const response = await this.events.getEvent(
      { key: typeof key === "bigint" ? { case: "sequence", value: key } : { case: "webhook", value: key } },
      options,
    );
    if (response.event === undefined) throw new Error("the gateway has answered without an event");
    return response.event;
  }

  /** All that is known of the event that a person has in hand: an id of its body, its subject, or its webhook-id. */
  async explainEvent(text: string, options?: UnaryOptions): Promise<ExplainEventResponse> {
    return this.events.explainEvent({ key: { case: "text", value: text } }, options);
  }

  /** Makes a durable subscription that begins at `from`. */
  async createSubscription(
    name: string,
    from: Start,
    settings: MessageInitShape<typeof SubscriptionSettingsSchema> = {},
    options?: UnaryOptions,
  ): Promise<Subscription | undefined> {
    const request = { name, settings, start: { start: startFields(from) } };
    return (await this.subscriptions.createSubscription(request, options)).subscription;
  }

  async getSubscription(name: string, options?: UnaryOptions): Promise<Subscription | undefined> {
    return (await this.subscriptions.getSubscription({ name }, options)).subscription;
  }

  /** All of them, by name, without their consumers. */
  listSubscriptions(options?: UnaryOptions): AsyncGenerator<Subscription> {
    return pages({}, (page) => this.subscriptions.listSubscriptions(page, options), (response) => response.subscriptions);
  }

  /** Changes those of the settings that `paths` name, such as "max_attempts"; without paths all of them. */
  async updateSubscription(
    name: string,
    settings: MessageInitShape<typeof SubscriptionSettingsSchema>,
    paths: string[] = [],
    options?: UnaryOptions,
  ): Promise<Subscription | undefined> {
    const request = paths.length === 0 ? { name, settings } : { name, settings, updateMask: { paths } };
    return (await this.subscriptions.updateSubscription(request, options)).subscription;
  }

  /** Ends the streams of its consumers, and forgets it, its position and its dead letters. */
  async deleteSubscription(name: string, options?: UnaryOptions): Promise<void> {
    await this.subscriptions.deleteSubscription({ name }, options);
  }

  /** Moves the position to `target`. */
  async seekSubscription(name: string, target: Start, options?: UnaryOptions): Promise<Subscription | undefined> {
    const request = { name, target: { start: startFields(target) } };
    return (await this.subscriptions.seekSubscription(request, options)).subscription;
  }

  /** Has nothing more handed out until resumeSubscription, whatever restarts in between. */
  async pauseSubscription(name: string, options?: UnaryOptions): Promise<Subscription | undefined> {
    return (await this.subscriptions.pauseSubscription({ name }, options)).subscription;
  }

  async resumeSubscription(name: string, options?: UnaryOptions): Promise<Subscription | undefined> {
    return (await this.subscriptions.resumeSubscription({ name }, options)).subscription;
  }

  /** What became of the events that were delivered. */
  listDeliveries(
    request: MessageInitShape<typeof ListDeliveriesRequestSchema>,
    options?: UnaryOptions,
  ): AsyncGenerator<ListedDelivery> {
    return pages(request, (page) => this.subscriptions.listDeliveries(page, options), (response) => response.deliveries);
  }

  /** What was given up, oldest sequence first. */
  listDeadLetters(
    request: MessageInitShape<typeof ListDeadLettersRequestSchema>,
    options?: UnaryOptions,
  ): AsyncGenerator<DeadLetterEntry> {
    return pages(request, (page) => this.subscriptions.listDeadLetters(page, options), (response) => response.deadLetters);
  }
}

function pullWaitMs(input: object): number {
  const wait = (input as { wait?: { seconds?: bigint; nanos?: number } }).wait;
  return Math.max(Number(wait?.seconds ?? 0n) * 1000 + (wait?.nanos ?? 0) / 1e6, 0);
}

/** A time that gRPC can send: it has no parts of a millisecond, and setTimeout takes it. */
function wholeMs(ms: number): number {
  return Math.min(Math.ceil(ms), LONGEST_CALL_MS);
}

/**
 * The message of a request. Throws a UsageError, which names the field, if one has a number that it
 * cannot hold: the transport would find out in the middle of the call, as an error that may not
 * come again.
 */
function encodable<Desc extends DescMessage>(what: string, schema: Desc, input: MessageInitShape<Desc>): MessageShape<Desc> {
  try {
    const request = create(schema, input);
    toBinary(schema, request);
    return request;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new UsageError(`${what}: ${why}; use a value that the field can hold`, { cause: error });
  }
}

async function* pages<Request extends object, Response extends { nextPageToken: string }, Item>(
  request: Request,
  get: (page: Request) => Promise<Response>,
  items: (response: Response) => Item[],
): AsyncGenerator<Item> {
  let page = request;
  for (;;) {
    const response = await get(page);
    yield* items(response);
    if (response.nextPageToken === "") return;
    page = { ...page, pageToken: response.nextPageToken };
  }
}
