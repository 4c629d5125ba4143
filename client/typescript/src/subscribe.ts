import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type Client as Stub } from "@connectrpc/connect";
import { Retries, type StreamEnd } from "./backoff.js";
import type { Connection } from "./connection.js";
import type { CursorStore } from "./cursor-store.js";
import { callError, ClientClosedError, CursorStoreError, UsageError } from "./errors.js";
import type { Event, EventFilterSchema } from "./gen/hookgate/v1/event_pb.js";
import {
  type EventService,
  StartPosition,
  type SubscribeRequest,
  SubscribeRequestSchema,
  type SubscribeResponse,
  type SubscribeResponse_CaughtUp,
  type SubscribeResponse_Heartbeat,
  type SubscribeResponse_Opened,
} from "./gen/hookgate/v1/event_service_pb.js";
import {
  checkStreamOptions,
  type Disconnected,
  type Draining,
  HEARTBEAT_INTERVAL_MS,
  INTERVALS_UNTIL_DEAD,
  OPEN_TIMEOUT_MS,
  type StreamOptions,
} from "./options.js";
import { Alarm, checkNumber, durationFromMs, durationMs, onAbort, sleep } from "./time.js";

/** A place in a gateway's log. */
export type Start =
  /** The next event that is stored. */
  | "latest"
  /** The oldest event that is still held. */
  | "earliest"
  /** Exactly after an event that was handled before: Event.cursor. */
  | { after: string }
  /** The earliest event that was received at or after this. */
  | { since: Date };

/** What happens to a subscription besides events. After a stop nothing is told. */
export type SubscribeState =
  | { state: "opened"; frame: SubscribeResponse_Opened }
  /** All that was stored has been handled. */
  | { state: "caught_up"; frame: SubscribeResponse_CaughtUp }
  | { state: "heartbeat"; frame: SubscribeResponse_Heartbeat }
  | Draining
  | Disconnected;

export interface SubscribeOptions extends StreamOptions {
  /** Exact ("batch.failed"), or everything below a name ("batch.*"). Absent: all. */
  types?: string[];
  sources?: string[];
  subjects?: string[];
  /** Where to begin when there is no position yet. Default "latest". */
  from?: Start;
  /** Keeps the position while nobody subscribes. */
  cursors?: CursorStore;
  /**
   * How often the position is saved within a long frame of events; it is also saved after each frame. What was handled
   * since then comes again if the process dies. 0: after each event. Default 1000.
   */
  saveIntervalMs?: number;
  /** Who asks, for the gateway's logs. At most 200 bytes. */
  clientName?: string;
  /** Called between events; should return soon. */
  onState?: (state: SubscribeState) => void;
}

type StartFields = SubscribeRequest["start"];

/** Throws a UsageError if its Date is invalid. */
export function startFields(start: Start): StartFields & { case: string } {
  if (start === "latest") return { case: "startPosition", value: StartPosition.LATEST };
  if (start === "earliest") return { case: "startPosition", value: StartPosition.EARLIEST };
  if ("after" in start) return { case: "afterCursor", value: start.after };
  if (Number.isNaN(start.since.getTime())) throw new UsageError("since is an invalid Date; use the Date of a time");
  return { case: "startTime", value: timestampFromDate(start.since) satisfies Timestamp };
}

/** One open call. */
interface Stream {
  readonly frames: AsyncIterator<SubscribeResponse>;
  readonly token: string | undefined; // What it was opened with.
  patienceMs: number;
  intervalMs: number; // As the gateway confirmed it.
  silent: boolean;
  readonly watchdog: Alarm;
  readonly end: StreamEnd;
  readonly close: () => void;
}

/** One loop over a subscription's events. */
export class Subscriber {
  private readonly retries: Retries;
  private readonly start: StartFields;
  /** Everything up to here is handled. Empty: begin at options.from. */
  private position = "";
  private saved = "";
  private savedAt = performance.now();

  constructor(
    private readonly connection: Connection,
    private readonly stub: Stub<typeof EventService>,
    private readonly closed: AbortSignal,
    private readonly options: SubscribeOptions,
  ) {
    checkStreamOptions(options);
    checkNumber("saveIntervalMs", options.saveIntervalMs, 0, Infinity);
    this.start = startFields(options.from ?? "latest");
    this.retries = new Retries(options.backoff ?? {});
  }

  private get stopped(): boolean {
    return this.options.signal?.aborted ?? false;
  }

  /** One generator for all of it: each that delegates to another costs an event as much as its own work. */
  async *events(): AsyncGenerator<Event, void, void> {
    const { saveIntervalMs = 1000 } = this.options;
    await this.load();
    while (!this.stopped) {
      if (this.closed.aborted) throw new ClientClosedError();
      const stream = this.open();
      try {
        for (;;) {
          const frame = await this.read(stream);
          if (frame === undefined) break;
          if (frame.case === "eventBatch") {
            for (const event of frame.value.events) {
              if (this.stopped) break;
              yield event;
              stream.end.useful = true;
              this.moveTo(event.cursor);
              if (performance.now() - this.savedAt >= saveIntervalMs) await this.save();
            }
          } else {
            this.handle(frame, stream.end);
          }
          await this.save();
          if (this.stopped) break;
        }
      } finally {
        // Also when the loop was left in its body.
        stream.close();
        await this.save();
      }
      if (this.stopped) break;
      const delayMs = this.retries.delayAfter(stream.end);
      this.options.onState?.({ state: "disconnected", why: stream.end.why, delayMs });
      await sleep(delayMs, this.options.signal, this.closed);
    }
  }

  private async load(): Promise<void> {
    try {
      this.position = this.saved = (await this.options.cursors?.load()) ?? "";
    } catch (error) {
      throw new CursorStoreError("cannot load the subscription's position", error);
    }
  }

  /** Cheap if the position is as saved. */
  private async save(): Promise<void> {
    if (this.options.cursors === undefined || this.position === this.saved) return;
    const position = this.position;
    try {
      await this.options.cursors.save(position);
    } catch (error) {
      throw new CursorStoreError("cannot save the subscription's position", error);
    }
    this.saved = position;
    this.savedAt = performance.now();
  }

  private moveTo(cursor: string): void {
    if (cursor !== "") this.position = cursor;
  }

  private request(): SubscribeRequest {
    const { types = [], sources = [], subjects = [] } = this.options;
    const filter: MessageInitShape<typeof EventFilterSchema> = { types, sources, subjects };
    return create(SubscribeRequestSchema, {
      filter,
      start: this.position === "" ? this.start : startFields({ after: this.position }),
      heartbeatInterval: durationFromMs(this.options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS),
      clientName: this.options.clientName ?? "",
      includeRawBody: this.options.includeRawBody ?? false,
    });
  }

  private open(): Stream {
    const call = new AbortController();
    const forget = [this.options.signal, this.closed].map((signal) => onAbort(signal, () => call.abort()));
    const stream: Stream = {
      frames: this.stub.subscribe(this.request(), { signal: call.signal })[Symbol.asyncIterator](),
      token: this.connection.currentToken(),
      patienceMs: this.options.openTimeoutMs ?? OPEN_TIMEOUT_MS,
      intervalMs: this.options.heartbeatIntervalMs ?? HEARTBEAT_INTERVAL_MS,
      silent: false,
      watchdog: new Alarm(() => {
        stream.silent = true;
        call.abort();
      }),
      end: { why: new Error(), useful: false, retryDelayMs: 0 },
      close: () => {
        stream.watchdog.clear();
        for (const each of forget) each();
        call.abort();
      },
    };
    return stream;
  }

  /** The next frame; undefined: the stream has ended, or is to be. What it throws is final. */
  private async read(stream: Stream): Promise<SubscribeResponse["frame"] | undefined> {
    // Only the wait for a frame counts: the loop's body may take its time.
    stream.watchdog.set(stream.patienceMs);
    let frame: SubscribeResponse["frame"];
    try {
      const next = await stream.frames.next();
      if (next.done) throw new ConnectError("the gateway ended the stream", Code.Unavailable);
      frame = next.value.frame;
    } catch (error) {
      if (this.stopped) return undefined;
      if (this.closed.aborted) throw new ClientClosedError();
      const thrown = stream.silent
        ? new ConnectError(`nothing came from the gateway for ${stream.patienceMs} ms`, Code.Unavailable)
        : error;
      const stale = this.connection.tokenChangedSince(stream.token);
      const why = callError(thrown, "cannot subscribe", this.connection.target, stale);
      if (!why.retryable) throw why;
      stream.end.why = why;
      stream.end.retryDelayMs = why.retryDelayMs;
      return undefined;
    } finally {
      stream.watchdog.clear();
    }
    if (this.stopped) return undefined;
    if (frame.case === "opened" && frame.value.heartbeatInterval !== undefined) {
      stream.intervalMs = durationMs(frame.value.heartbeatInterval) || stream.intervalMs;
    }
    stream.patienceMs = INTERVALS_UNTIL_DEAD * stream.intervalMs;
    return frame;
  }

  /** Any frame but one of events. */
  private handle(frame: SubscribeResponse["frame"], end: StreamEnd): void {
    const { onState } = this.options;
    switch (frame.case) {
      case "opened":
        // The start is fixed here: whatever is stored from now on is found from this cursor, even if the stream breaks
        // before its first event.
        if (this.position === "") this.moveTo(frame.value.cursor);
        onState?.({ state: "opened", frame: frame.value });
        break;
      // Cursors of the frames below cover events that did not match as well. Everything sent before them has been handled
      // when they are read.
      case "caughtUp":
        this.moveTo(frame.value.cursor);
        onState?.({ state: "caught_up", frame: frame.value });
        break;
      case "heartbeat":
        end.useful = true;
        this.moveTo(frame.value.cursor);
        onState?.({ state: "heartbeat", frame: frame.value });
        break;
      case "draining": {
        this.moveTo(frame.value.cursor);
        if (frame.value.reconnectDelay !== undefined) end.reconnectDelayMs = durationMs(frame.value.reconnectDelay);
        onState?.({ state: "draining", delayMs: end.reconnectDelayMs ?? 0 });
        break;
      }
      // Otherwise it is a frame of a newer gateway: a sign of life, and no more.
    }
  }
}
