// The TypeScript side of the bench of client libraries. tests/clients/bench/README.md of the repository says what a worker
// does and prints.
import { readFileSync, writeSync } from "node:fs";
import { parseArgs } from "node:util";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type Transport } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { api, Client, type Event } from "../src/index.js";

const { values: flags } = parseArgs({
  options: {
    target: { type: "string", default: "" },
    by: { type: "string", default: "library" },
    do: { type: "string", default: "" },
    events: { type: "string", default: "0" },
    passes: { type: "string", default: "1" },
    concurrency: { type: "string", default: "1" },
    subscription: { type: "string", default: "" },
  },
});
const target = flags.target;
const events = Number(flags.events);
const concurrency = Number(flags.concurrency);
const subscription = flags.subscription;

function write(message: object): void {
  writeSync(1, JSON.stringify(message) + "\n");
}

/** What a handler does with an event: something that cannot be left out. */
let handledCharacters = 0;
function handle(event: Event | undefined): void {
  handledCharacters += event?.subject.length ?? 0;
}

function memoryKib(field: string): number {
  return Number(new RegExp(`^${field}:\\s*(\\d+)`, "m").exec(readFileSync("/proc/self/status", "utf8"))?.[1]);
}

function reportHeld(beforeKib: number): void {
  write({ held: events, before_kib: beforeKib, kib: memoryKib("VmRSS"), peak_kib: memoryKib("VmHWM") });
}

async function endOfInput(): Promise<void> {
  for await (const _ of process.stdin);
}

/** Aborted then. */
function untilEndOfInput(): AbortSignal {
  const over = new AbortController();
  void endOfInput().then(() => over.abort());
  return over.signal;
}

const library: Record<string, () => Promise<void>> = {
  async subscribe() {
    await using client = new Client({ target });
    let seen = 0;
    for await (const event of client.subscribe({ from: "earliest" })) {
      handle(event);
      if (++seen === events) break;
    }
  },

  async consume() {
    await using client = new Client({ target });
    await client.consume(subscription, (delivery) => handle(delivery.event), { concurrency, maxEvents: events });
  },

  async hold() {
    const beforeKib = memoryKib("VmRSS");
    await using client = new Client({ target });
    const signal = untilEndOfInput();
    const over = new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    let held = 0;
    await client.consume(
      subscription,
      async () => {
        if (++held === events) reportHeld(beforeKib);
        await over;
      },
      { concurrency, signal },
    );
  },

  async watch_subscribe() {
    await using client = new Client({ target });
    const signal = untilEndOfInput();
    for await (const event of client.subscribe({ signal, onState: reportOpened })) write({ event: event.webhookId });
  },

  async watch_consume() {
    await using client = new Client({ target });
    const signal = untilEndOfInput();
    const print = ({ event }: api.Delivery) => write({ event: event?.webhookId });
    await client.consume(subscription, print, { signal, onState: reportOpened });
  },
};

function reportOpened({ state }: { state: string }): void {
  if (state === "opened") write({ opened: true });
}

type Request = MessageInitShape<typeof api.ConsumeRequestSchema>;

/** One Consume call of a transport. */
class BareStream {
  readonly abort = new AbortController();
  readonly responses: AsyncIterable<api.ConsumeResponse>;
  private readonly unsent: Request[];
  private ended = false;
  private wake: () => void = () => {};

  constructor(transport: Transport) {
    const limits = { maxOutstandingMessages: BigInt(concurrency) };
    this.unsent = [{ frame: { case: "open", value: { subscription, consumerName: "bare", limits } } }];
    const stub = createClient(api.SubscriptionService, transport);
    this.responses = stub.consume(this.requests(), { signal: this.abort.signal });
  }

  send(request: Request): void {
    this.unsent.push(request);
    this.wake();
  }

  end(): void {
    this.ended = true;
    this.wake();
  }

  private async *requests(): AsyncGenerator<Request> {
    for (;;) {
      for (let next = this.unsent.shift(); next !== undefined; next = this.unsent.shift()) yield next;
      if (this.ended) return;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}

function transport(): Transport {
  return createGrpcTransport({ baseUrl: `http://${target}` });
}

const bare: Record<string, () => Promise<void>> = {
  async subscribe() {
    const stub = createClient(api.EventService, transport());
    const abort = new AbortController();
    const start = { case: "startPosition" as const, value: api.StartPosition.EARLIEST };
    let seen = 0;
    for await (const { frame } of stub.subscribe({ start }, { signal: abort.signal })) {
      if (frame.case !== "eventBatch") continue;
      for (const event of frame.value.events) {
        handle(event);
        seen++;
      }
      if (seen >= events) break;
    }
    abort.abort();
  },

  /** Acks the deliveries of a frame in one. */
  async consume() {
    const stream = new BareStream(transport());
    let acked = 0;
    for await (const { frame } of stream.responses) {
      if (frame.case === "ackResults") {
        acked += frame.value.results.length;
        if (acked >= events) stream.end();
      }
      if (frame.case !== "deliveries") continue;
      const deliveryIds: string[] = [];
      for (const delivery of frame.value.deliveries) {
        handle(delivery.event);
        deliveryIds.push(delivery.deliveryId);
      }
      stream.send({ frame: { case: "ack", value: { deliveryIds } } });
    }
  },

  async hold() {
    const beforeKib = memoryKib("VmRSS");
    const stream = new BareStream(transport());
    const held: api.Delivery[] = [];
    for await (const { frame } of stream.responses) {
      if (frame.case === "deliveries") held.push(...frame.value.deliveries);
      if (held.length >= events) break;
    }
    reportHeld(beforeKib);
    await endOfInput();
    stream.abort.abort();
  },
};

const run = (flags.by === "library" ? library : bare)[flags.do];
if (run === undefined) throw new Error(`there is no --do=${flags.do} by ${flags.by}`);
if (flags.do === "subscribe" || flags.do === "consume") {
  const passes = flags.do === "subscribe" ? Number(flags.passes) : 1;
  const began = performance.now();
  const before = process.cpuUsage();
  for (let pass = 0; pass < passes; pass++) await run();
  const seconds = (performance.now() - began) / 1000;
  const { user, system } = process.cpuUsage(before);
  write({ events: events * passes, seconds, cpu_seconds: (user + system) / 1e6 });
} else {
  await run();
}
// Connections of the bare side that are idle would keep the process.
process.exit(0);
